"""Families: files that say how the `config.json` of a model becomes a spec, and back; no Python knows one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from ..block import Frozen
from ..errors import ComposerError, PluginError, Problem, SpecError, did_you_mean, fail
from ..plan import HeadKind, Plan
from ..plugins import catalog
from ..plugins.data import OURS, Shipped, clash, files, own_data
from ..source import Document, problems_of
from .beside import Beside
from .entries import Entry, check_parts, rows_of
from .expressions import Expression, parse_expression
from .frame import frame_of
from .originals import Files
from .rows import WeightMap
from .template import Template
from .tree import ExpressionProblem
from .view import view

_Form = TypeVar("_Form", bound=Frozen)


class Shared(Frozen):
    """What several families say alike: keys that are not read, parts of templates, names of tensors."""

    ignored: dict[str, str] = Field(default={}, description="Keys of no influence, each with the reason.")
    only: dict[str, list[Any]] = Field(
        default={}, description="Keys of no influence as long as they have one of these values."
    )
    let: dict[str, str] = Field(default={}, description="Names for expressions over c, in order.")
    checks: dict[str, str] = Field(
        default={}, description="Expressions that must be true, each with the sentence for when it is not."
    )
    parts: dict[str, Any] = Field(
        default={}, description="Templates that `spec` and `config` name: '= parts.NAME' stands for NAME's."
    )
    weights: Annotated[dict[str, Entry], AfterValidator(check_parts)] = Field(
        default={},
        description="Our parameter names to those of a checkpoint; of several rows the first that holds.",
    )
    ignore: dict[str, str] = Field(
        default={}, description="Tensors that are passed over, each with the reason."
    )


class HeadClass(Frozen):
    """A class of the transformers library that calls the model inside it otherwise than the others do."""

    name: str = Field(alias="class", description="The class.")
    prefix: str = Field(description="What stands in its checkpoints for the family's prefix.")


class FamilyFile(Shared):
    """A family as written.  Expressions read `c` (the configuration) or `p` (the plan), and named ones."""

    family: str = Field(min_length=1, description="Its name, which `weights` of a spec gives.")
    match: str = Field(description="Expression over c: whether a configuration belongs to the family.")
    includes: str | list[str] = Field(
        default=[], description="Files beside this one whose entries come before its own."
    )
    defaults: dict[str, Any] = Field(description="What an absent key of the configuration means.")
    spec: dict[str, Any] = Field(description="The spec; strings that begin with '= ' are expressions.")
    back: dict[str, str] = Field(default={}, description="Names for expressions over p, in order.")
    config: dict[str, Any] = Field(
        description="The configuration; strings that begin with '= ' are expressions."
    )
    heads: dict[HeadKind, str | HeadClass] = Field(
        default={}, description="The class of the transformers library for each head that it has."
    )
    prefix: str = Field(default="", description="What the names of a checkpoint without a head lack.")
    every: str | None = Field(
        default=None,
        description="Expression over p: whether what is shared is stored under the name of each of its layers.",
    )
    layout: Files | None = Field(
        default=None,
        description="The files of a layout of its own; absent where transformers knows the model.",
    )


class Family:
    """A family file, checked, with its expressions parsed."""

    def __init__(self, document: Document, others: Mapping[str, Document]) -> None:
        self.document = document
        file = self.file = _checked(document, FamilyFile)
        self.name = file.family
        names = [file.includes] if isinstance(file.includes, str) else file.includes
        shared = [_included(document, name, others) for name in names]
        everything = [*shared, (document, file)]
        self.ignored = {key: why for _, part in everything for key, why in part.ignored.items()}
        self.only = {key: values for _, part in everything for key, values in part.only.items()}
        self._weights = {ours: row for _, part in everything for ours, row in part.weights.items()}
        self._unread = [name for _, part in everything for name in part.ignore]
        self.let, self.checks = dict[str, Expression](), dict[Expression, str]()
        self.parts = dict[str, Template]()
        parsers = [self._take(Parts(where), part) for where, part in everything]
        own = parsers[-1]
        self.match = own.expression(file.match, ("match",))
        self.every = own.expression(file.every or "false", ("every",))
        self.back = {name: own.expression(text, ("back", name)) for name, text in file.back.items()}
        self.spec = own.template(file.spec, ("spec",))
        self.config = own.template(file.config, ("config",))
        if problems := [problem for each in parsers for problem in each.problems]:
            raise SpecError(*problems)
        self.reads = {name: self._reads(name) for name in ("c", *self.let)}

    def _take(self, parse: Parts, part: Shared) -> Parts:
        """Add what one document says; what parsed it, with every problem, comes back."""
        self.let |= {name: parse.expression(text, ("let", name)) for name, text in part.let.items()}
        self.checks |= {parse.expression(text, ("checks", text)): why for text, why in part.checks.items()}
        self.parts |= {name: parse.template(data, ("parts", name)) for name, data in part.parts.items()}
        return parse

    @property
    def weights(self) -> WeightMap:
        """The rows of the weight map, for models that share nothing."""
        rows = (row for ours, entry in self._weights.items() for row in rows_of(ours, entry))
        return WeightMap(tuple(rows), tuple(self._unread), self.file.prefix)

    def weights_of(self, plan: Plan) -> WeightMap:
        """The weight map for the model of a plan."""
        every = self.file.every is not None and self.every.value({"p": view(plan)}) is True
        weights = replace(self.weights, frame=frame_of(plan), every=every)
        own = self.prefix_of(plan.head.kind)
        others = dict.fromkeys(prefix for kind in self.file.heads if (prefix := self.prefix_of(kind)) != own)
        return replace(weights.renamed(own), others=(*others,))

    def head_class(self, kind: HeadKind) -> str | None:
        """The class of the transformers library for a head; None where it has none."""
        found = self.file.heads.get(kind)
        return found.name if isinstance(found, HeadClass) else found

    def prefix_of(self, kind: HeadKind) -> str:
        """What the names of the model begin with in a checkpoint with this head."""
        found = self.file.heads.get(kind)
        return found.prefix if isinstance(found, HeadClass) else self.file.prefix

    def fits(self, config: Mapping[str, Any]) -> bool:
        """Whether a configuration belongs to the family."""
        return _is_true(self.match, config)

    def _reads(self, name: str) -> set[str]:
        """Every K that the family reads as `name.K` when it makes a spec."""
        expressions = [self.match, *self.let.values(), *self.checks, *self.spec.expressions()]
        expressions += [each for part in self.parts.values() for each in part.expressions()]
        return {key for expression in expressions for key in expression.keys_of(name)}


class Parts:
    """Parses the expressions of one document, keeping every problem."""

    def __init__(self, document: Document) -> None:
        self.document, self.problems = document, list[Problem]()

    def expression(self, text: str, path: tuple[str | int, ...], shift: int = 0) -> Expression:
        """The expression at a key path, `shift` characters into its scalar."""
        try:
            return parse_expression(text)
        except ExpressionProblem as problem:
            place = self.document.scalar_place(path, problem.start + shift, problem.width)
            self.problems.append(Problem("E538", problem.message, place, ".".join(map(str, path))))
            return parse_expression("null")

    def template(self, data: Any, path: tuple[str | int, ...]) -> Template:
        """The template at a key path."""
        return Template(data, path, lambda text, at: self.expression(text, at, 2))


def _checked(document: Document, form: type[_Form]) -> _Form:
    try:
        return form.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(*problems_of(error, document, (), form)) from None


def _included(document: Document, name: str, others: Mapping[str, Document]) -> tuple[Document, Shared]:
    if name not in others:
        place, hint = document.place(("includes",)), did_you_mean(name, others)
        fail(SpecError, "E537", f"there is no {name}.yaml beside this file", place=place, hint=hint)
    return others[name], _checked(others[name], Shared)


@cache
def _beside(folder: Path) -> Beside:
    """What a family may include: a file of its folder, or what the host's own families do."""
    return Beside(own_data()["families"], folder)


@cache
def _text(path: Path) -> str | None:
    """A file that is a family, as text: looking into one costs a hundredth of reading it."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return text if re.search("^family:", text, re.MULTILINE) else None


def _texts() -> Iterator[tuple[Shipped, str]]:
    """Every file that is a family, those of plugins among them."""
    for each in files(catalog(), "families"):
        if text := _text(each.path):
            yield each, text


@cache
def _read(shipped: Shipped) -> Family | Problem:
    """The family in a file; of a plugin's file that is none, what is wrong with it, which harms no other."""
    beside = _beside(shipped.path.parent)
    try:
        return Family(beside[shipped.path.stem], beside)
    except ComposerError as error:
        if shipped.who == OURS:
            raise
        first = error.problems[0]
        where = f"{first.place or shipped.path}: {first.message}"
        message = f"{shipped.who}: its family in {where}"
        return Problem("E421", message, path=shipped.path.stem, hint=first.hint)


def _families(shipped: Iterable[Shipped]) -> list[Family]:
    return [family for family in map(_read, shipped) if isinstance(family, Family)]


def _every() -> list[Family]:
    return _families(each for each, _ in _texts())


def unusable() -> list[Problem]:
    """What is wrong with the families that plugins ship: files that are none, names that several have."""
    found = [each for each, _ in _texts()]
    broken = [problem for problem in map(_read, found) if isinstance(problem, Problem)]
    named: dict[str, list[Shipped]] = {}
    for each in found:
        if isinstance(family := _read(each), Family):
            named.setdefault(family.name, []).append(each)
    return broken + [clash("family", name, several) for name, several in named.items() if len(several) > 1]


def matching(config: Mapping[str, Any]) -> list[Family]:
    """The families whose `match` is true of a configuration; the others are not read."""
    likely = (each for each, text in _texts() if _may_fit(text, config))
    return [family for family in _families(likely) if family.fits(config)]


def _may_fit(text: str, config: Mapping[str, Any]) -> bool:
    """What the line `match` of a file says; true of a file that has it in another form."""
    line = re.search(r'^match: "([^"\\]*)"$', text, re.MULTILINE)
    try:
        return line is None or _is_true(parse_expression(line[1]), config)
    except ExpressionProblem:
        return True


def _is_true(match: Expression, config: Mapping[str, Any]) -> bool:
    try:
        return match.value({"c": config}) is True
    except ExpressionProblem:
        return False


def families() -> dict[str, Family]:
    """The families of published configurations that come with the package and with plugins, by name."""
    return {family.name: family for family in _every() if family.file.layout is None}


def originals() -> dict[str, Family]:
    """Those that have a layout of files of their own, by the name of the layout."""
    return {family.file.layout.name: family for family in _every() if family.file.layout is not None}


def family_named(name: str) -> Family:
    """The family that a spec's `weights` names.  Raises `SpecError` E539, and `PluginError` E420 for several."""
    line = re.compile(rf"^family: ([\"']?){re.escape(name)}\1\s*(?:#.*)?$", re.MULTILINE)
    found = [each for each, text in _texts() if line.search(text)]
    usable = [family for family in _families(found) if family.file.layout is None]
    if len(usable) > 1:
        raise PluginError(clash("family", name, found))
    if not usable:
        known = families()
        broken = "; ".join(problem.message for problem in map(_read, found) if isinstance(problem, Problem))
        hint = broken or did_you_mean(name, known) or f"one of: {', '.join(known)}"
        fail(SpecError, "E539", f"no family is called {name!r}", path="weights", hint=hint)
    return usable[0]
