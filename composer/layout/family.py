"""Families: files that say how the `config.json` of a model becomes a spec, and back; no Python knows one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from ..block import Frozen
from ..errors import Problem, SpecError, did_you_mean, fail
from ..shipped import specs_folder
from ..source import Document, problems_of, read_file
from .expressions import Expression, parse_expression
from .rows import Row, WeightMap
from .template import Template
from .tree import ExpressionProblem

_Form = TypeVar("_Form", bound=Frozen)


class RowEntry(Frozen):
    """The tensor of one parameter where a bare name does not say enough."""

    names: list[str] = Field(alias="from", min_length=1, description="Its names; those present must agree.")
    tied: str | None = Field(
        default=None, description="The parameter that stands in when the model has not this one of its own."
    )


class Keys(Frozen):
    """Keys of a configuration that are not read, and why that is right."""

    ignored: dict[str, str] = Field(default={}, description="Keys of no influence, each with the reason.")
    only: dict[str, list[Any]] = Field(
        default={}, description="Keys of no influence as long as they have one of these values."
    )


class FamilyFile(Keys):
    """A family as written.  Expressions read `c` (the configuration) or `p` (the plan), and named ones."""

    family: str = Field(min_length=1, description="Its name, which `weights` of a spec gives.")
    match: str = Field(description="Expression over c: whether a configuration belongs to the family.")
    includes: str | None = Field(default=None, description="A file beside this one with more keys not read.")
    defaults: dict[str, Any] = Field(description="What an absent key of the configuration means.")
    let: dict[str, str] = Field(default={}, description="Names for expressions over c, in order.")
    checks: dict[str, str] = Field(
        default={}, description="Expressions that must be true, each with the sentence for when it is not."
    )
    spec: dict[str, Any] = Field(description="The spec; strings that begin with '= ' are expressions.")
    back: dict[str, str] = Field(default={}, description="Names for expressions over p, in order.")
    config: dict[str, Any] = Field(
        description="The configuration; strings that begin with '= ' are expressions."
    )
    prefix: str = Field(default="", description="What the names of a checkpoint without a head lack.")
    weights: dict[str, str | RowEntry] = Field(description="Our parameter names to those of a checkpoint.")
    ignore: dict[str, str] = Field(
        default={}, description="Tensors that are passed over, each with the reason."
    )


class Family:
    """A family file, checked, with its expressions parsed."""

    def __init__(self, document: Document, others: Mapping[str, Document]) -> None:
        self.document = document
        file = self.file = _checked(document, FamilyFile)
        self.name = file.family
        shared = _included(document, file.includes, others) if file.includes else Keys()
        self.ignored = {*shared.ignored, *file.ignored}
        self.only = {**shared.only, **file.only}
        parts = Parts(document)
        self.match = parts.expression(file.match, ("match",))
        self.let = {name: parts.expression(text, ("let", name)) for name, text in file.let.items()}
        self.checks = {parts.expression(text, ("checks", text)): why for text, why in file.checks.items()}
        self.back = {name: parts.expression(text, ("back", name)) for name, text in file.back.items()}
        self.spec = parts.template(file.spec, ("spec",))
        self.config = parts.template(file.config, ("config",))
        parts.stop()
        self.reads = {name: self._reads(name) for name in ("c", *self.let)}

    @property
    def weights(self) -> WeightMap:
        """The rows of the weight map."""
        rows = (_row(ours, theirs) for ours, theirs in self.file.weights.items())
        return WeightMap(tuple(rows), tuple(self.file.ignore), self.file.prefix)

    def _reads(self, name: str) -> set[str]:
        """Every K that the family reads as `name.K` when it makes a spec."""
        expressions = [self.match, *self.let.values(), *self.checks, *self.spec.expressions()]
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

    def stop(self) -> None:
        """Raise what was found."""
        if self.problems:
            raise SpecError(*self.problems)


def _checked(document: Document, form: type[_Form]) -> _Form:
    try:
        return form.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(*problems_of(error, document, (), form)) from None


def _included(document: Document, name: str, others: Mapping[str, Document]) -> Keys:
    if name not in others:
        place, hint = document.place(("includes",)), did_you_mean(name, others)
        fail(SpecError, "E537", f"there is no {name}.yaml beside this file", place=place, hint=hint)
    return _checked(others[name], Keys)


def _row(ours: str, theirs: str | RowEntry) -> Row:
    return Row(ours, (theirs,)) if isinstance(theirs, str) else Row(ours, tuple(theirs.names), theirs.tied)


@cache
def families() -> dict[str, Family]:
    """The families that come with the package, by name."""
    documents = {path.stem: read_file(path) for path in sorted((specs_folder() / "families").glob("*.yaml"))}
    found = [Family(document, documents) for document in documents.values() if "family" in document.data]
    return {family.name: family for family in found}


def family_named(name: str) -> Family:
    """The family that a spec's `weights` names.  Raises `SpecError` E539."""
    found = families()
    if name not in found:
        hint = did_you_mean(name, found) or f"one of: {', '.join(found)}"
        fail(SpecError, "E539", f"no family is called {name!r}", path="weights", hint=hint)
    return found[name]
