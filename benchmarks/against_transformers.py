"""Speed against transformers, interleaved in one process, on a 284M model of the Mistral shape.

    python benchmarks/against_transformers.py            # bf16, two threads, writes benchmarks/results.md
    python benchmarks/against_transformers.py --dtype float32 --repeats 3 --out other.md

Both libraries load the same checkpoint, which transformers writes.  Every figure is the median of rounds in
which the two take turns; a ratio above 1 says that Composer needs less time.  "Of the library's rate" compares
with what torch's own matrix product reaches in the same run on the model's largest matrix: the time that the
model's linear maps alone need at that rate, over the time taken.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import MistralConfig, MistralForCausalLM

import composer

CONFIG = {
    "vocab_size": 32000,
    "hidden_size": 1024,
    "intermediate_size": 3584,
    "num_hidden_layers": 16,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "sliding_window": 1024,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
}
PROMPT = 128


@dataclass
class Row:
    """One workload: seconds of each round for both libraries, and the least that the linear maps need."""

    name: str
    theirs: list[float]
    ours: list[float]
    floor: float | None = None

    @property
    def ratio(self) -> float:
        """Median over rounds of their time over ours."""
        return statistics.median(a / b for a, b in zip(self.theirs, self.ours, strict=True))

    def line(self) -> str:
        """The row as Markdown."""
        theirs, ours = statistics.median(self.theirs), statistics.median(self.ours)
        reach = f"{self.floor / ours:.0%}" if self.floor else ""
        return f"| {self.name} | {shown(theirs)} | {shown(ours)} | {self.ratio:.2f} | {reach} |"


def shown(seconds: float) -> str:
    """Seconds with three digits."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def timed(run: Callable[[], Any], times: int = 1) -> float:
    """Seconds of one run, the mean of `times` in a row."""
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def rounds(
    name: str, theirs: Callable[[], Any], ours: Callable[[], Any], repeats: int, times: int = 1
) -> Row:
    """Take turns; the order changes every round, and a first round of each is not counted."""
    row = Row(name, [], [])
    timed(theirs), timed(ours)
    for number in range(repeats):
        pair = [(row.theirs, theirs), (row.ours, ours)]
        for seconds, run in pair if number % 2 else reversed(pair):
            seconds.append(timed(run, times))
    return row


def write_checkpoint(folder: Path, dtype: torch.dtype) -> None:
    """A random model of the shape, as transformers saves it."""
    torch.manual_seed(0)
    model = MistralForCausalLM(MistralConfig(**CONFIG)).to(dtype)
    model.save_pretrained(folder)


def product_seconds(rows: int, dtype: torch.dtype, packed: bool) -> float:
    """Seconds that torch's own product needs for every weight of the model's linear maps, for `rows` tokens."""
    hidden, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    weights = [torch.randn(2 * inner, hidden, dtype=dtype) for _ in range(8)]  # more than the caches hold
    if packed:
        from composer.nn.packed import pack

        products: list[Callable[[torch.Tensor], Any]] = [pack(weight, None) for weight in weights]
    else:
        products = [lambda x, w=weight: torch.nn.functional.linear(x, w) for weight in weights]
    x = torch.randn(rows, hidden, dtype=dtype)
    seconds = min(timed(lambda: [product(x) for product in products]) for _ in range(5)) / len(weights)
    heads = (2 * CONFIG["num_attention_heads"] + 2 * CONFIG["num_key_value_heads"]) * CONFIG["head_dim"]
    layer = hidden * (heads + 3 * inner)
    return seconds * layer * CONFIG["num_hidden_layers"] / weights[0].numel()


def prefill(hf: Any, model: Any, repeats: int, length: int) -> Row:
    """One prompt, cache on, logits of the last token."""
    ids = torch.randint(0, CONFIG["vocab_size"], (1, length))

    def theirs() -> None:
        hf(ids, use_cache=True, logits_to_keep=1)

    def ours() -> None:
        model(ids, past_key_values=model.new_cache(1, length + 64), logits_to_keep=1)

    return rounds(f"prefill {length}", theirs, ours, repeats)


def decode(hf: Any, model: Any, repeats: int, batch: int) -> Row:
    """Single steps after a prompt."""
    ids = torch.randint(0, CONFIG["vocab_size"], (batch, PROMPT))
    steps = 4
    past = hf(ids, use_cache=True, logits_to_keep=1).past_key_values
    cache = model.new_cache(batch, PROMPT + steps * (repeats + 1) + 1)
    model(ids, past_key_values=cache, logits_to_keep=1)
    new = ids[:, :1]
    return rounds(
        f"decode, batch {batch}, after {PROMPT}",
        lambda: hf(new, past_key_values=past, use_cache=True, logits_to_keep=1),
        lambda: model(new, past_key_values=cache, logits_to_keep=1),
        repeats,
        steps,
    )


def load(folder: Path, repeats: int) -> list[Row]:
    """A folder to a model, and to the logits of one token; the files are in the page cache.

    Composer goes on to look at the numbers after `load` returns.  The first use waits for that; here each
    library's model is used before the other's turn begins, outside the first row and inside the second.
    """
    ids = torch.tensor([[1]])
    alone, used = Row("load", [], []), Row("load and logits of one token", [], [])

    def once(make: Callable[[], Any]) -> tuple[float, float]:
        start = time.perf_counter()
        model = make()
        loaded = time.perf_counter()
        with torch.inference_mode():
            model(ids)
        return loaded - start, time.perf_counter() - start

    makers = (lambda: MistralForCausalLM.from_pretrained(folder, dtype="auto"), lambda: composer.load(folder))
    for number in range(repeats + 1):
        for theirs in (True, False) if number % 2 else (False, True):
            load, both = once(makers[0] if theirs else makers[1])
            if number:
                (alone.theirs if theirs else alone.ours).append(load)
                (used.theirs if theirs else used.ours).append(both)
    return [alone, used]


THEIRS = """
import torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained({folder!r}, dtype="auto")
with torch.inference_mode():
    model(torch.arange(8)[None]).logits[0, -1].argmax().item()
"""
OURS = """
import composer, torch
model = composer.load({folder!r})
with torch.inference_mode():
    model(torch.arange(8)[None]).logits[0, -1].argmax().item()
"""


def start(folder: Path, repeats: int) -> Row:
    """A fresh interpreter to the first token of an 8-token prompt."""

    def run(code: str) -> None:
        environment = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-c", code.format(folder=str(folder))]
        subprocess.run(command, check=True, env=environment, capture_output=True)

    return rounds("start to first token", lambda: run(THEIRS), lambda: run(OURS), repeats)


def measure(folder: Path, dtype: torch.dtype, repeats: int) -> list[Row]:
    """Every workload, plain and then prepared."""
    rows = [start(folder, max(3, repeats // 2)), *load(folder, 2 * repeats)]
    hf, model = MistralForCausalLM.from_pretrained(folder, dtype="auto").eval(), composer.load(folder)
    with torch.inference_mode():
        for prepared in (False, True):
            if prepared:
                model.prepare()
            for make, argument, tokens in ((prefill, 2048, 2048), (decode, 1, 1), (decode, 8, 8)):
                row = make(hf, model, repeats if make is prefill else 2 * repeats, argument)
                row.floor = product_seconds(tokens, dtype, prepared)
                row.name += ", prepared" if prepared else ""
                rows.append(row)
                print(row.line(), file=sys.stderr, flush=True)
    return rows


def report(rows: list[Row], options: argparse.Namespace) -> str:
    """The page."""
    libraries = f"torch {torch.__version__}, transformers {transformers.__version__}"
    versions = f"{libraries}, Python {platform.python_version()}"
    head = [
        "# Speed against transformers",
        "",
        f"284M parameters of the Mistral shape, {options.dtype}, {options.threads} threads, {versions}.",
        f"Medians of at least {options.repeats} interleaved rounds, by `python benchmarks/against_transformers.py`.",
        "",
        "| workload | transformers | composer | ratio | of the library's rate |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(row.line() for row in rows), ""])


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.md"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    dtype = getattr(torch, options.dtype)
    with tempfile.TemporaryDirectory() as scratch:
        write_checkpoint(Path(scratch), dtype)
        page = report(measure(Path(scratch), dtype, options.repeats), options)
    options.out.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
