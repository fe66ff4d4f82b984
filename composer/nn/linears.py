"""Linear maps that share an input: separate leaves, called as one; fused and packed here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from composer.block import Linears

from .functional import linear
from .packed import Product, pack
from .stacked import beside, stacked

if TYPE_CHECKING:
    from .layer import At


Stamp = tuple[Tensor | None, int]


def stamp(tensor: Tensor | None) -> Stamp:
    """A tensor and how often it was written to in place; inference tensors do not count."""
    return tensor, 0 if tensor is None or tensor.is_inference() else tensor._version


class Packable(nn.Module):
    """A module with an inference-only form, left whenever its parameters change or a gradient is wanted."""

    _product: Product | None = None
    _stamps: tuple[Stamp, ...] = ()

    def hold(self, product: Product, sources: Iterable[Tensor | None]) -> None:
        """Keep the packed form of `sources` for as long as they are what they are now."""
        self._product, self._stamps = product, tuple(map(stamp, sources))

    def product(self, sources: Iterable[Tensor | None]) -> Product | None:
        """The packed form, where there is one, no gradient is wanted and `sources` are as they were packed."""
        if self._product is None or torch.is_grad_enabled():
            return None
        now = tuple(map(stamp, sources))
        same = len(now) == len(self._stamps) and all(
            new is old and version == at for (new, version), (old, at) in zip(now, self._stamps, strict=True)
        )
        if not same:
            self._product = None
        return self._product

    def train(self, mode: bool = True) -> Self:
        """Training works on the separate parameters."""
        self._product = None if mode else self._product
        return super().train(mode)

    def _forget(self) -> None:
        """Leave what was derived from the parameters."""
        self._product = None

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self._forget()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it bare

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._forget()
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_product": None}  # copies and pickles start plain


class Leaf(nn.Linear):
    """One linear map; its values come from the builder or from a checkpoint."""

    def reset_parameters(self) -> None:
        """Draw nothing: torch's own draw would be thrown away, and costs half the time of a build."""


def bare(part: nn.Module) -> bool:
    """Whether a call of a part is its product and nothing else: it is as it was built, and nobody listens."""
    return (
        type(part) is Leaf
        and not (part._forward_hooks or part._forward_pre_hooks)
        and not (part._backward_hooks or part._backward_pre_hooks)
        and "forward" not in part.__dict__
    )


def folded(x: Tensor) -> Tensor:
    """x (B, T, reads) as torch's product takes it without a copy of the weight.

    Some tokens of a longer row are contiguous too, but their strides are not those of a whole tensor.
    """
    if x.dim() != 3 or x.stride(0) == x.shape[1] * x.stride(1):
        return x
    return x.reshape(-1, x.shape[-1]).view(x.shape)


class LinearGroup(Packable):
    """The parts of a `Linears`, each an `nn.Linear` under its own name."""

    _lay: tuple[Any, ...] = ()  # where the weights lay when they were last looked at
    _whole: Tensor | None = None  # a view of all of them, where they lay one below the other

    def __init__(self, linears: Linears) -> None:
        super().__init__()
        self.path = ""  # its name inside the block, which the chain around it sets
        self.widths = list(linears.parts.values())
        for part, width in linears.parts.items():
            self.add_module(part, Leaf(linears.reads, width, bias=linears.bias))

    def forward(self, x: Tensor, at: At) -> tuple[Tensor, ...]:
        """(B, T, reads) to one (B, T, width) a part, in order."""
        x = folded(x)
        product = self._product and self.product(self.sources())
        outs = product(x).split(self.widths, dim=-1) if product is not None else self._plain(x)
        for adapter in at.adapters_of(self.path):
            outs = adapter.added(x, outs)
        return outs

    def _plain(self, x: Tensor) -> tuple[Tensor, ...]:
        """One product where the parts lie one below the other, and calls only where somebody may listen."""
        parts = [part for part in self._modules.values() if part is not None]
        if torch.is_grad_enabled() or _has_any_global_hook() or not all(map(bare, parts)):
            return tuple(part(x) for part in parts)
        leaves: list[dict[str, Any]] = [part._parameters for part in parts]  # torch's own lookup is slow
        whole = self._together(leaves) if len(leaves) > 1 else None
        if whole is None:
            return tuple(linear(x, leaf["weight"], leaf["bias"]) for leaf in leaves)
        biases = [leaf["bias"] for leaf in leaves if leaf["bias"] is not None]
        return linear(x, whole, stacked(biases) if biases else None).split(self.widths, dim=-1)

    def _together(self, leaves: list[dict[str, Any]]) -> Tensor | None:
        """All weights as one view, made again when one has moved; weights that lay apart are not asked again."""
        if torch.compiler.is_compiling() or (self._lay and self._whole is None):
            return None
        weights = [leaf["weight"] for leaf in leaves]
        lay = tuple(weight.data_ptr() for weight in weights)
        if lay != self._lay:
            self._lay, self._whole = lay, beside(weights)
        return self._whole

    def _forget(self) -> None:
        super()._forget()
        self._lay, self._whole = (), None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_lay": (), "_whole": None}

    def sources(self) -> Iterator[Tensor | None]:
        """The weight and the bias of every part, None for what is not there."""
        for part in self.children():
            yield part._parameters.get("weight")
            yield part._parameters.get("bias")

    def prepare(self) -> None:
        """Pack all parts, one below the other, from the parameters as they are now."""
        parts = [part for part in self.children() if isinstance(part, nn.Linear)]
        weights = torch.cat([part.weight.detach() for part in parts])
        biases = [part.bias.detach() for part in parts if part.bias is not None]
        self.hold(pack(weights, torch.cat(biases) if biases else None), self.sources())
