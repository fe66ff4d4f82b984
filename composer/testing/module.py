"""Checks of a block's module as a torch module: training, precision, devices, files, compilers."""

from __future__ import annotations

import copy
import os
import pickle
import warnings
from collections.abc import Iterator

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from composer.nn import Model

from .bench import Bench
from .cases import Case
from .feeding import feed, text_of
from .findings import apart, expect, expect_close, hold
from .tolerance import TOLERANCE

FEW = Case.of(2, 6)
"""Where the number of tokens decides nothing."""


def repeats(bench: Bench) -> None:
    """A call leaves nothing behind: not for the next one, not in the weights, and not in another cache."""
    hold(bench, _repeats, FEW)
    hold(bench, _in_turn, Case.of(2, 2, 2, 2))


def _repeats(bench: Bench, case: Case) -> None:
    model, x = bench.model(), text_of(bench, case)
    expected = bench.run(bench.model(), x)
    before = set(_held(model))
    bench.run(model, 3 * bench.input(case.rows, case.most, seed=1))
    kept = sorted(set(_held(model)) - before)
    expect(not kept, f"it keeps a tensor after the call: {', '.join(kept)}")
    expect_close(bench.run(model, x), expected, "what it returns after another call")
    expect(
        torch.equal(bench.run(model, x), bench.run(model, x)), "the same call returns something else twice"
    )
    for (name, drawn), after in zip(bench.model().named_parameters(), model.parameters(), strict=True):
        expect(torch.equal(drawn, after), f"a call changes the parameter {name}")


def _held(model: Model) -> Iterator[str]:
    """Names of what modules hold in plain attributes, where there are tensors in it."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            parts = value.values() if isinstance(value, dict) else value
            parts = parts if isinstance(value, dict | list | tuple | set) else [value]
            if not name.startswith("_") and any(isinstance(part, Tensor) for part in parts):
                yield f"{path}.{name}, {len(parts)} in number"


def _in_turn(bench: Bench, case: Case) -> None:
    model, x = bench.model(), text_of(bench, case)
    expected = feed(bench, model, case, x)
    caches = model.new_cache(case.rows), model.new_cache(case.rows)
    outs, start = [], 0
    for counts in case.calls:
        part = x[:, start : start + counts[0]]
        outs.append(bench.run(model, part, past_key_values=caches[0]))
        bench.run(model, part.flip(0, 1), past_key_values=caches[1])
        start += counts[0]
    whole = torch.stack([torch.cat(parts) for parts in expected])
    expect_close(torch.cat(outs, 1), whole, "a cache used in turn with another one")


def input_kept(bench: Bench) -> None:
    """The stream that the block reads is the same after the call."""
    hold(bench, _input_kept, FEW)


def _input_kept(bench: Bench, case: Case) -> None:
    model, given = bench.model(), []
    bench.mixer(model).register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    bench.run(model, text_of(bench, case))
    (x,) = given
    expect_close(x, text_of(bench, case)[..., : bench.site.reads], "its input after the call")


def dropout(bench: Bench) -> None:
    """Chance plays a part in training only, only where an option says so, and repeats under a seed."""
    hold(bench, _dropout, FEW)


def _dropout(bench: Bench, case: Case) -> None:
    model, x = bench.model(), text_of(bench, case)
    state = torch.get_rng_state()
    still = bench.run(model, x)
    expect(torch.equal(state, torch.get_rng_state()), "it draws random numbers in evaluation")
    expect(torch.equal(bench.run(model, x), still), "it returns something else each time in evaluation")
    model.train()
    first, second = (_seeded(bench, model, x) for _ in range(2))
    expect(torch.equal(first, second), "training does not repeat under torch.manual_seed")
    rates = [name for name, value in bench.block if "dropout" in name and value]
    moved = apart(first, still) > 1e-3
    expect(moved or not rates, f"{', '.join(rates)} changes nothing in training")
    expect(rates or not moved, "it returns something else in training, but no dropout is set")
    after = bench.run(model.eval(), x)
    expect(torch.equal(after, still), "calls in training change what it returns in evaluation")


def _seeded(bench: Bench, model: Model, x: Tensor) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return bench.run(model, x)


def half(bench: Bench) -> None:
    """In bfloat16 and float16 it stays in that dtype, finite, and near what float32 returns."""
    hold(bench, _half, Case.of(2, bench.tokens))


def _half(bench: Bench, case: Case) -> None:
    x = text_of(bench, case)
    expected = bench.run(bench.model(), x)
    for dtype in (torch.bfloat16, torch.float16):
        out = bench.run(bench.model().to(dtype), x.to(dtype))
        expect(out.dtype == dtype, f"it returns {out.dtype} for {dtype}")
        expect(out.isfinite().all(), f"in {dtype} something is not finite")
        error = (out.float() - expected).square().mean().sqrt() / expected.square().mean().sqrt()
        most = TOLERANCE[dtype]
        expect(error <= most, f"in {dtype} it is {float(error):.2g} away from float32, {most:.2g} allowed")


def meta(bench: Bench) -> None:
    """Building on the meta device takes no memory, and nothing that building computes matters."""
    with torch.device("meta"):
        built = bench.block.build(bench.site)
    real = [name for name, tensor in _tensors(built) if not tensor.is_meta]
    expect(not real, f"{', '.join(real)} takes memory on the meta device")
    registered = set(dict(built.named_parameters())) | set(dict(built.named_buffers()))
    kept = {name for name, _ in _tensors(built)} - registered
    expect(not kept, f"{', '.join(sorted(kept))} is a tensor that is no parameter")
    model, x = bench.model(), bench.input(2, 6)
    expected = bench.run(model, x)
    again = bench.block.build(bench.site)
    again.load_state_dict(bench.mixer(model).state_dict())
    model.layers[0].add_module("mixer", again.eval())
    expect_close(bench.run(bench.bare(model), x), expected, "a module built with memory")


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that a module holds: parameters, buffers, and plain attributes."""
    for path, each in module.named_modules():
        held = {**each._parameters, **each._buffers, **vars(each)}
        for name, value in held.items():
            if isinstance(value, Tensor):
                yield f"{path}.{name}".lstrip("."), value


def saving(bench: Bench) -> None:
    """Its state travels through a safetensors file to the last bit, and is all that another module needs."""
    hold(bench, _saving, FEW)


def _saving(bench: Bench, case: Case) -> None:
    model, other, x = bench.model(seed=0), bench.model(seed=1), text_of(bench, case)
    expected, _ = bench.run(model, x), bench.run(other, x)  # both have been at work
    state = load(save(dict(bench.mixer(model).state_dict())))
    bench.mixer(other).load_state_dict(state, strict=True)
    found = bench.run(other, x)
    expect_close(found, expected, "a module that was loaded")
    expect(torch.equal(found, expected), "a module that was loaded returns other bits")


def copies(bench: Bench) -> None:
    """Options and modules can be copied, and options pickled; copies are equal and apart."""
    block = bench.block
    expect(copy.deepcopy(block) == block, "a deep copy of the options is not equal")
    expect(pickle.loads(pickle.dumps(block)) == block, "pickled options are not equal")
    hold(bench, _copies, FEW)


def _copies(bench: Bench, case: Case) -> None:
    model, x = bench.model(), text_of(bench, case)
    expected = bench.run(model, x)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    expect_close(
        bench.run(twin, x), expected, "a deep copy, after the weights it was made from have changed,"
    )


def prepared(bench: Bench) -> None:
    """Packed for inference it returns the same, and other weights, training and copies leave that form."""
    hold(bench, _prepared, FEW)


def _prepared(bench: Bench, case: Case) -> None:
    model, other, x = bench.model(), bench.model(seed=1), text_of(bench, case)
    expected = bench.run(other, x)
    plain = bench.run(model, x)
    expect_close(bench.run(model.prepare(), x), plain, "the packed module")
    expect_close(bench.run(copy.deepcopy(model), x), plain, "a copy of the packed module")
    model.load_state_dict(other.state_dict())
    expect_close(bench.run(model, x), expected, "the packed module after other weights were loaded")
    with torch.no_grad():
        for parameter in model.prepare().train().parameters():
            parameter.mul_(0.5)
    fresh = bench.model(seed=1)
    for parameter in fresh.parameters():
        parameter.data.mul_(0.5)
    expect_close(bench.run(model.eval(), x), bench.run(fresh, x), "the packed module after training")


def compiling(bench: Bench) -> None:
    """torch.compile changes nothing, without a cache and with one."""
    hold(bench, _compiled, FEW)


def _compiled(bench: Bench, case: Case) -> None:
    backend = "inductor" if os.environ.get("COMPOSER_PROVE") == "1" else "eager"
    model, x = bench.model(), text_of(bench, case)
    expected = bench.run(model, x)
    sizes = [case.most - 2, 1, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the compiler's own, at its import
        bench.mixer(model).compile(backend=backend)
        try:
            compiled = bench.run(model, x)
            cached = bench.fed(model, x, sizes, model.new_cache(case.rows, max_length=case.most))
        finally:
            torch.compiler.reset()
    expect_close(compiled, expected, "the compiled module")
    expect_close(cached, expected, "the compiled module over a cache")
