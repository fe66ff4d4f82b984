"""Composer: language-model architectures as YAML over block plugins.

    spec = composer.read_spec("pocket-mistral")
    plan = composer.resolve(spec)
    model = composer.build(plan)

Names are loaded when they are first used, so describing an architecture never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import testing as testing
    from .block import Block, Causal, Declared, Linears, Norm, Param, Site, Slot, Width
    from .errors import ComposerError
    from .nn.build import build
    from .options import ActivationName, Rope
    from .plan import Plan
    from .plugins import Catalog, catalog, hookimpl
    from .reading import read_spec
    from .resolving import resolve
    from .spec import Spec
    from .store import load, save
    from .text import load_tokenizer

_HOMES = {
    "ActivationName": "options",
    "Block": "block",
    "Catalog": "plugins",
    "Causal": "block",
    "ComposerError": "errors",
    "Declared": "block",
    "Linears": "block",
    "Norm": "block",
    "Param": "block",
    "Plan": "plan",
    "Rope": "options",
    "Site": "block",
    "Slot": "block",
    "Spec": "spec",
    "Width": "block",
    "build": "nn.build",
    "catalog": "plugins",
    "hookimpl": "plugins",
    "load": "store",
    "load_tokenizer": "text",
    "read_spec": "reading",
    "resolve": "resolving",
    "save": "store",
}

__all__ = [
    "ActivationName",
    "Block",
    "Catalog",
    "Causal",
    "ComposerError",
    "Declared",
    "Linears",
    "Norm",
    "Param",
    "Plan",
    "Rope",
    "Site",
    "Slot",
    "Spec",
    "Width",
    "build",
    "catalog",
    "hookimpl",
    "load",
    "load_tokenizer",
    "read_spec",
    "resolve",
    "save",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name == "testing":
        return import_module(".testing", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'composer' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
