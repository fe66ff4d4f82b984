"""Tensors of a checkpoint into the parameters of a model: all is checked, then all is assigned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import torch
from torch import nn

from ..block import Param
from ..errors import Problem, WeightsError, did_you_mean
from ..layout.match import Match, match_names, of_head
from ..layout.names import MOST_LINES, folded
from ..layout.rows import WeightMap
from .checkpoint import Checkpoint, Shard
from .finite import Scan, not_finite
from .ops import Cut
from .verdict import FirstUse

_CAST_BYTES = 16 << 20
AT_ONCE_BYTES = 64 << 20
"""Mapped bytes whose numbers are looked at before a load returns: a few milliseconds."""


def materialize(
    model: nn.Module,
    weights: WeightMap,
    checkpoint: Checkpoint,
    device: torch.device | str = "cpu",
    whole: bool = True,
    scan: Scan | None = None,
    fresh: Collection[str] = (),
) -> None:
    """Give every parameter of `model` the tensor of its row, in the parameter's dtype, on `device`.

    A tensor that has the wanted dtype stays memory-mapped; any other is cast stretch by stretch, its pages
    going back as they are used.  The model is usually built on the meta device; nothing of it changes unless
    everything fits.  `whole` is false when the model has not the head that is stored: then its own, if it has
    one, stays as it is, as do the parameters in `fresh`.  `scan` is `checkpoint.scan` of the model's dtype,
    begun earlier.

    Raises `WeightsError` with all problems of one pass: E511 missing, E512 unexpected, E513 wrong shape,
    E514 not floating point; then E515 copies that differ; then E516 numbers that are not finite.  Numbers are
    looked at in the background where they are many: then E516 comes from the first use of the model.
    """
    wanted = dict(model.named_parameters())
    match = check_fit(wanted, weights, checkpoint, whole, fresh)
    if problems := _check_copies(match, checkpoint):
        raise WeightsError(*problems)
    shapes = {name: tuple(parameter.shape) for name, parameter in wanted.items()}
    ready = {
        ours: read_as(
            checkpoint.shard(theirs),
            theirs,
            cut_of(match, ours, shapes),
            wanted[ours].dtype,
            torch.device(device),
        )
        for ours, theirs in match.filled.items()
    }
    verdict = FirstUse(lambda: _broken_numbers(ready, match, checkpoint, scan))
    if scan is None or scan.nbytes <= AT_ONCE_BYTES:
        verdict()
    _assign(model, wanted, ready)
    verdict.guard(model)


def check_fit(
    wanted: Mapping[str, nn.Parameter | Param],
    weights: WeightMap,
    checkpoint: Checkpoint,
    whole: bool = True,
    fresh: Collection[str] = (),
) -> Match:
    """Which tensor is which parameter, where names, shapes and kinds of number fit; it takes no model to say.

    Raises `WeightsError` E511 to E514 as `materialize`, and E532 for parameters without a row.
    """
    match = match_names(weights, wanted, checkpoint.names(), whole, fresh)
    lost = [name for name in wanted if name not in match.filled and name not in fresh]
    headless = whole and all(map(of_head, lost))
    problems = _check_names(match, checkpoint, headless) + _check_forms(wanted, match, checkpoint)
    if problems:
        raise WeightsError(*problems)
    return match


def _check_names(match: Match, checkpoint: Checkpoint, headless: bool) -> list[Problem]:
    missing = _each("E511", checkpoint, "this tensor is missing", match.missing)
    if missing and headless:
        missing[0] = replace(missing[0], hint='a model without a head loads with head="base"')
    near = did_you_mean(match.missing[0], match.unexpected[:500]) if missing else ""
    if near:  # one suggestion is enough to see what the names have in common
        missing[0] = replace(
            missing[0], hint=near.replace("did you mean", "is it").replace("?", ", not used?")
        )
    return missing + _each("E512", checkpoint, "the model has no parameter for this tensor", match.unexpected)


def _each(code: str, checkpoint: Checkpoint, message: str, names: Iterable[str]) -> list[Problem]:
    return [Problem(code, f"{checkpoint.folder}: {message}: {name}") for name in folded(dict.fromkeys(names))]


def cut_of(match: Match, ours: str, shapes: Mapping[str, tuple[int, ...]]) -> Cut:
    """Which part of its stored tensor a parameter is, where `shapes` are those of all parameters."""
    row = match.rows[ours]
    if not row.split:
        return Cut(shapes[ours], row.op)
    rows = {part: shapes[part][0] for part in row.split if part in shapes}
    before = row.split[: row.split.index(ours)]
    return Cut(shapes[ours], row.op, sum(rows.get(part, 0) for part in before), sum(rows.values()))


def _check_forms(
    wanted: Mapping[str, nn.Parameter | Param], match: Match, checkpoint: Checkpoint
) -> list[Problem]:
    ours_are = {name: tuple(parameter.shape) for name, parameter in wanted.items()}
    shapes: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = {}
    kinds: dict[str, list[str]] = {}
    for ours, theirs in match.filled.items():
        entry, shape = checkpoint.entry(theirs), cut_of(match, ours, ours_are).stored_shape
        if entry.shape != shape:
            shapes.setdefault((entry.shape, shape), []).append(theirs)
        if entry.dtype not in ("F16", "BF16", "F32", "F64"):
            kinds.setdefault(entry.dtype, []).append(theirs)
    problems = []
    for (stored, shape), names in shapes.items():
        message = f"the model needs shape {list(shape)}, stored is {list(stored)}"
        problems += _each("E513", checkpoint, message, names)
    for kind, names in kinds.items():
        problems += _each("E514", checkpoint, f"{kind} is stored where the model needs floating point", names)
    return problems


def _check_copies(match: Match, checkpoint: Checkpoint) -> list[Problem]:
    """Names that stand for one parameter must hold the same bytes."""
    problems = []
    for one, other in match.equal:
        a, b = checkpoint.entry(one), checkpoint.entry(other)
        same = (a.dtype, a.shape) == (b.dtype, b.shape) and _same_bytes(checkpoint, one, other)
        if not same:
            what = "stand for one parameter but hold different numbers"
            problems.append(Problem("E515", f"{checkpoint.folder}: {one} and {other} {what}"))
    if len(problems) > MOST_LINES:
        left = f"{checkpoint.folder}: {len(problems) - MOST_LINES + 1} more pairs of names hold different numbers"
        problems[MOST_LINES - 1 :] = [Problem("E515", left)]
    return problems


def _same_bytes(checkpoint: Checkpoint, one: str, other: str) -> bool:
    a, b = (checkpoint.shard(name).passing(name).view(-1).view(torch.uint8) for name in (one, other))
    step = _CAST_BYTES
    same = all(torch.equal(a[at : at + step], b[at : at + step]) for at in range(0, a.numel(), step))
    for name in (one, other):
        checkpoint.shard(name).forget(name)
    return same


def _broken_numbers(
    ready: Mapping[str, torch.Tensor], match: Match, checkpoint: Checkpoint, scan: Scan | None
) -> list[Problem]:
    """E516 for every kind of number that no model can hold."""
    broken: dict[str, list[str]] = {}
    for ours in not_finite(ready, scan):
        theirs, dtype = match.filled[ours], ready[ours].dtype
        stored = not_finite({theirs: checkpoint.tensor(theirs)})
        what = "numbers that are not finite (NaN, infinity)" if stored else f"numbers too large for {dtype}"
        broken.setdefault(what, []).append(theirs)
    each = (_each("E516", checkpoint, what, names) for what, names in broken.items())
    return [problem for problems in each for problem in problems]


def read_as(
    shard: Shard, name: str, cut: Cut, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """A part of a tensor in `dtype` on `device`: the mapped one if it can be, else a copy, made in stretches.

    The pages that a copy is made from leave memory as they are read.
    """
    device = torch.device(device)
    if shard.dtype(name) == dtype and device.type == "cpu":
        mapped = cut.of(shard.tensor(name))
        if mapped.is_contiguous():
            return mapped.view(cut.shape)
    whole = shard.passing(name)
    stored = cut.of(whole)
    copy = torch.empty(cut.shape, dtype=dtype, device=device)
    _copy(copy, stored, lambda begin, end: shard.forget(name, begin, end), whole.data_ptr())
    return copy


def _copy(copy: torch.Tensor, stored: torch.Tensor, forget: Callable[[int, int], None], origin: int) -> None:
    """Fill `copy` stretch by stretch along the dimension that is outermost in the file."""
    if stored.is_contiguous():
        stored = stored.view(-1)
    goal, strides = copy.view(stored.shape), stored.stride()
    outer = strides.index(max(strides))
    width = max(1, strides[outer]) * stored.element_size()
    step, first = max(1, _CAST_BYTES // width), stored.data_ptr() - origin
    for begin in range(0, stored.shape[outer], step):
        count = min(step, stored.shape[outer] - begin)
        goal.narrow(outer, begin, count).copy_(stored.narrow(outer, begin, count))
        forget(first + begin * width, first + (begin + count) * width)


def _assign(model: nn.Module, wanted: dict[str, nn.Parameter], ready: dict[str, torch.Tensor]) -> None:
    """Replace each parameter wherever a module holds it (a tied or shared one has several holders)."""
    fresh = {
        id(wanted[name]): nn.Parameter(tensor, requires_grad=wanted[name].requires_grad)
        for name, tensor in ready.items()
    }
    for module in model.modules():
        for leaf, old in module._parameters.items():
            if old is not None and id(old) in fresh:
                module._parameters[leaf] = fresh[id(old)]
