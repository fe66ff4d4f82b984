"""What a model argument names: a shipped spec, a spec file, stdin, or a checkpoint folder. No torch."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from composer.cli.output import stdin_text
from composer.cli.typed import typed
from composer.diagnosis import further_problems
from composer.errors import SpecError, UsageError, WeightsError, did_you_mean, fail
from composer.origins import Written
from composer.plan import Plan
from composer.plugins import catalog
from composer.reading import chain, check_spec, find_document, merged, spec_from
from composer.resolving import resolve
from composer.shipped import checkpoint_folder, shipped_specs
from composer.source import Document, read_document
from composer.spec import Spec

SPEC, CONFIG = "composer.yaml", "config.json"
MOST_BYTES = 2**24
STDIN = "-"


def read_model(what: str, assignments: Sequence[str] = (), like: str | None = None) -> Plan:
    """The plan of a model argument; with `like` it is a pattern, and all else is that of another model."""
    return resolve(spec_of(what, assignments) if like is None else spec_like(what, like, assignments))


def spec_of(what: str, assignments: Sequence[str] = ()) -> Spec:
    """The spec of a model argument, with assignments."""
    if what == STDIN:
        return checked(read_document(stdin_text(), "<stdin>"), assignments)
    folder = pathlib.Path(what)
    return spec_in(folder, assignments) if folder.is_dir() else checked(find_document(what), assignments)


def checked(document: Document, assignments: Sequence[str], *nearer: Written) -> Spec:
    """The spec of a document with what wins over it; refused with all that is wrong with it."""
    data, origins = merged([*nearer, *chain(document)], assignments)
    try:
        return spec_from(data, origins)
    except SpecError as error:
        more = further_problems(data, origins, error.problems, catalog())
        raise SpecError(*error.problems, *more) from None


def spec_in(folder: pathlib.Path, assignments: Sequence[str]) -> Spec:
    """The spec of a checkpoint folder: our own file, or what the published configuration says."""
    if (folder / SPEC).is_file():
        return checked(find_document(folder / SPEC), assignments)
    file = published_config(folder)
    if file is not None:
        return spec_of_config(file, assignments)
    message = f"the folder {folder} holds no {SPEC} and no {CONFIG} of a sensible size"
    fail(WeightsError, "E904", message, hint="give a checkpoint folder, a spec file or the name of a spec")


def published_config(folder: pathlib.Path) -> pathlib.Path | None:
    """The published configuration in a folder, in any layout; None if there is none of a sensible size."""
    from composer.layout.importing import config_file

    file = folder / config_file(folder)
    return file if file.is_file() and file.stat().st_size <= MOST_BYTES else None


def spec_of_config(file: pathlib.Path, assignments: Sequence[str]) -> Spec:
    """The spec that a family file makes of a published configuration."""
    from composer.layout.importing import import_config, read_config, spec_name

    spec = import_config(read_config(file.read_bytes(), str(file)), spec_name(file.parent), str(file))
    return check_spec(spec.origins.documents, assignments) if assignments else spec


def spec_like(pattern: str, base: str, assignments: Sequence[str]) -> Spec:
    """The spec of another model with this pattern."""
    if pathlib.Path(base).is_dir() or base == STDIN:
        fail(UsageError, "E905", f"--like takes the name or the file of a spec, not {base!r}")
    return checked(find_document(base), assignments, typed(pattern, f"{pattern} like {base}"))


def weights_of(what: str) -> pathlib.Path:
    """The checkpoint folder of a model argument; a shipped name may have one beside its spec."""
    folder = checkpoint_folder(what)
    if not folder.is_dir():
        hint = did_you_mean(what, shipped_specs()) or "give a checkpoint folder"
        fail(UsageError, "E908", f"there is no folder and no shipped model {what!r}", hint=hint)
    return folder
