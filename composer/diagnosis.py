"""All that is wrong with a spec whose shape is wrong: what can still be checked, is."""

from __future__ import annotations

import re
from typing import Any

from .errors import Problem, SpecError
from .origins import Origins
from .plugins import Catalog
from .reading import spec_from
from .resolving import resolve

# What stands in for a part of a spec that cannot be used; nothing is concluded from it.
_STAND_IN = {
    "composer": 1,
    "name": "?",
    "vocab_size": 2**24,
    "hidden_size": 1,
    "norm": {"kind": "rms", "eps": 1},
}
# Problems that do not depend on what stands in: mistakes inside the pattern, options, names of blocks.
_SURE = re.compile(r"E20[1-8]|E212|E30[134]|E319|E32[0-4]|E329|E33[01]|E34[56]")


def further_problems(
    data: dict[str, Any], origins: Origins, known: tuple[Problem, ...], catalog: Catalog
) -> list[Problem]:
    """What is wrong with the blocks and the pattern of a spec that was refused because of `known`."""
    wrong = {problem.path.split(".")[0] or problem.expected for problem in known}
    blocks = data.get("blocks")
    if "blocks" in wrong or not isinstance(blocks, dict) or not blocks:
        return []
    rest = {key: value for key, value in data.items() if key not in wrong}
    try:
        spec = spec_from({**_STAND_IN, "pattern": "?", **rest}, origins)
        resolve(spec, catalog, head="base")
    except SpecError as error:
        found = [problem for problem in error.problems if _SURE.fullmatch(problem.code)]
        return [
            problem for problem in found if problem.path.split(".")[0] not in {*wrong, "pattern"} - {*rest}
        ]
    return []
