"""Plugins that cannot be used: each is reported by name and stops nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import composer
from composer import plugins
from composer.errors import Problem

GOOD = """
import composer
from pydantic import Field
class Echo(composer.Block):
    kind = "echo"
    size: int = Field(default=1, description="Nothing.")
    def declares(self, site):
        return composer.Declared()
@composer.hookimpl
def composer_blocks():
    return [Echo]
"""
HINT = "the hook is `composer_blocks()`, without arguments"


class Site:
    """A folder of installed distributions, made for a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, code: str, point: str = "") -> None:
        """A distribution with one module and one entry point."""
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(code, encoding="utf-8")
        info = self.folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[arch_composer]\n{point or name} = {module}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv(plugins.LIMIT, raising=False)
    plugins.installed.cache_clear()
    yield Site(tmp_path)
    plugins.installed.cache_clear()
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def problems() -> list[Problem]:
    return list(composer.catalog().problems)


def says(code: str, name: str, message: str, hint: str) -> Problem:
    return Problem(code, f"plugin '{name}' of {name}: {message}", path=name, hint=hint)


BROKEN = [
    ("a = 1 / 0", "E401", "it failed to load: ZeroDivisionError: division by zero", ""),
    ("raise SystemExit('bye')", "E401", "it failed to load: SystemExit: bye", ""),
    ("import nowhere_at_all", "E401", "it failed to load: ModuleNotFoundError: No module named 'nowhere_at_all'", ""),
    ("class E(Exception):\n    def __str__(self): raise self\nraise E", "E401", "it failed to load: E: no message", ""),
    (GOOD.replace("return [Echo]", "return [1]"), "E403",
     "it offers 1, which is no subclass of composer.Block", "return classes, not instances"),
    (GOOD.replace("return [Echo]", "return []"), "E403",
     "it offers no block", "composer_blocks() returns a list of classes"),
    (GOOD.replace("return [Echo]", "return 5"), "E401",
     "it failed to load: TypeError: 'int' object is not iterable", ""),
    (GOOD.replace('"echo"', '"two words"'), "E404",
     "its block Echo has no usable kind", "set `kind: ClassVar[str]` to a name"),
    (GOOD.replace('kind = "echo"', 'kind = "echo"; api = 99'), "E405",
     "its block 'echo' is written for plugin interface 99, this host speaks 1", "install versions that match"),
    (GOOD.replace("size: int", "extends: int"), "E408",
     "its block 'echo' has an option 'extends', which every entry of a spec has already",
     "give the option another name"),
    (GOOD.replace("@composer.hookimpl", ""), "E402", "it implements no hook of this host",
     "the hook is `composer_blocks()`; is it decorated with @composer.hookimpl?"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected", "message", "hint"), BROKEN)
def test_broken_plugins_are_named(site: Site, code: str, expected: str, message: str, hint: str) -> None:
    """The broken one is told with its distribution; the others work."""
    site.install("good", GOOD.replace('"echo"', '"fine"'))
    site.install("bad-one", code)

    assert [says(expected, "bad-one", message, hint)] == problems()
    assert ["attention", "fine", "mamba2", "mlp"] == list(composer.catalog().offers)


@pytest.mark.parametrize(
    ("code", "about"),
    [(GOOD.replace("composer_blocks()", "composer_block()"), "unknown hook 'composer_block'"),
     (GOOD.replace("composer_blocks()", "composer_blocks(site)"), "")],
)  # fmt: skip
def test_misfitting_hooks(site: Site, code: str, about: str) -> None:
    """A misspelt hook and one with arguments are told apart from a plugin without hooks."""
    site.install("odd", code)
    (problem,) = problems()

    assert ("E402", HINT) == (problem.code, problem.hint)
    assert problem.message.startswith(f"plugin 'odd' of odd: it does not fit the hooks of this host: {about}")


def test_two_plugins_with_one_kind(site: Site) -> None:
    """Neither is used, and both distributions are named."""
    site.install("one", GOOD)
    site.install("two", GOOD)
    message = "the kind 'echo' is offered by 'one' of one and 'two' of two; none of them is used"
    hint = "uninstall one, or name the plugins to load in COMPOSER_PLUGINS"

    assert [Problem("E406", message, path="one", hint=hint)] == problems()
    assert "echo" not in composer.catalog()


def test_limit_names_what_is_not_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in COMPOSER_PLUGINS that no plugin has is a mistake; an empty list is none."""
    monkeypatch.setenv(plugins.LIMIT, "atention, mlp")
    message = "COMPOSER_PLUGINS names the plugin 'atention', which is not installed"

    assert [Problem("E409", message, path="atention", hint="did you mean 'attention'?")] == problems()
    assert ["mlp"] == list(composer.catalog().offers)
    monkeypatch.setenv(plugins.LIMIT, "")
    assert ([], []) == (problems(), list(composer.catalog().offers))


SPEC = """
composer: 1
name: tiny
vocab_size: 8
hidden_size: 4
norm: {kind: rms, eps: 1.0e-5}
pattern: e
blocks:
  e: {kind: echo}
"""


def refused(text: str) -> list[tuple[str, Any]]:
    with pytest.raises(composer.ComposerError) as caught:
        composer.resolve(composer.read_spec(text))
    return [(problem.code, problem.message, problem.hint) for problem in caught.value.problems]


def test_a_kind_whose_plugin_is_broken(site: Site) -> None:
    """Who asks for a kind hears what kept a plugin out, since that may be why it is missing."""
    site.install("bad", "a = 1 / 0")
    hint = (
        "installed kinds: attention, mamba2, mlp; unusable plugins: bad: plugin 'bad' of bad: it failed to load: "
        "ZeroDivisionError: division by zero"
    )

    assert [("E324", "no plugin offers a block of kind 'echo'", hint)] == refused(SPEC)


def test_a_plugin_that_fails_while_it_describes_itself(site: Site) -> None:
    """A fault in a plugin's own code is told as such, at the entry that asked for it."""
    site.install("faulty", GOOD.replace("return composer.Declared()", "return {}[site.reads]"))
    hint = "this is a fault of the plugin; report it to its authors"

    assert [("E410", "the plugin of kind 'echo' failed: KeyError: 4", hint)] == refused(SPEC)


def test_working_plugin(site: Site) -> None:
    """The same plugin without a fault resolves."""
    site.install("good", GOOD)

    assert 8 * 4 * 2 + 4 + 4 == composer.resolve(composer.read_spec(SPEC)).parameter_count
