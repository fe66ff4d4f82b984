"""One generation, checked and ready to go: the model, the prompt, the options, how far, and when to stop."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from torch import Tensor

from composer.errors import CallError, fail
from composer.generate.config_file import from_generation_config, read_generation_config
from composer.generate.options import GenerationOptions
from composer.generate.prompt import Prompt, read_prompt
from composer.generate.stopping import Stop, stop_rule
from composer.plan import Plan

DEFAULT_NEW_TOKENS = 20


class CausalLM(Protocol):
    """What generation asks of a model.

    With a cache, a call takes the new tokens only; with `logits_to_keep=1` its `logits` are those after
    the last token of each row: (rows, 1, vocabulary).
    """

    plan: Plan
    generation: Mapping[str, Any] | None

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        past_key_values: Any = None,
        use_cache: bool = False,
        logits_to_keep: int = 0,
    ) -> Any: ...

    def new_cache(self, batch_size: int, max_length: int | None = None) -> Any: ...

    def parameters(self) -> Iterator[Tensor]: ...


@dataclass(frozen=True)
class Run:
    """`most` is the number of tokens to add at most; `stop` is None where only that ends a row."""

    model: CausalLM
    prompt: Prompt
    options: GenerationOptions
    most: int
    stop: Stop | None


def prepare(model: CausalLM, ids: Any, mask: Any, tokenizer: Any, arguments: Mapping[str, Any]) -> Run:
    """Check everything that can be checked before the first step; raises `CallError`."""
    options = options_of(model, arguments)
    for name in options.unused():
        if name in arguments:
            warnings.warn(f"{name} has no effect without do_sample=True", UserWarning, stacklevel=3)
    sizes = model.plan.sizes
    if model.plan.head.kind != "causal-lm":
        message = f"a model with the head {model.plan.head.kind!r} gives no scores of next tokens"
        fail(CallError, "E747", message, hint="load it with head='causal-lm'")
    prompt = read_prompt(ids, mask, options, sizes.vocab_size, next(iter(model.parameters())).device)
    most = room(options, prompt.ids.shape[1], sizes.max_position_embeddings)
    return Run(model, prompt, options, most, stop_rule(options, prompt, tokenizer, sizes.vocab_size))


def options_of(model: CausalLM, arguments: Mapping[str, Any]) -> GenerationOptions:
    """The arguments of a call over what the model brings: its checkpoint's file, else its spec's options.

    As in transformers, a key of the file that means nothing is no fault; an option that would have
    changed the tokens and cannot be taken is, unless the call says otherwise.
    """
    if model.generation is None:
        return from_generation_config(model.plan.spec.generation).merged(arguments)
    brought, problems = read_generation_config(model.generation)
    left = [
        replace(problem, hint=f"generation_config.json says so; give another value: {name}=...")
        for problem in problems
        if problem.code != "E740" and (name := problem.path.split(".")[0]) not in arguments
    ]
    if left:
        raise CallError(*left)
    return brought.merged(arguments)


def room(options: GenerationOptions, length: int, positions: int | None) -> int:
    """How many tokens may follow `length` columns of prompt; only the default minds the trained positions."""
    if options.max_new_tokens is not None:
        return options.max_new_tokens
    total = options.max_length
    if total is None:
        total = length + DEFAULT_NEW_TOKENS
        total = total if positions is None else min(total, positions)
    if length >= total:
        message = f"the prompt has {length} tokens, but a row may have {total} at most"
        fail(CallError, "E755", message, hint="max_new_tokens says how many tokens to add")
    return total - length
