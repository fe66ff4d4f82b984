"""A model with a block of a plugin that does something odd when it is built or run."""

from __future__ import annotations

import torch

import composer

from .installing import GOOD, Site

IDS = torch.tensor([[1, 2, 3]])
REPORT = "this is a fault of the plugin; report it to its authors"
BUILD = """
    def build(self, site):
        import torch, time, signal, os
        from composer.nn import Mixer
        class Same(Mixer):
            def forward(self, x, at):
                FORWARD
                return x
        BUILD
        return Same()
"""
SPEC = """
composer: 1
name: tiny
vocab_size: 8
hidden_size: 4
norm: {kind: rms, eps: 1.0e-5}
pattern: fine×2, e, fine
blocks:
  fine: {kind: echo}
  e: {kind: echo, size: 7}
"""


def plan(site: Site, build: str = "pass", forward: str = "pass", spec: str = SPEC) -> composer.Plan:
    """A model whose third layer does something odd."""
    body = BUILD.replace("FORWARD", f"if options.size == 7: {forward}").replace(
        "BUILD", f"if self.size == 7: {build}"
    )
    body = body.replace("import torch, time, signal, os", "import torch, time, signal, os; options = self")
    site.install("odd", GOOD.replace("@composer.hookimpl", f"{body}\n@composer.hookimpl"))
    return composer.resolve(composer.read_spec(spec))
