"""What a Mamba2 block says about itself without torch."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from composer import Declared, Site, catalog

SITE = Site(reads=10, writes=14)
OPTIONS: dict[str, Any] = {"num_heads": 4, "head_dim": 3, "state_size": 5, "num_groups": 2}


def declared(**options: Any) -> Declared:
    """The declaration with some options changed."""
    return catalog()["mamba2"].model_validate({**OPTIONS, **options}).declares(SITE)


def test_parameters_by_name_and_shape() -> None:
    """Parts of projections and of the convolution are apart, the block's own numbers one a head."""
    found = {name: param.shape for name, param in declared().parameters()}
    assert {name: found[name] for name in ("A_log", "D", "dt_bias")} == dict.fromkeys(
        ("A_log", "D", "dt_bias"), (4,)
    )
    assert {"z": 12, "x": 12, "B": 10, "C": 10, "dt": 4} == declared().linears["in"].parts
    assert [(12, 4), (10, 4), (10, 4)] == [found[f"conv.{part}.weight"] for part in ("x", "B", "C")]
    assert (12,) == found["conv.x.bias"] == found["norm.weight"]
    assert (14, 12) == found["out.out.weight"]


def test_memory_is_the_last_inputs_and_the_states() -> None:
    """A fixed size, whatever the length."""
    slot = declared(conv_kernel=3).slot
    assert slot is not None
    assert {"conv": (32, 2), "ssm": (4, 3, 5)} == slot.tensors
    assert 4 * (32 * 2 + 4 * 3 * 5) == slot.bytes(10**6, 0, 2)


def test_biases_are_options() -> None:
    """Of both projections together, and of the convolution."""
    names = [name for name, _ in declared(bias=True, conv_bias=False).parameters()]
    assert {"in.dt.bias", "out.out.bias"} <= set(names)
    assert not any(name.startswith("conv.") and name.endswith("bias") for name in names)


def test_work_does_not_depend_on_the_context() -> None:
    """Two for every multiply-add of the convolution, of writing to the states and of reading them."""
    block = catalog()["mamba2"].model_validate(OPTIONS)
    assert 2 * 32 * 4 + 4 * 4 * 3 * 5 == block.flops(SITE, 1) == block.flops(SITE, 10**6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_groups": 3}, "num_heads (4) must be a multiple of num_groups (3)"),
        ({"dt_min": 0.2, "dt_max": 0.1}, "dt_min (0.2) must not be above dt_max (0.1)"),
        ({"conv_kernel": 1}, "greater than or equal to 2"),
        ({"dt_min": 0.0}, "greater than 0"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    """With a sentence that names the numbers."""
    with pytest.raises(ValidationError) as caught:
        catalog()["mamba2"].model_validate({**OPTIONS, **options})
    assert message in str(caught.value)
