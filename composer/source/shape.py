"""Key paths inside a pydantic model: which parts of an error's location are keys, and what is beside them."""

from __future__ import annotations

import re
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from composer.errors import Path

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Located:
    """The location of an error without union tags, the outermost union on the way, and its member."""

    path: Path
    union: Path | None = None
    tag: str = ""


class Shape:
    """What a model has where; without a model only the names of its options are known."""

    def __init__(self, model: type[BaseModel] | None, names: tuple[str, ...] = ()) -> None:
        self._model, self._names = model, names

    def locate(self, loc: Path) -> Located:
        """Tell the keys of a location from the union tags in it."""
        return self._walk(loc)[0]

    def names(self, loc: Path) -> tuple[str, ...]:
        """The names of the options at a location."""
        if self._model is None:
            return self._names if not loc else ()
        kinds = self._walk(loc)[1]
        return tuple(name for kind in kinds for name in _fields(kind))

    def _walk(self, loc: Path) -> tuple[Located, list[Any]]:
        keys: list[str | int] = []
        union: Path | None = None
        tag = ""
        kinds = [self._model] if self._model else []
        for part in loc:
            if len(kinds) > 1:  # pydantic always names the member of a union before it goes on
                union, tag = (tuple(keys), str(part)) if union is None else (union, tag)
                kinds = [kind for kind in kinds if _is_called(kind, str(part))][:1]
            else:
                keys.append(part)
                kinds = _below(kinds[0], part) if kinds else []
        return Located(tuple(keys), union, tag), kinds


def _below(kind: Any, part: str | int) -> list[Any]:
    """The types that may stand under one key of a type."""
    fields = _fields(kind)
    if part in fields:
        return _members(fields[str(part)].annotation)
    arguments = [each for each in get_args(kind) if each is not Ellipsis]
    if get_origin(kind) is dict:
        return _members(arguments[-1])
    if get_origin(kind) is tuple and isinstance(part, int) and len(arguments) > 1:
        return _members(arguments[min(part, len(arguments) - 1)])
    return _members(arguments[0]) if get_origin(kind) in (list, tuple, set, frozenset) and arguments else []


def _members(kind: Any) -> list[Any]:
    """The members of a union without None, or the type itself; annotations are taken off."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [member for each in get_args(kind) for member in _members(each) if member is not type(None)]
    return [kind]


def _fields(kind: Any) -> dict[str, FieldInfo]:
    """The options of a model under the names that users write."""
    fields: dict[str, FieldInfo] = getattr(kind, "model_fields", {})
    return {field.alias or name: field for name, field in fields.items()}


def _is_called(kind: Any, tag: str) -> bool:
    """Whether pydantic's name for a member of a union means this type."""
    if get_origin(kind) is Literal:
        return tag.startswith("literal[")
    if fields := _fields(kind):
        choices = [_members(field.annotation)[0] for field in fields.values()]
        tags = [value for each in choices if get_origin(each) is Literal for value in get_args(each)]
        return re.search(rf"\b{re.escape(kind.__name__)}\b", tag) is not None or tag in tags
    return tag.startswith(getattr(get_origin(kind) or kind, "__name__", "?"))
