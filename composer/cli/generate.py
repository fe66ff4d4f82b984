"""`generate`: text from a checkpoint."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import click

from composer.cli import output
from composer.cli.fields import given, options_of
from composer.cli.loading import plugin_options
from composer.cli.verbs import Verb, json_option
from composer.errors import UsageError, did_you_mean, fail

STDIN = "-"
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "seed")


class Generate(Verb):
    """`generate` has the options of generation, which are not loaded before somebody asks."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The verb's own, then those of generation."""
        from composer.generate.options import GenerationOptions

        own = super().get_params(ctx)
        return [*own[:-1], *options_of(GenerationOptions), own[-1]]


@click.command(
    cls=Generate,
    examples=(
        "generate pocket-mistral 'def fib(n):' --max-new-tokens 60",
        "generate ./checkpoint-folder 'Once upon a time' --temperature 0.8 --top-p 0.95 --seed 1",
        "generate runs/first/checkpoint - --json < prompt.txt",
    ),
)
@click.argument("model")
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@click.option("--device", default="cpu", show_default=True, help="Where to run: cpu, cuda, cuda:1.")
@click.option(
    "--dtype", help="Type of weights and arithmetic: float32, bfloat16, float16; the checkpoint's by default."
)
@click.option("--attention", help="How attention is computed; the fastest that is there by default.")
@click.option(
    "--prepare",
    is_flag=True,
    help="Pack the weights first: faster per token, for a second copy of them in memory.",
)
@click.option("--quiet", is_flag=True, help="Nothing on stderr: neither prompt nor speed.")
@plugin_options
@json_option
def verb(
    model: str,
    prompts: tuple[str, ...],
    device: str,
    dtype: str | None,
    attention: str | None,
    prepare: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Continue a text.

    The new text streams to stdout; the prompt before it and the speed after it go to stderr.

    MODEL is a checkpoint folder, or the name of a shipped model that has weights. Without a PROMPT, or where
    it is -, it is read from stdin. An option of sampling (temperature, top-k, top-p, min-p, seed) turns
    sampling on; without one the most likely token is taken, unless the model's own defaults say otherwise.
    """
    from composer.generate.options import GenerationOptions

    gc.enable()
    settings = sampled(given(options))
    GenerationOptions(**settings)
    loaded = loaded_model(model, {"device": device, "dtype": dtype, "attention": attention})
    if prepare:
        loaded[0].prepare()
    results = [one(loaded, prompt, settings, quiet, as_json) for prompt in texts(prompts)]
    if as_json:
        output.json_data(results)


def sampled(settings: dict[str, Any]) -> dict[str, Any]:
    """Who says how to sample wants to sample; with temperature 0 one asks for the most likely token."""
    wanted = any(name in settings for name in SAMPLING) and settings.get("temperature") != 0
    if settings.get("temperature") == 0 and not settings.get("do_sample"):
        settings = {**settings, "do_sample": False}
        del settings["temperature"]
    return {"do_sample": True, **settings} if wanted else settings


def loaded_model(what: str, how: dict[str, Any]) -> tuple[Any, Any]:
    """The model and the tokenizer of a checkpoint folder."""
    from composer.cli.models import weights_of

    folder = weights_of(what)
    from composer.nn.device import usable_device
    from composer.store import load
    from composer.text import load_tokenizer

    how = {name: value for name, value in how.items() if value is not None}
    if "dtype" in how:
        how["dtype"] = dtype_named(how["dtype"])
    usable_device(how["device"])
    tokenizer = load_tokenizer(folder)
    return load(folder, **how).eval(), tokenizer


def dtype_named(name: str) -> Any:
    """A dtype of torch by its name.  Raises UsageError E907."""
    from composer.nn.device import DTYPES

    if name not in DTYPES:
        hint = did_you_mean(name, DTYPES) or ", ".join(DTYPES)
        fail(UsageError, "E907", f"no dtype is called {name!r}", hint=hint)
    return DTYPES[name]


def texts(prompts: tuple[str, ...]) -> Iterator[str]:
    """The prompts, those from stdin read when their turn comes."""
    for prompt in prompts or (STDIN,):
        yield output.stdin_text() if prompt == STDIN else prompt


class Watch:
    """Counts the tokens that a model is asked for, and how long they take."""

    def __init__(self, model: Any) -> None:
        self.tokens, self.start, self.first = 0, time.perf_counter(), 0.0
        self.hook = model.register_forward_hook(self.step)

    def step(self, *_: Any) -> None:
        """One call of the model is one token."""
        self.tokens += 1
        self.first = self.first or time.perf_counter() - self.start

    def stop(self) -> dict[str, Any]:
        """Tokens, seconds to the first, and tokens a second after it."""
        self.hook.remove()
        after = time.perf_counter() - self.start - self.first
        speed = (self.tokens - 1) / after if self.tokens > 1 and after > 0 else None
        return {"tokens": self.tokens, "seconds_to_first": self.first, "tokens_per_second": speed}


def one(
    loaded: tuple[Any, Any], prompt: str, settings: dict[str, Any], quiet: bool, silent: bool
) -> dict[str, Any]:
    """Continue one prompt; the new text goes out piece by piece unless it is kept for JSON."""
    from composer.generate import stream

    model, tokenizer = loaded
    pieces = stream(model, tokenizer, prompt, **settings)
    if not (quiet or silent):
        output.talk(prompt, end="" if output.terminal() else "\n")
    watch, text = Watch(model), ""
    for piece in pieces:
        text += piece
        if not silent:
            output.data(piece, end="")
    figures = watch.stop()
    if not silent:
        output.data("")
    if not (quiet or silent):
        output.talk(speed(figures))
    return {"prompt": prompt, "text": text, **figures}


def speed(figures: dict[str, Any]) -> str:
    """The figures in a line."""
    rate = figures["tokens_per_second"]
    then = "" if rate is None else f", then {rate:,.1f} tokens/s"
    return f"{figures['tokens']:,} tokens, the first after {figures['seconds_to_first']:.2f} s{then}"
