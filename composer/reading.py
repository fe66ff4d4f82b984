"""From YAML to a Spec: ancestors merged, `--set` applied, the shape checked, every error at once.

Merging: mappings merge key by key, scalars and lists replace, and `null` is a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from .assignments import assigned, read_assignment
from .errors import SpecError, did_you_mean, fail
from .origins import Origins, Written, merge
from .shipped import shipped_specs, specs_folder
from .source import Document, read_document, read_file
from .source.invalid import problems_of
from .spec import Spec

MOST_ANCESTORS = 16


def read_spec(what: str | Path, set: Sequence[str] = ()) -> Spec:
    """The spec in a file, in YAML text (anything with a newline), or shipped under a name.

    `set` holds `path=value` assignments, the value in YAML.  Raises SpecError with every problem.
    """
    return check_spec(chain(find_document(what)), set)


def find_document(what: str | Path) -> Document:
    """The YAML document that `what` names."""
    if isinstance(what, str) and "\n" in what:
        return read_document(what, "<text>")
    path = Path(what)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return read_file(path)
    shipped = specs_folder() / f"{what}.yaml"
    if str(what) in shipped_specs():
        return read_file(shipped)
    fail(
        SpecError,
        "E310",
        f"no spec is called {str(what)!r}",
        hint=did_you_mean(str(what), shipped_specs())
        or f"give a .yaml file or one of: {', '.join(shipped_specs())}",
    )


def chain(document: Document) -> list[Document]:
    """The document and its ancestors by `extends`, nearest first."""
    documents, seen = [document], {identity(document)}
    while isinstance(documents[-1].data, dict) and (parent := documents[-1].data.get("extends")) is not None:
        here = documents[-1]
        found = find_parent(here, parent)
        if identity(found) in seen:
            names = " extends ".join(d.name for d in [*documents, found])
            fail(
                SpecError,
                "E311",
                f"the specs extend each other in a circle: {names}",
                place=here.place(("extends",)),
                path="extends",
            )
        if len(documents) >= MOST_ANCESTORS:
            fail(
                SpecError,
                "E312",
                f"more than {MOST_ANCESTORS} specs extend each other",
                place=here.place(("extends",)),
                path="extends",
            )
        seen.add(identity(found))
        documents.append(found)
    return documents


def identity(document: Document) -> str:
    """What makes two documents the same file."""
    path = Path(document.name)
    return str(path.resolve()) if path.is_file() else document.name


def find_parent(document: Document, parent: Any) -> Document:
    """The spec that `extends` names: a relative path inside the spec's folder, or a shipped name."""
    place = document.place(("extends",))
    if not isinstance(parent, str) or not parent:
        fail(
            SpecError,
            "E313",
            f"extends is {parent!r}, which is no name of a spec",
            place=place,
            path="extends",
            hint="write a shipped name or a relative path such as base.yaml",
        )
    if not parent.endswith((".yaml", ".yml")):
        if parent in shipped_specs():
            return read_file(specs_folder() / f"{parent}.yaml")
        fail(
            SpecError,
            "E310",
            f"no spec is called {parent!r}",
            place=place,
            path="extends",
            hint=did_you_mean(parent, shipped_specs()),
        )
    pure = PurePosixPath(parent)
    if pure.is_absolute() or ".." in pure.parts or "\\" in parent or ":" in parent:
        fail(
            SpecError,
            "E314",
            f"extends: {parent!r} leaves the folder of the spec",
            place=place,
            path="extends",
            hint="give a relative path without '..'",
        )
    folder = Path(document.name).parent
    if not (folder / pure).is_file():
        fail(
            SpecError,
            "E315",
            f"extends: there is no file {parent!r} beside this spec",
            place=place,
            path="extends",
        )
    return read_file(folder / pure)


def check_spec(written: Sequence[Written], assignments: Sequence[str] = ()) -> Spec:
    """One Spec out of documents (nearest first) and assignments, the last of which wins."""
    data: Any = {}
    for document in reversed(written):
        if not isinstance(document.data, dict):
            fail(
                SpecError,
                "E316",
                "a spec is a mapping of keys to values",
                place=document.place(()),
                hint="begin with `composer: 1`",
            )
        data = merge(data, document.data)
    data.pop("extends", None)
    documents = list(written)
    for text in assignments:
        each = read_assignment(text, data)
        data = assigned(data, each.path, each.value)
        documents.insert(0, each)
    origins = Origins(documents)
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        raise SpecError(*problems_of(error, origins, (), Spec)) from None
    spec._origins = origins
    return spec
