"""Checks of a block's module as a torch module: training, precision, devices, files, compilers."""

from __future__ import annotations

import copy
import os
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from .bench import Bench, apart, expect, expect_close


def repeats(bench: Bench) -> None:
    """A call leaves nothing behind: not for the next one, and not in another cache."""
    model, x, y = bench.model(), bench.input(2, 6), bench.input(2, 6, seed=1)
    expected = bench.run(model, x)
    bench.run(model, y)
    expect(torch.equal(bench.run(model, x), expected), "the same call returns something else the second time")
    one, two = model.new_cache(2), model.new_cache(2)
    parts = []
    for part, other in zip(x.split(2, 1), y.split(2, 1), strict=True):
        parts.append(bench.run(model, part, past_key_values=one))
        bench.run(model, other, past_key_values=two)
    expected = bench.fed(model, x, [2, 2, 2])
    expect_close(torch.cat(parts, 1), expected, "a cache used in turn with another one")


def input_kept(bench: Bench) -> None:
    """The stream that the block reads is the same after the call."""
    model, x = bench.model(), bench.input(2, 5)
    before = x.clone()
    with torch.no_grad():
        model(inputs_embeds=x)
    expect(torch.equal(x, before), "it writes into its input")


def dropout(bench: Bench) -> None:
    """Chance plays a part in training only, only where an option says so, and repeats under a seed."""
    model, x = bench.model(), bench.input(2, 6)
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


def _seeded(bench: Bench, model: Any, x: Tensor) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return bench.run(model, x)


def gradients(bench: Bench) -> None:
    """Finite gradients reach every parameter and the input."""
    model, x = bench.model().train(), bench.input(2, 6).requires_grad_()
    out = model(inputs_embeds=x.clone()).last_hidden_state
    (out * bench.input(2, 6, seed=1)).sum().backward()
    tensors = {"its input": x, **dict(bench.mixer(model).named_parameters())}
    for name, tensor in tensors.items():
        expect(tensor.grad is not None, f"no gradient reaches {name}")
        expect(tensor.grad is None or tensor.grad.isfinite().all(), f"the gradient of {name} is not finite")


def half(bench: Bench) -> None:
    """In bfloat16 and float16 it stays in that dtype, finite, and near what float32 returns."""
    x = bench.input(2, bench.tokens)
    expected = bench.run(bench.model(), x)
    for dtype in (torch.bfloat16, torch.float16):
        out = bench.run(bench.model().to(dtype), x.to(dtype))
        expect(out.dtype == dtype, f"it returns {out.dtype} for {dtype}")
        expect(out.isfinite().all(), f"in {dtype} something is not finite")
        error = (out.float() - expected).square().mean().sqrt() / expected.square().mean().sqrt()
        most = 8 * torch.finfo(dtype).eps
        expect(error <= most, f"in {dtype} it is {float(error):.2g} away from float32, allowed {most:.2g}")


def meta(bench: Bench) -> None:
    """Building on the meta device takes no memory, and nothing that building computes matters."""
    with torch.device("meta"):
        built = bench.block.build(bench.site)
    real = [name for name, tensor in _tensors(built) if not tensor.is_meta]
    expect(not real, f"{', '.join(real)} takes memory on the meta device")
    kept = (
        {name for name, _ in _tensors(built)}
        - set(dict(built.named_parameters()))
        - set(dict(built.named_buffers()))
    )
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
    model, other, x = bench.model(seed=0), bench.model(seed=1), bench.input(2, 6)
    state = load(save(dict(bench.mixer(model).state_dict())))
    bench.mixer(other).load_state_dict(state, strict=True)
    expect(torch.equal(bench.run(other, x), bench.run(model, x)), "a loaded module returns something else")


def prepared(bench: Bench) -> None:
    """Packed for inference it returns the same, and other weights, training and copies leave that form."""
    model, other, x = bench.model(), bench.model(seed=1), bench.input(2, 6)
    expected = bench.run(other, x)
    plain = bench.run(model, x)
    expect_close(bench.run(model.prepare(), x), plain, "the packed module")
    expect_close(bench.run(copy.deepcopy(model), x), plain, "a copy of the packed module")
    model.load_state_dict(other.state_dict())
    expect_close(bench.run(model, x), expected, "the packed module after other weights were loaded")
    with torch.no_grad():
        for parameter in model.prepare().train().parameters():
            parameter.mul_(0.5)
    for parameter in other.parameters():
        parameter.data.mul_(0.5)
    expect_close(bench.run(model.eval(), x), bench.run(other, x), "the packed module after training")


def copies(bench: Bench) -> None:
    """Options and modules can be copied, and options pickled; copies are equal and apart."""
    block = bench.block
    expect(copy.deepcopy(block) == block, "a deep copy of the options is not equal")
    expect(pickle.loads(pickle.dumps(block)) == block, "pickled options are not equal")
    model, x = bench.model(), bench.input(2, 6)
    expected = bench.run(model, x)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    expect(torch.equal(bench.run(twin, x), expected), "a deep copy of the module returns something else")


def compiling(bench: Bench) -> None:
    """torch.compile changes nothing, without a cache and with one."""
    backend = "inductor" if os.environ.get("COMPOSER_PROVE") == "1" else "eager"
    model, x = bench.model(), bench.input(2, 6)
    expected = bench.run(model, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the compiler's own, at its import
        bench.mixer(model).compile(backend=backend)
        try:
            compiled = bench.run(model, x)
            cached = bench.fed(model, x, [4, 1, 1], model.new_cache(2, max_length=6))
        finally:
            torch.compiler.reset()
    expect_close(compiled, expected, "the compiled module")
    expect_close(cached, expected, "the compiled module over a cache")
