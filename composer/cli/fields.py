"""Command-line options out of a model of options: names, defaults and help stand there and nowhere else."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import click

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


NULL = object()
"""What `null` on the command line becomes until `given` makes it None: None itself is an absent option."""


def nullable(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type whose values may also be the word null."""

    def convert(text: str) -> Any:
        return NULL if text == "null" else kind(text)

    convert.__name__ = f"{kind.__name__} or null"  # how click calls the type
    return convert


def options_of(model: type[BaseModel]) -> Iterator[click.Option]:
    """One option for each field: `max_new_tokens` is `--max-new-tokens`.

    What is not given is None here: the model fills in its default.
    """
    for name, field in model.model_fields.items():
        yield option(name, field)


def option(name: str, field: FieldInfo) -> click.Option:
    """The option of one field; bounds are checked by the model, which has the better words."""
    flag = "--" + name.replace("_", "-")
    kind, several = kind_of(field.annotation)
    if field.default is not None and type(None) in get_args(field.annotation):
        kind = nullable(kind)
    text = f"{field.description}{default_of(field)}"
    if kind is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=text)
    return click.Option([flag, name], type=kind, multiple=several, default=None, help=text)


def default_of(field: FieldInfo) -> str:
    """The default, where it says something."""
    if field.default is None or isinstance(field.default, bool) or field.is_required():
        return ""
    shown = " ".join(field.default) if isinstance(field.default, tuple) else field.default
    return f"  [{shown}]"


def kind_of(annotation: Any) -> tuple[Any, bool]:
    """The type of one value, and whether several make up the option."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(arguments[0])
    if origin in (Union, types.UnionType):
        return kind_of(next(each for each in arguments if each is not type(None)))
    if origin is tuple:
        return kind_of(arguments[0])[0], True
    if origin is Literal:
        return click.Choice(list(arguments)), False
    return annotation, False


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were on the command line."""
    set_ = {name: value for name, value in values.items() if value is not None and value != ()}
    return {name: None if value is NULL else value for name, value in set_.items()}
