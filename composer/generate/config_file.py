"""A published `generation_config.json` to options, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.errors import CallError, Problem, fail
from composer.generate.names import NOTES
from composer.generate.options import GenerationOptions


def read_generation_config(data: Any) -> tuple[GenerationOptions, tuple[Problem, ...]]:
    """The options that a parsed `generation_config.json` holds, and what in it could not be taken.

    A null counts as absent, as in transformers. Whoever loads a checkpoint decides whether the
    problems stop it; the options are usable either way.
    """
    if not isinstance(data, Mapping):
        found = type(data).__name__
        fail(CallError, "E744", f"a generation config maps option names to values, found a {found}")
    given = {str(k): v for k, v in data.items() if v is not None and k not in NOTES and k != "seed"}
    problems: list[Problem] = []
    while True:
        try:
            return GenerationOptions(**given), tuple(problems)
        except CallError as error:
            problems.extend(error.problems)
            for problem in error.problems:
                name = problem.path if problem.path in given else problem.path.split(".")[0]
                given.pop(name, None)


def from_generation_config(data: Any) -> GenerationOptions:
    """The options of a parsed `generation_config.json`.

    Raises `CallError` naming every key that is unknown, not taken here, or has an impossible value.
    """
    options, problems = read_generation_config(data)
    if problems:
        raise CallError(*problems)
    return options


def to_generation_config(options: GenerationOptions) -> dict[str, Any]:
    """What was set, as transformers writes it: JSON-ready, without nulls and without our `seed`."""
    given = options.given()
    if "top_k" in given:
        given["top_k"] = given["top_k"] or 0  # in a file, null means the default of 50
    written = {k: v for k, v in given.items() if v is not None and k != "seed"}
    for name in ("eos_token_id", "stop_strings"):
        if name in written:
            entries = list(written[name])
            written[name] = entries[0] if len(entries) == 1 else entries
    return written
