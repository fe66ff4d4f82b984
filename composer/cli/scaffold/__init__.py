"""The package that `plugins new` writes: templates, and what is filled into them.

A template is a text in which `{{name}}` stands for a value; it lies in the folder of what the block is begun from, or,
where that makes no difference, in `common`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from composer.block import API
from composer.cli.scaffold.naming import Names

SUMMARIES = {
    "recurrent": "channels that keep a moving average, gated.",
    "attention": "heads that look at the newest tokens through keys and values all of them share.",
    "feedforward": "a gated feed-forward with a learnt gain.",
}
"""What a block can be begun from, and what it then is."""

FILES = {
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "README.md.in",
    ".gitignore": "gitignore.in",
    "src/{{package}}/__init__.py": "init.py.in",
    "src/{{package}}/options.py": "options.py.in",
    "src/{{package}}/module.py": "module.py.in",
    "src/{{package}}/py.typed": None,
    "src/{{package}}/specs/{{name}}-tiny.yaml": "spec.yaml.in",
    "tests/test_contract.py": "test_contract.py.in",
    "tests/test_model.py": "test_model.py.in",
    "tests/test_numbers.py": "test_numbers.py.in",
}
"""Every file of a package, and its template."""


@dataclass(frozen=True)
class Package:
    """A package to be written: its names, what it is begun from, and the host that it is for."""

    names: Names
    begun_from: str
    requirement: str

    @property
    def values(self) -> Mapping[str, str]:
        """What stands for each name in a template."""
        summary = SUMMARIES[self.begun_from]
        return {
            "name": self.names.distribution,
            "package": self.names.package,
            "kind": self.names.kind,
            "Class": self.names.cls,
            "summary": summary,
            "Summary": summary[0].upper() + summary[1:],
            "requirement": self.requirement,
            "api": API,
        }

    def files(self) -> dict[str, str]:
        """Every file by its path inside the package."""
        return {
            self.filled(path): self.filled(text_of(template, self.begun_from)) if template else ""
            for path, template in FILES.items()
        }

    def filled(self, text: str) -> str:
        """A template with its values."""
        values = self.values
        return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text)


def text_of(template: str, begun_from: str) -> str:
    """The text of a template."""
    here = Path(__file__).parent
    own = here / begun_from / template
    return (own if own.is_file() else here / "common" / template).read_text(encoding="utf-8")


def requirement_for(version: str | None) -> str:
    """What a package demands of the host: the running version, and later ones that do not break it."""
    numbers = re.match(r"(\d+)\.(\d+)", version or "")
    if numbers is None:
        return "arch-composer"
    major, minor = map(int, numbers.groups())
    above = f"{major + 1}" if major else f"0.{minor + 1}"
    return f"arch-composer>={major}.{minor},<{above}"
