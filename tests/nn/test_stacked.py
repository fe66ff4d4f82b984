"""Parts that lie one below the other in memory are multiplied as one, and stay parts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from composer.block import Linears
from composer.nn.functional import linear
from composer.nn.layer import At
from composer.nn.linears import LinearGroup
from composer.nn.stacked import beside, stacked
from composer.nn.step import Step

X = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
AT = At(Step(X, (0, 0), (3, 3)))


def group(together: bool, bias: bool = True) -> LinearGroup:
    """Three parts of 4, 1 and 6 rows, as ranges of one tensor or each by itself."""
    made = LinearGroup(Linears(reads=5, parts={"a": 4, "b": 1, "c": 6}, bias=bias))
    rows = torch.randn(11, 5, generator=torch.Generator().manual_seed(1))
    first = 0
    for part in made.children():
        assert isinstance(part, nn.Linear)
        own = rows[first : first + part.out_features]
        part.weight = nn.Parameter(own if together else own.clone())
        if bias:
            nn.init.constant_(part.bias, float(first))
        first += part.out_features
    return made


def products(made: LinearGroup, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[Tensor, ...], int]:
    """What a group returns, and how many products that took."""
    calls, linear = [], torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *given: (calls.append(0), linear(*given))[1])
    return made(X, AT), len(calls)


@torch.no_grad()
@pytest.mark.parametrize("bias", [True, False])
def test_one_product(bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers in one product, and in three where parts lie apart."""
    apart, three = products(group(False, bias), monkeypatch)
    whole, one = products(group(True, bias), monkeypatch)

    assert (3, 1) == (three, one)
    for ours, expected in zip(whole, apart, strict=True):
        assert torch.allclose(ours, expected, atol=1e-6)


@torch.no_grad()
def test_what_changes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed in place, replaced, listened to, or moved: always what the parts are now."""
    made = group(True)
    made.get_parameter("b.weight").zero_()
    assert torch.equal(made(X, AT)[1], torch.full((2, 3, 1), 4.0))
    heard: list[int] = []
    handle = made.get_submodule("c").register_forward_hook(lambda *_: heard.append(1))
    assert (3, [1]) == (products(made, monkeypatch)[1], heard)
    handle.remove()
    made.get_submodule("a").weight = nn.Parameter(torch.zeros(4, 5))
    assert torch.equal(made(X, AT)[0], torch.zeros(2, 3, 4))
    assert made.double()(X.double(), AT)[2].dtype == torch.float64


def test_gradients_reach_the_parts() -> None:
    """With gradients the parts are called one by one."""
    made = group(True)
    sum(out.sum() for out in made(X, AT)).backward()

    assert all(parameter.grad is not None for parameter in made.parameters())


@torch.no_grad()
def test_beside() -> None:
    """Neighbours in order and nothing else; what cannot be seen as one is copied."""
    rows = torch.arange(12.0).view(6, 2)

    assert torch.equal(rows[1:5], beside([rows[1:2], rows[2:5]]))
    for parts in ([rows[2:5], rows[1:2]], [rows[:2], rows[3:]], [rows[:2], rows[2:].clone()]):
        assert beside(parts) is None
        assert torch.equal(torch.cat(parts), stacked(parts))
    assert beside([rows[:, :1], rows[:, 1:]]) is None


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 1, 2048), (1, 2048)])
def test_a_lone_row(shape: tuple[int, ...]) -> None:
    """A long bfloat16 row by itself returns what it returns beside others, in its own shape."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2)).bfloat16()
    weight, bias = torch.randn(2, 7, 2048, generator=torch.Generator().manual_seed(3)).bfloat16().unbind()
    expected = x.double() @ weight.double().T + bias[:, 0].double()

    out = linear(x, weight, bias[:, 0])
    assert (*shape[:-1], 7) == tuple(out.shape)
    assert torch.allclose(expected, out.double(), rtol=2**-7, atol=0.5)


@torch.no_grad()
def test_one_that_takes_over_its_call_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part whose forward was replaced, as some libraries do, or that any hook of torch listens to."""
    made = group(True)
    monkeypatch.setattr(made.get_submodule("b"), "forward", lambda x: x[..., :1] * 0 + 5)
    assert torch.equal(made(X, AT)[1], torch.full((2, 3, 1), 5.0))
    heard: list[str] = []
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, *_: heard.append(type(module).__name__)
    )
    made(X, AT)
    handle.remove()
    assert 3 == heard.count("Leaf")
