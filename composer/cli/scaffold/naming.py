"""One name, from which follow those of a distribution, of its package, of a kind of block and of a class."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from keyword import iskeyword, issoftkeyword

from composer.errors import UsageError, fail, printable

LONGEST = 40
HINT = "give a name of your own, such as my-mixer"

# The package's own folders, names that a file system may keep for itself, and the spelling of types.
TAKEN = frozenset({"src", "tests", "dist", "build", "con", "prn", "aux", "nul", "none", "true", "false"})

# What the templates import: a class called like one of these would hide it.
USED = frozenset(
    {
        "ActivationName",
        "Any",
        "At",
        "Block",
        "Callable",
        "Causal",
        "ClassVar",
        "Declared",
        "F",
        "Field",
        "LinearGroup",
    }
    | {
        "Linears",
        "Mixer",
        "Param",
        "Path",
        "Rope",
        "Self",
        "Sequence",
        "Site",
        "Slot",
        "Step",
        "Tensor",
        "Width",
    }
)


@dataclass(frozen=True)
class Names:
    """`gated-mean` as a distribution and as a kind is `gated_mean` as a package, and `GatedMean` as a class."""

    distribution: str

    @property
    def package(self) -> str:
        """The name that is imported."""
        return self.distribution.replace("-", "_")

    @property
    def kind(self) -> str:
        """The kind of block in a spec, and the plugin's name."""
        return self.distribution

    @property
    def cls(self) -> str:
        """The class of the options."""
        camel = "".join(part.capitalize() for part in self.distribution.split("-"))
        return f"{camel}Block" if camel in USED else camel


def names_of(name: str) -> Names:
    """The names that follow from one.  Raises UsageError E915."""
    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        refuse(name, "cannot be the name of a package: it has letters, digits and single - between them")
    if len(name) > LONGEST:
        refuse(name, f"is longer than {LONGEST} letters")
    return Names(re.sub(r"[-_.]+", "-", name).lower())


def check_free(names: Names, known: Iterable[str]) -> None:
    """Nothing else is called so; `known` are kinds of block and plugins.  Raises UsageError E915."""
    taken = why_taken(names, frozenset(known))
    if taken:
        refuse(names.distribution, taken)


def why_taken(names: Names, kinds: frozenset[str]) -> str:
    """Why a well-formed name cannot be had; empty if it can."""
    package = names.package
    if iskeyword(package) or issoftkeyword(package) or package in TAKEN:
        return "means something else in Python or in a package"
    if package in sys.stdlib_module_names:
        return "is a module of Python's own library, which it would hide"
    if names.kind in kinds:
        return "is the name of a kind or a plugin that there is already"
    if is_distribution(names.distribution):
        return "is the name of a distribution that is installed"
    if is_module(package):
        return f"is the name of a package that is installed: {package}"
    return ""


def is_distribution(name: str) -> bool:
    """Whether something of this name is installed."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def is_module(package: str) -> bool:
    """Whether a module of this name can be imported; a folder without code is none."""
    found = PathFinder.find_spec(package)
    return found is not None and found.origin is not None


def refuse(name: str, why: str) -> None:
    """Say why a name cannot be had."""
    fail(UsageError, "E915", f"{printable(repr(name))} {why}", hint=HINT)
