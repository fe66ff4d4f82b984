"""Checks of what a block says about itself, against what it builds and does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from composer.block import Block, flops_of
from composer.nn import build
from composer.nn.slots import Keys, KeyValues
from composer.nn.states import States
from composer.nn.step import Step
from composer.spec import INIT, Draw

from .bench import Bench
from .cases import some
from .findings import broken, expect

FAR = 2**16
"""A token so late that every window is behind it."""


def options(bench: Bench) -> None:
    """Options are described and frozen, survive YAML, and settling twice changes nothing."""
    block, kind = bench.block, type(bench.block)
    silent = [name for name, field in kind.model_fields.items() if not field.description]
    expect(not silent, f"options without a description: {', '.join(silent)}")
    loose = [name for name in kind.model_fields if changes(block.model_copy(), name)]
    expect(not loose, f"options that can be changed later: {', '.join(loose)}")
    written = yaml.safe_dump(block.model_dump(mode="json"))
    expect(kind.model_validate(yaml.safe_load(written)) == block, f"YAML turns {block!r} into something else")
    expect(block.settle(bench.site) == block, "settling the settled block changes it")
    expect(hash(block) == hash(block.model_copy()), "equal blocks have different hashes")
    expect(block.declares(bench.site) == bench.declared, "declares() says something else the second time")


def changes(block: Block, name: str) -> bool:
    """Whether an option can be given another value after the fact."""
    try:
        setattr(block, name, getattr(block, name))
    except (ValueError, AttributeError):
        return False
    return True


def parameters(bench: Bench) -> None:
    """Parameters have the declared names, shapes and order, a tensor each, and there are no buffers."""
    module = bench.block.build(bench.site)
    built = {name: tuple(p.shape) for name, p in module.named_parameters(remove_duplicate=False)}
    said = {name: param.shape for name, param in bench.declared.parameters()}
    for name in [*built, *said]:
        expect(name in said, f"{name} is a parameter that was not declared")
        expect(name in built, f"{name} was declared, but is no parameter")
        expect(built[name] == said[name], f"{name} has shape {built[name]}, declared {said[name]}")
    expect(list(built) == list(said), f"the order is {', '.join(built)}, declared {', '.join(said)}")
    tensors: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        other = tensors.setdefault(id(parameter), name)
        expect(other == name, f"{name} and {other} are one tensor: a name is a tensor of its own")
    buffers = [name for name, _ in module.named_buffers()]
    expect(not buffers, f"it has buffers: {', '.join(buffers)}; tables come from the step")


def initialisation(bench: Bench) -> None:
    """Every parameter names a kind that a spec's `init` can hold, and is drawn as that says."""
    draws = dict(INIT)
    for name, param in bench.declared.parameters():
        named = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", param.init)
        expect(named, f"{name} is drawn as {param.init!r}, which is no name for a kind of tensor")
        draws.setdefault(param.init, Draw(distribution="uniform", mean=0.5, spread=0.25))
    model = build(bench.plan_with(draws), seed=0)
    for name, param in bench.declared.parameters():
        drawn = bench.mixer(model).get_parameter(name)
        expect_drawn(name, drawn.detach(), draws[param.init])


def expect_drawn(name: str, tensor: Tensor, how: Draw) -> None:
    """Mean and deviation within six standard errors of the described ones."""
    count = tensor.numel()
    spread = how.spread / 3**0.5 if how.distribution == "uniform" else how.spread
    spread = 0.0 if how.distribution == "constant" else spread
    mean = float(tensor.double().mean())
    expect(abs(mean - how.mean) <= 6 * spread / count**0.5, f"{name} has mean {mean:.3g}, not {how.mean:.3g}")
    if count > 1:
        found = float(tensor.double().std())
        near = abs(found - spread) <= 6 * spread / (2 * count) ** 0.5
        expect(near, f"{name} deviates by {found:.3g}, not {spread:.3g}")


def memory(bench: Bench) -> None:
    """The slot is used once a call, with tensors as declared, takes the declared bytes, and keeps nothing unseen."""
    model = bench.model()
    cache = model.new_cache(2, max_length=bench.tokens, rollback=2)
    size = bench.plan.cache_bytes(bench.tokens, batch=2, rollback=2, element_size=4)
    expect(cache.nbytes == size, f"it takes {cache.nbytes} bytes, declared {size}")
    no_more_than_seen(bench)
    expected = 1 if bench.declared.slot else 0
    for each in (model, bench.model().bfloat16()):
        used: list[Any] = []
        cache = each.new_cache(2, max_length=bench.tokens)
        for kept in cache.slots[0].values():
            if isinstance(kept, KeyValues):
                watch(kept, used)
            else:
                watch_state(kept, used)
        for tokens in (3, 2, 1):
            used.clear()
            bench.run(each, bench.input(2, tokens).to(each.dtype), past_key_values=cache)
            times = f"used {len(used)} times, not {expected}"
            expect(len(used) == expected, f"in a call of {some(tokens, 'token')} its slot is {times}")


def no_more_than_seen(bench: Bench) -> None:
    """What nobody can see any more need not be kept."""
    slot = bench.declared.slot
    if slot is None or slot.kind != "kv":
        return
    seen = torch.as_tensor(bench.block.sees(FAR, torch.arange(FAR + 1))).expand(FAR + 1)
    reach = FAR + 1 - int(seen.int().argmax())
    kept = "all tokens" if slot.window is None else f"the newest {slot.window} tokens"
    fits = reach > FAR // 2 if slot.window is None else slot.window <= reach
    expect(fits, f"its slot keeps {kept}, but `sees` says that only the newest {reach} are seen")


def watch(slot: KeyValues, used: list[Any]) -> None:
    """Note each use of a slot, and hold what is put into it to the declared shapes."""
    put, shapes = slot.put, list(slot.slot.tensors.values())

    def noted(step: Step, values: tuple[Tensor, ...]) -> Keys:
        used.append(step)
        found = [tuple(value.shape) for value in values]
        said = [(len(step.starts), shape[0], step.width, *shape[1:]) for shape in shapes]
        expect(found == said, f"it remembers tensors of shapes {found}, declared {said}")
        return put(step, values)

    object.__setattr__(slot, "put", noted)


def watch_state(slot: States, used: list[Any]) -> None:
    """Note each time a state is handed back, and hold it to the declared shapes and to float32."""
    write = slot.write

    def noted(new: Mapping[str, Tensor]) -> None:
        used.append(new)
        found = {name: tuple(value.shape) for name, value in new.items()}
        said = {name: tuple(value.shape) for name, value in slot.read().items()}
        expect(found == said, f"it remembers tensors of shapes {found}, declared {said}")
        for name, value in new.items():
            expect(value.dtype == torch.float32, f"the state {name!r} is {value.dtype}, not torch.float32")
        write(new)

    object.__setattr__(slot, "write", noted)


def flops(bench: Bench) -> None:
    """Where FLOPs are declared, torch counts as many for a token as the last of 1, 6 and many tokens."""
    model = bench.model()
    model.attention = "reference"
    for context in (1, 6, bench.tokens):
        own = bench.block.flops(bench.site, context)
        if own is None:
            return
        said = own + flops_of(bench.declared.linears.values())
        cache = model.new_cache(1, max_length=bench.tokens)
        x = bench.input(1, context)
        if context > 1:
            bench.run(model, x[:, :-1], past_key_values=cache)
        with FlopCounterMode(display=False) as counter:
            bench.run(model, x[:, -1:], past_key_values=cache)
        found = counter.get_total_flops()
        if found != said:
            broken(f"token {context} takes {found} FLOPs, declared {said}")
