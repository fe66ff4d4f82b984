"""A Mamba2 block beside the mixers of transformers, with the same weights, wide enough that every setting shows."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, Mamba2Config, Zamba2Config
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer
from transformers.models.zamba2.modeling_zamba2 import Zamba2MambaMixer

from composer import Site, catalog
from composer.nn import Model
from composer.testing.bench import Bench

LENGTHS = (1, 2, 5, 63, 64, 65, 100, 127, 128, 129, 190, 256, 257, 300)
TINY = 1e-30
"""A bound that binds nothing: their mixer cannot do without one."""


@dataclass(frozen=True)
class Case:
    """One block: its options, the width of the stream, whose mixer is the reference, and a length."""

    number: int
    groups: int = 2
    heads: int = 4
    width: int = 8
    size: int = 6
    kernel: int = 4
    bias: bool = False
    conv_bias: bool = True
    eps: float = 1e-5
    dt_min: float | None = None
    dt_max: float | None = None
    plain: bool = True
    tokens: int = 100

    @property
    def stream(self) -> int:
        """Width of what the block reads and writes."""
        return self.heads * self.width // 2

    @property
    def options(self) -> dict[str, Any]:
        """What a spec would say."""
        return {
            "num_heads": self.heads,
            "head_dim": self.width,
            "state_size": self.size,
            "num_groups": self.groups,
            "conv_kernel": self.kernel,
            "bias": self.bias,
            "conv_bias": self.conv_bias,
            "norm_eps": self.eps,
            "dt_min": self.dt_min,
            "dt_max": self.dt_max,
        }


def sampled(number: int) -> Case:
    """A random case; the mixer of hybrid models has no upper bound, always a bias at its convolution, one eps."""
    draw = random.Random(number)
    groups = draw.choice((1, 1, 2, 3))
    case = Case(
        number,
        groups=groups,
        heads=groups * draw.choice((1, 2, 4)),
        width=draw.choice((2, 4, 16)),
        size=draw.choice((1, 4, 16)),
        kernel=draw.choice((2, 3, 4, 5)),
        bias=draw.random() < 0.4,
        dt_min=draw.choice((None, None, 0.4)),
        plain=draw.random() < 0.5,
        tokens=draw.choice(LENGTHS),
    )
    if not case.plain:
        return case
    return replace(
        case,
        conv_bias=draw.random() < 0.5,
        eps=draw.choice((1e-5, 1e-2)),
        dt_max=draw.choice((None, 1.0)),
    )


def reference(case: Case, chunk: int = 256) -> Any:
    """Their mixer under the case's seed, in evaluation mode."""
    mixer = plain_mixer(case, chunk) if case.plain else hybrid_mixer(case, chunk)
    generator = torch.Generator().manual_seed(case.number)
    with torch.no_grad():
        for name, parameter in mixer.named_parameters():
            spread = {"in_proj.weight": 2 * case.stream**-0.5, "out_proj.weight": case.stream**-0.5}.get(
                name, 0.5
            )
            parameter.normal_(1.0 if name == "norm.weight" else 0.0, spread, generator=generator)
        mixer.A_log.mul_(4)
    return mixer.eval()


def plain_mixer(case: Case, chunk: int) -> Any:
    """The mixer of models without attention."""
    config = Mamba2Config(
        hidden_size=case.stream,
        expand=2,
        num_heads=case.heads,
        head_dim=case.width,
        state_size=case.size,
        n_groups=case.groups,
        conv_kernel=case.kernel,
        use_bias=case.bias,
        use_conv_bias=case.conv_bias,
        layer_norm_epsilon=case.eps,
        time_step_limit=(case.dt_min or 0.0, case.dt_max or float("inf")),
        num_hidden_layers=1,
        chunk_size=chunk,
    )
    mixer = Mamba2Mixer(config, 0)
    mixer.config = config  # the other one has it
    return mixer


def hybrid_mixer(case: Case, chunk: int) -> Any:
    """The mixer of hybrid models."""
    config = Zamba2Config(
        hidden_size=case.stream,
        mamba_expand=2,
        n_mamba_heads=case.heads,
        mamba_d_state=case.size,
        mamba_ngroups=case.groups,
        mamba_d_conv=case.kernel,
        add_bias_linear=case.bias,
        time_step_min=case.dt_min or TINY,
        num_hidden_layers=1,
        layers_block_type=["linear_attention"],
        chunk_size=chunk,
    )
    return Zamba2MambaMixer(config, 0)


class Pair:
    """One case: their mixer, and our block alone in a model."""

    def __init__(self, case: Case, dtype: torch.dtype = torch.float32, **options: Any) -> None:
        self.case = case
        self.theirs = reference(case).to(dtype)
        block = catalog()["mamba2"].model_validate({**case.options, **options})
        site = Site(reads=case.stream, writes=case.stream)
        self.bench = Bench(block.settle(site), site)
        self.ours: Model = self.bench.model(dtype=dtype)
        self.mixer.load_state_dict(translated(self.theirs.state_dict(), block))
        self.x = self.bench.input(2, case.tokens, seed=case.number).to(dtype)

    @property
    def mixer(self) -> nn.Module:
        """Our block's module."""
        return self.bench.mixer(self.ours)

    @torch.no_grad()
    def expected(self, x: Tensor, chunk: int = 256) -> Tensor:
        """What their mixer returns for rows without padding, in the dtype of `x`."""
        mixer = reference(self.case, chunk)
        mixer.load_state_dict(self.theirs.state_dict())
        return mixer.to(x.dtype)(x)

    def tolerance(self) -> float:
        """How far ours may be from theirs in float64: three times what float32 and chunks cost them."""
        exact = self.expected(self.x.double())
        own = max(relative(self.expected(self.x, chunk), exact) for chunk in (16, 256))
        return max(1e-5, 3 * own)

    @torch.no_grad()
    def stepwise(self, sizes: list[int]) -> Tensor:
        """Their mixer in calls that continue a cache."""
        cache = DynamicCache(config=self.theirs.config)
        return torch.cat([self.theirs(part, cache_params=cache) for part in self.x.split(sizes, 1)], 1)


def translated(state: Mapping[str, Tensor], block: Any) -> dict[str, Tensor]:
    """Their tensors, or their tensors' gradients, under our names."""
    parts = {"z": block.inner, **block.convolved, "dt": block.num_heads}
    ours = {name: state[name] for name in ("A_log", "D", "dt_bias", "norm.weight")}
    for kind in ("weight", "bias"):
        if f"in_proj.{kind}" in state:
            ours |= split(f"in.{{}}.{kind}", state[f"in_proj.{kind}"], parts)
            ours[f"out.out.{kind}"] = state[f"out_proj.{kind}"]
        if f"conv1d.{kind}" in state:
            ours |= split(f"conv.{{}}.{kind}", state[f"conv1d.{kind}"], block.convolved)
    return {name: tensor.squeeze(1) if tensor.dim() == 3 else tensor for name, tensor in ours.items()}


def split(name: str, tensor: Tensor, widths: dict[str, int]) -> dict[str, Tensor]:
    """The rows of one tensor, by part."""
    pieces = tensor.split(list(widths.values()))
    return {name.format(part): piece for part, piece in zip(widths, pieces, strict=True)}


def relative(a: Tensor, b: Tensor) -> float:
    """The largest difference, in units of the largest value of `b`."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp_min(1e-30))


def typical(a: Tensor, b: Tensor) -> float:
    """The typical difference, in units of the typical value of `b`."""
    return float((a.double() - b.double()).square().mean().sqrt() / b.double().square().mean().sqrt())
