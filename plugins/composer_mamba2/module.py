"""B batch, T tokens in this call, I width inside the block, K tokens that the convolution looks at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from composer.nn import At, LinearGroup, Mixer, Step, activation, convolve, exactly, stacked

from . import functions, reference, scan

if TYPE_CHECKING:
    from composer import Site

    from .options import Mamba2

State = Mapping[str, Tensor]
CHUNK = 64
PROJECTED, MIXED = 2048, 256
"""Tokens of all rows at once, where no gradient is wanted, through the projections and between them.

They bound the memory of long rows; the projections want more at once, since each reads all its weights again.
"""


class Kernels(nn.Module):
    """The kernels of one part of the convolution."""

    def __init__(self, width: int, size: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, size))
        self.bias = nn.Parameter(torch.empty(width)) if bias else None


class Convolution(nn.Module):
    """One short kernel for every channel, in parts."""

    def __init__(self, options: Mamba2) -> None:
        super().__init__()
        for part, width in options.convolved.items():
            self.add_module(part, Kernels(width, options.conv_kernel, options.conv_bias))

    def joined(self) -> tuple[Tensor, Tensor | None]:
        """(channels, K) and (channels,) of all parts."""
        parts = [part for part in self.children() if isinstance(part, Kernels)]
        biases: list[Tensor] = [part.bias for part in parts if part.bias is not None]
        weight = stacked([part.weight for part in parts])
        return weight, stacked(biases) if biases else None


class Scale(nn.Module):
    """The weight of the gated norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))


class Mamba2Module(Mixer):
    """Project, convolve, write to the states and read them, gate, project back."""

    def __init__(self, options: Mamba2, site: Site) -> None:
        super().__init__()
        self.o, self.widths = options, list(options.convolved.values())
        self.A_log, self.D, self.dt_bias = (nn.Parameter(torch.empty(options.num_heads)) for _ in range(3))
        self.act = activation(options.hidden_act)
        linears = options.declares(site).linears
        self.add_module("in", LinearGroup(linears["in"]))  # what checkpoints and adapters know it by
        self.out = LinearGroup(linears["out"])
        self.conv = Convolution(options)
        self.norm = Scale(options.inner)

    def forward(self, x: Tensor, at: At) -> Tensor:
        continues = x.shape[1] == 1 and not at.fresh
        low = self.o.dt_min if self.o.dt_min_in_step or not continues else None
        state, outs = at.state(), []
        for span in tiles(len(x), 0, x.shape[1], PROJECTED):
            out, state = self._part(cut(x, span), at, span, low, state)
            outs.append(out)
        at.remember(**state)
        return joined(outs)

    def _part(self, x: Tensor, at: At, span: slice, low: float | None, state: State) -> tuple[Tensor, State]:
        """Some of a call's tokens, and the state behind them."""
        parts, outs = getattr(self, "in")(x, at), []
        with exactly(x.device):
            for tile in tiles(len(x), span.start, span.stop, MIXED):
                own = slice(tile.start - span.start, tile.stop - span.start)
                out, state = self._tile([cut(part, own) for part in parts], at.step, tile, low, state)
                outs.append(out)
        return self.out(joined(outs), at)[0], state

    def _tile(
        self, parts: list[Tensor], step: Step, span: slice, low: float | None, state: State
    ) -> tuple[Tensor, State]:
        """The same between the projections."""
        z, *convolved, raw = parts
        dt = functions.step_sizes(raw, self.dt_bias, low, self.o.dt_max)
        if step.valid is not None:
            dt = dt * step.valid[:, span, None]
        y, state = self._mixed(torch.cat(convolved, -1), dt, step, span, state)
        y = functions.gated_norm(y, z, self.norm.weight, self.o.num_groups, self.o.norm_eps)
        return y.to(z.dtype), state

    def _mixed(self, u: Tensor, dt: Tensor, step: Step, span: slice, state: State) -> tuple[Tensor, State]:
        """(B, T, channels) and (B, T, heads) through the convolution and the states to (B, T, I)."""
        o, scanned = self.o, reference.scan if step.slow else scan.scan
        u, conv = convolve(u, state["conv"].mT, *self.conv.joined(), step, span)
        x, B, C = self.act(u).split_with_sizes(self.widths, -1)
        y, ssm = scanned(
            x.unflatten(-1, (o.num_heads, -1)),
            dt,
            self.A_log.to(dt.dtype).exp().neg(),
            B.unflatten(-1, (o.num_groups, -1)),
            C.unflatten(-1, (o.num_groups, -1)),
            self.D.to(dt.dtype),
            state["ssm"].to(dt.dtype),
            entered(step, span),
        )
        return y.flatten(-2), {"conv": conv.mT, "ssm": ssm}


def tiles(rows: int, start: int, stop: int, most: int) -> Iterator[slice]:
    """Parts of a call that are worked on one after the other, of at most so many tokens of all rows."""
    size = stop - start if torch.is_grad_enabled() else max(CHUNK, most // rows // CHUNK * CHUNK)
    yield from (slice(first, min(first + size, stop)) for first in range(start, stop, size))


def cut(x: Tensor, span: slice) -> Tensor:
    """Some tokens of (B, T, ...), for nothing when they are all."""
    return x if span.stop - span.start == x.shape[1] else x[:, span]


def joined(parts: list[Tensor]) -> Tensor:
    """Parts of a row, one after the other."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def entered(step: Step, span: slice) -> Tensor | None:
    """(B, 1 + T) the packed sequence of each token of a part and of the one before it, -1 for none."""
    segments = step.segments
    if segments is None:
        return None
    padded: Tensor = step.once("entered", lambda: F.pad(segments, (1, 0), value=-1))
    return padded[:, span.start : span.stop + 1]
