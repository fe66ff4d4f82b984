"""From YAML to a Spec: ancestors merged, `--set` applied, the shape checked, every error at once.

Merging: mappings merge key by key, scalars and lists replace, and `null` is a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from os.path import isfile  # unlike Path.is_file, false for a name no file can have
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from .assignments import assigned, read_assignment
from .errors import SpecError, did_you_mean, fail
from .origins import Origins, Written, merge
from .shipped import shipped_specs, spec_file
from .source import Document, read_document, read_file
from .source.invalid import problems_of, shown
from .source.letters import punctuation_hint
from .spec import Spec

MOST_ANCESTORS = 16


def read_spec(what: str | Path, set: Sequence[str] = ()) -> Spec:
    """The spec in a file, in YAML text (anything with a newline), or shipped under a name.

    `set` holds `path=value` assignments, the value in YAML.  Raises SpecError with every problem, and
    PluginError E420 for a name under which several plugins ship a spec.
    """
    return check_spec(chain(find_document(what)), set)


def find_document(what: str | Path) -> Document:
    """The YAML document that `what` names."""
    if isinstance(what, str) and "\n" in what:
        return read_document(what, "<text>")
    path = Path(what)
    if path.suffix in (".yaml", ".yml") or isfile(path):
        return read_file(path)
    if shipped := spec_file(what):
        return read_file(shipped)
    fail(
        SpecError,
        "E310",
        f"there is no file and no shipped spec {str(what)!r}",
        hint=did_you_mean(str(what), shipped_specs())
        or f"give a file, or one of {', '.join(shipped_specs())}",
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
                hint="one of them has to be complete by itself",
            )
        if len(documents) >= MOST_ANCESTORS:
            fail(
                SpecError,
                "E312",
                f"more than {MOST_ANCESTORS} specs extend one another",
                place=here.place(("extends",)),
                path="extends",
                hint="extend one that is nearer to the base",
            )
        seen.add(identity(found))
        documents.append(found)
    return documents


def identity(document: Document) -> str:
    """What makes two documents the same file."""
    path = Path(document.name)
    return str(path.resolve()) if isfile(path) else document.name


def find_parent(document: Document, parent: Any) -> Document:
    """The spec that `extends` names: a relative path inside the spec's folder, or a shipped name."""
    place = document.place(("extends",))
    if not isinstance(parent, str) or not parent:
        fail(
            SpecError,
            "E313",
            f"expected the name of a spec, found {shown(parent)}",
            place=place,
            path="extends",
            hint="write a shipped name, or a file beside this one such as base.yaml",
        )
    if not parent.endswith((".yaml", ".yml")):
        if shipped := spec_file(parent):
            return read_file(shipped)
        fail(
            SpecError,
            "E310",
            f"no shipped spec is called {parent!r}",
            place=place,
            path="extends",
            hint=did_you_mean(parent, shipped_specs()) or "the name of a file ends in .yaml",
        )
    pure = PurePosixPath(parent)
    if pure.is_absolute() or ".." in pure.parts or "\\" in parent or ":" in parent:
        fail(
            SpecError,
            "E314",
            f"{parent!r} leads out of the folder of this spec",
            place=place,
            path="extends",
            hint="write a relative path without '..'",
        )
    folder = Path(document.name).parent
    if not isfile(folder / pure):
        fail(
            SpecError,
            "E315",
            f"there is no file {parent!r} beside this spec",
            place=place,
            path="extends",
            hint=did_you_mean(parent, (path.name for path in folder.glob("*.y*ml"))),
        )
    return read_file(folder / pure)


def check_spec(written: Sequence[Written], assignments: Sequence[str] = ()) -> Spec:
    """One Spec out of documents (nearest first) and assignments, the last of which wins."""
    return spec_from(*merged(written, assignments))


def merged(written: Sequence[Written], assignments: Sequence[str] = ()) -> tuple[dict[str, Any], Origins]:
    """The data of documents and assignments laid on each other, and where each part of it was written."""
    data: Any = {}
    for document in reversed(written):
        if not isinstance(document.data, dict):
            fail(
                SpecError,
                "E316",
                "a spec is a mapping of keys to values",
                place=document.place(()),
                hint=punctuation_hint(str(document.data)) or "begin with `composer: 1`",
            )
        data = merge(data, document.data)
    data.pop("extends", None)
    documents = list(written)
    for text in [assignments] if isinstance(assignments, str) else assignments:
        each = read_assignment(text, data)
        for path, value in each.parts:
            data = assigned(data, path, value)
        documents.insert(0, each)
    return data, Origins(documents)


def spec_from(data: dict[str, Any], origins: Origins) -> Spec:
    """A Spec of the right shape, which knows where it was written."""
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        raise SpecError(*problems_of(error, origins, (), Spec)) from None
    spec._origins = origins
    return spec
