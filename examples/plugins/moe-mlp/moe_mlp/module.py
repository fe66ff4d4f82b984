"""B batch, T tokens in this call, N = B * T of them, K experts of each, D width of the stream, F inside an expert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from composer.nn import At, LinearGroup, Mixer, activation

if TYPE_CHECKING:
    from composer import Site

    from .options import MoEMLP


class Expert(nn.Module):
    """One gated feed-forward."""

    def __init__(self, options: MoEMLP, site: Site) -> None:
        super().__init__()
        self.act = activation(options.hidden_act)
        linears = options.expert(site)
        self.gate_up, self.down = LinearGroup(linears["gate_up"]), LinearGroup(linears["down"])

    def forward(self, x: Tensor, at: At) -> Tensor:
        """(tokens, D) to (tokens, D)."""
        gate, up = self.gate_up(x, at)
        return self.down(self.act(gate) * up, at)[0]


class MoEMLPModule(Mixer):
    """Route, gather the tokens of each expert, compute them at once, bring them back."""

    def __init__(self, options: MoEMLP, site: Site) -> None:
        super().__init__()
        self.chosen, self.writes = options.num_experts_per_tok, site.writes
        self.router = LinearGroup(options.declares(site).linears["router"])
        self.experts = nn.ModuleList(Expert(options, site) for _ in range(options.num_experts))

    def forward(self, x: Tensor, at: At) -> Tensor:
        (scores,) = self.router(x, at)
        weights, experts = scores.float().softmax(-1).topk(self.chosen)  # (B, T, K)
        weights = weights / weights.sum(-1, keepdim=True)
        outs = self._mixed(x.flatten(0, 1), experts.flatten(), at).view(*weights.shape, self.writes)
        return (outs * weights[..., None]).sum(2).to(x.dtype)

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # how many tokens an expert gets differs from call to call
    def _mixed(self, x: Tensor, experts: Tensor, at: At) -> Tensor:
        """What each chosen expert makes of its token: (N, D) and (N * K,) to (N * K, D)."""
        if len(x) == 1 and not torch.is_grad_enabled():  # nothing to sort
            return torch.cat([self.experts[number](x, at) for number in experts.tolist()])
        order = experts.argsort(stable=True)
        counts = experts.bincount(minlength=len(self.experts)).tolist()
        parts = x.index_select(0, order // self.chosen).split(counts)
        # With gradients the experts without tokens run too, so that theirs are zeros and not missing.
        every = torch.is_grad_enabled()
        sorted_ = torch.cat(
            [e(part, at) for e, part in zip(self.experts, parts, strict=True) if every or len(part)]
        )
        return torch.empty_like(sorted_).index_copy(0, order, sorted_)
