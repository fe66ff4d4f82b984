"""What a call of a model returns, and what a load of it left open.

B batch, T tokens, S tokens looked at, D width of the stream, E of the token table, H heads, L layers, N classes,
V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from .cache import HybridCache


@dataclass(frozen=True)
class Loading:
    """What a checkpoint had and the model not, and the other way round.

    `new` are parameters that were drawn as the spec says, `unused` tensors of the checkpoint.
    """

    new: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass
class ModelOutput:
    """What a call returns; what was not asked for is None.

    logits (B, kept, V), last_hidden_state (B, T, E) as the head reads it, hidden_states L + 1 of (B, T, D):
    what each layer reads, then the last hidden state; attentions (B, H, T, S) a layer that has any, S being T,
    or what is remembered where a cache is continued.  Logits of classes are (B, N) for whole rows and (B, T, N)
    for tokens; start_logits and end_logits (B, T) are those of answers.
    """

    logits: Tensor | None = None
    loss: Tensor | None = None
    past_key_values: HybridCache | None = None
    last_hidden_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    start_logits: Tensor | None = None
    end_logits: Tensor | None = None
