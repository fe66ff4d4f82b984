"""What a block's module is made of.  Importing this brings torch."""

from __future__ import annotations

from .activations import activation
from .attend import attend
from .build import build
from .cache import HybridCache
from .convolution import convolve, exactly
from .functional import layer_norm, rms_norm
from .layer import At, Mixer
from .linears import LinearGroup
from .model import Model
from .output import ModelOutput
from .rope import rotate
from .slots import Keys
from .stacked import stacked
from .step import Step

__all__ = [
    "At",
    "HybridCache",
    "Keys",
    "LinearGroup",
    "Mixer",
    "Model",
    "ModelOutput",
    "Step",
    "activation",
    "attend",
    "build",
    "convolve",
    "exactly",
    "layer_norm",
    "rms_norm",
    "rotate",
    "stacked",
]
