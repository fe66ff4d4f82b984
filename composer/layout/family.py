"""Families: files that say how the `config.json` of a model becomes a spec, and back; no Python knows one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Literal, Self, TypeVar, cast

from pydantic import Field, ValidationError, model_validator

from ..block import Frozen
from ..errors import Problem, SpecError, did_you_mean, fail
from ..plan import Plan
from ..shipped import specs_folder
from ..source import Document, problems_of, read_file
from .expressions import Expression, parse_expression
from .frame import frame_of
from .ops import Op, OpName
from .rows import Row, WeightMap, When
from .template import Template
from .tree import ExpressionProblem

_Form = TypeVar("_Form", bound=Frozen)


class WhenEntry(Frozen):
    """Where a row holds."""

    word: str | None = Field(default=None, description="Layers with this word of the pattern.")
    guest: str | None = Field(default=None, description="Layers with this guest.")
    head: str | None = Field(default=None, description="Models with this kind of head.")


class OpEntry(Frozen):
    """An operation with its number: that of a dimension, or the rows of a head."""

    squeeze: int | None = Field(default=None, ge=0, description="A stored dimension of size 1 to leave out.")
    unsqueeze: int | None = Field(default=None, ge=0, description="A dimension of size 1 to put in.")
    unpair: int | str | None = Field(
        default=None, description="Rows of a head, or the option that says them: even ones first, then odd."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("name one operation")
        return self

    def op(self) -> Op:
        """The operation."""
        (name,) = self.model_fields_set
        return Op(cast(OpName, name), getattr(self, name))


class RowEntry(Frozen):
    """The tensor of one parameter where a bare name does not say enough."""

    names: str | list[str] = Field(alias="from", description="Its names; those present must agree.")
    tied: str | None = Field(
        default=None, description="The parameter that stands in when the model has not this one of its own."
    )
    op: Literal["transpose"] | OpEntry | None = Field(
        default=None, description="What turns the stored tensor into ours."
    )
    split: list[str] = Field(
        default=[],
        description="What `{part}` in our name stands for: the tensor holds these, one behind the other.",
    )
    when: WhenEntry = Field(default=WhenEntry(), description="Where the row holds.")

    def rows(self, ours: str) -> Iterator[Row]:
        """One row for each part."""
        names = (self.names,) if isinstance(self.names, str) else tuple(self.names)
        op = Op("transpose") if self.op == "transpose" else self.op.op() if self.op else None
        when = When(**self.when.model_dump())
        split = tuple(ours.replace("{part}", part) for part in self.split)
        for name in split or (ours,):
            yield Row(name, names, self.tied, op, split, when)


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
    weights: dict[str, str | RowEntry | list[RowEntry]] = Field(
        description="Our parameter names to those of a checkpoint; of several rows the first one that holds."
    )
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
        """The rows of the weight map, for models that share nothing."""
        rows = (row for ours, entry in self.file.weights.items() for row in _rows(ours, entry))
        return WeightMap(tuple(rows), tuple(self.file.ignore), self.file.prefix)

    def weights_of(self, plan: Plan) -> WeightMap:
        """The weight map for the model of a plan."""
        return replace(self.weights, frame=frame_of(plan))

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


def _rows(ours: str, entry: str | RowEntry | list[RowEntry]) -> Iterator[Row]:
    if isinstance(entry, str):
        yield Row(ours, (entry,))
    else:
        for each in entry if isinstance(entry, list) else [entry]:
            yield from each.rows(ours)


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
