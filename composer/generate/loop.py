"""The generation loop: one model call, one choice and at most one synchronisation a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from composer.errors import CallError, fail
from composer.generate.options import GenerationOptions
from composer.generate.run import CausalLM, Run, prepare
from composer.generate.scores import processors

# Up to this length (or the trained one) the cache is allocated at once; beyond, it grows with the text.
ALLOCATED_AT_ONCE = 65_536


def generate(
    model: CausalLM,
    input_ids: Tensor | None = None,
    attention_mask: Tensor | None = None,
    *,
    tokenizer: Any = None,
    **options: Any,
) -> Tensor:
    """Continue every row of `input_ids` (rows, length); returns (rows, length + new) on the model's device.

    `attention_mask` (rows, length) is 1 on tokens and 0 on padding, on the left or right of each row;
    without it, padding is recognised by `pad_token_id`. New tokens follow after the columns of the
    prompt, and rows that have ended are filled with `pad_token_id`. `options` are those of
    `GenerationOptions`; `stop_strings` need the `tokenizer`. Raises `CallError`.
    """
    run = prepare(model, input_ids, attention_mask, tokenizer, options)
    new = torch.stack(list(new_tokens(run)), dim=1)
    # Joined outside inference mode: an ordinary tensor, which may feed a training step.
    return torch.cat([run.prompt.given, new], dim=1)


@torch.inference_mode()
def new_tokens(run: Run) -> Iterator[Tensor]:
    """The tokens (rows,) of one step after another, until every row has ended or the room is used up."""
    model, options, stop = run.model, run.options, run.stop
    ids, mask = run.prompt.ids, run.prompt.mask
    feed, active = ids, None
    cache = _cache(run) if options.use_cache else None
    chain = processors(options, ids, run.prompt.padding, model.plan.sizes.vocab_size)
    choose = _sampler(options, ids.device) if options.do_sample else _best
    for left in range(run.most - 1, -1, -1):
        out = model(feed, mask, past_key_values=cache, use_cache=options.use_cache, logits_to_keep=1)
        scores = out.logits[:, -1].float()
        for process in chain:
            scores = process(ids, scores)
        token = choose(scores)
        if active is not None and stop is not None:
            token = torch.where(active, token, stop.pad)
        yield token
        if stop is not None and left:
            running = ~stop.ends(token)
            active = running if active is None else active & running
            left = left if bool(active.any()) else 0
        if not left:
            return
        ids = torch.cat([ids, token[:, None]], dim=1)
        feed, mask = (token[:, None], None) if cache is not None else (ids, _longer(mask))


def _cache(run: Run) -> Any:
    rows, length = run.prompt.ids.shape
    total = length + run.most
    known = total <= max(ALLOCATED_AT_ONCE, run.model.plan.sizes.max_position_embeddings or 0)
    return run.model.new_cache(rows, max_length=total if known else None)


def _best(scores: Tensor) -> Tensor:
    return scores.argmax(dim=-1)


def _sampler(options: GenerationOptions, device: torch.device) -> Callable[[Tensor], Tensor]:
    """One draw a row and step, all rows in one call: the draws that transformers makes, in its order."""
    generator = None if options.seed is None else torch.Generator(device).manual_seed(options.seed)

    def draw(scores: Tensor) -> Tensor:
        likely = scores.softmax(dim=-1)
        try:
            return torch.multinomial(likely, 1, generator=generator).squeeze(1)
        except RuntimeError:
            if bool(likely.isfinite().all()):
                raise
        hint = "are the weights finite, and temperature and repetition_penalty of an ordinary size?"
        fail(CallError, "E756", "the scores of the next token are no finite numbers to draw from", hint=hint)

    return draw


def _longer(mask: Tensor | None) -> Tensor | None:
    """The mask with one more token in every row."""
    return None if mask is None else torch.cat([mask, mask.new_ones(mask.shape[0], 1)], dim=1)
