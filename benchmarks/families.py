"""Speed and memory against transformers, interleaved in one process, on models of four shapes.

    python benchmarks/families.py                        # bf16, two threads, writes benchmarks/families.md
    python benchmarks/families.py --models zamba2 --repeats 3 --out other.md

Both libraries load the same checkpoint, which transformers writes.  Every figure is the median of rounds in which
the two take turns; a ratio above 1 says that Composer needs less.  Extra memory is the rise of the resident
set's peak above what the process held before, during one prefill, cache included, each in a process of its own.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from against_transformers import CONFIG as DENSE
from against_transformers import Row, rounds
from transformers import AutoConfig, AutoModelForCausalLM

import composer

HYBRID = {
    "vocab_size": 32000,
    "hidden_size": 1024,
    "num_hidden_layers": 18,
    "layers_block_type": (["mamba"] * 5 + ["hybrid"]) * 3,
    "mamba_d_state": 64,
    "n_mamba_heads": 32,
    "num_mem_blocks": 2,
    "num_attention_heads": 16,
    "use_shared_attention_adapter": True,
    "adapter_rank": 128,
    "use_mem_rope": True,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mistral": ("mistral", DENSE),
    "ministral": (
        "ministral",
        {**DENSE, "layer_types": (["full_attention"] + ["sliding_attention"] * 3) * 4},
    ),
    "zamba2": ("zamba2", HYBRID),
    "opt-125m": ("opt", {}),
}
KINDS = ("prefill", "memory", "decode", "mixed", "training")
# Eight prompts of mixed lengths: 1,562 tokens, 4,096 with padding.
MIXED = (512, 17, 33, 60, 95, 130, 255, 460)


class Bench:
    """One model in both libraries."""

    def __init__(self, name: str, dtype: torch.dtype, repeats: int, folder: Path) -> None:
        kind, config = MODELS[name]
        torch.manual_seed(0)
        made = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config)).to(dtype)
        made.save_pretrained(folder)
        self.hf = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
        self.model = composer.load(folder)
        self.folder = folder
        self.repeats, self.vocab = repeats, self.hf.config.vocab_size
        self.longest = min(2048, self.hf.config.max_position_embeddings) - 8

    def ids(self, rows: int, tokens: int) -> torch.Tensor:
        """Random tokens, no special ones."""
        return torch.randint(10, self.vocab, (rows, tokens))

    def prefill(self, rows: int, tokens: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """Prompts, cache on, logits of the last token."""
        ids = self.ids(rows, tokens)
        return (
            lambda: self.hf(ids, use_cache=True, logits_to_keep=1),
            lambda: self.model(
                ids, past_key_values=self.model.new_cache(rows, tokens + 64), logits_to_keep=1
            ),
        )

    def decode(self, rows: int, tokens: int) -> Row:
        """Single steps after prompts."""
        ids, steps = self.ids(rows, tokens), 4
        past = self.hf(ids, use_cache=True, logits_to_keep=1).past_key_values
        cache = self.model.new_cache(rows, tokens + steps * (2 * self.repeats + 1) + 1)
        self.model(ids, past_key_values=cache, logits_to_keep=1)
        new = ids[:, :1]
        return rounds(
            f"decode, batch {rows}, after {tokens}",
            lambda: self.hf(new, past_key_values=past, use_cache=True, logits_to_keep=1),
            lambda: self.model(new, past_key_values=cache, logits_to_keep=1),
            2 * self.repeats,
            steps,
        )

    def mixed(self, new: int = 32) -> Row:
        """Prompts of mixed lengths, padded on the left, and new tokens of all."""
        ids = self.ids(len(MIXED), max(MIXED))
        mask = torch.zeros_like(ids)
        for row, length in enumerate(MIXED):
            mask[row, -length:] = 1
        given = {"attention_mask": mask, "max_new_tokens": new, "do_sample": False}
        return rounds(
            f"8 mixed prompts and {new} tokens",
            lambda: self.hf.generate(ids, min_new_tokens=new, pad_token_id=0, **given),
            lambda: self.model.generate(ids, min_new_tokens=new, pad_token_id=0, **given),
            max(1, self.repeats // 2),
        )

    def training(self) -> Row:
        """Forward and backward of two rows of 512 tokens."""
        ids = self.ids(2, 512)
        self.hf.train(), self.model.train()

        def step(model: Any, **given: Any) -> None:
            model(ids, labels=ids, **given).loss.backward()
            model.zero_grad()

        row = rounds(
            "forward and backward, 2 x 512",
            lambda: step(self.hf, use_cache=False),
            lambda: step(self.model),
            max(1, self.repeats // 2),
        )
        self.hf.eval(), self.model.eval()
        return row

    def rows(self, only: str) -> Iterator[Row]:
        """Every workload whose kind is asked for."""
        inferred: list[tuple[str, Callable[[], Row]]] = [
            *(("prefill", partial(self.prefilled, tokens)) for tokens in (128, self.longest)),
            ("memory", self.memory),
            *(
                ("decode", partial(self.decode, rows, tokens))
                for rows, tokens in ((1, 128), (1, self.longest - 200), (8, 128))
            ),
            ("mixed", self.mixed),
        ]
        for kind, measure in inferred:
            if only in ("", kind):
                with torch.inference_mode():
                    row = measure()
                yield row
        if only in ("", "training"):
            yield self.training()

    def prefilled(self, tokens: int) -> Row:
        """One prompt."""
        return rounds(f"prefill {tokens}", *self.prefill(1, tokens), self.repeats)

    def memory(self) -> Row:
        """Extra bytes of one long prefill, each in a process of its own."""
        row = Row(f"extra memory, prefill {self.longest}", [], [])
        for _ in range(2):
            row.theirs.append(rise(THEIRS, self.folder, self.longest))
            row.ours.append(rise(OURS, self.folder, self.longest))
        return row


MEASURE = """
import sys, torch
from pathlib import Path
def held(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
torch.set_num_threads(int(sys.argv[3]))
ids = torch.arange(10, 10 + int(sys.argv[2]))[None]
with torch.inference_mode():
    {load}
    for tokens in (8, ids.shape[1]):
        Path("/proc/self/clear_refs").write_text("5")
        before = held("VmRSS")
        {run}
        print(held("VmHWM") - before)
"""
THEIRS = MEASURE.format(
    load="""from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="auto").eval()""",
    run="out = model(ids[:, :tokens], use_cache=True, logits_to_keep=1)",
)
OURS = MEASURE.format(
    load="""import composer
    model = composer.load(sys.argv[1])""",
    run="out = model(ids[:, :tokens], past_key_values=model.new_cache(1, tokens + 64), logits_to_keep=1)",
)


def rise(code: str, folder: Path, tokens: int) -> float:
    """How far the peak of the resident set rises above what is held before a long prefill, in bytes.

    A short one comes first: weights are then in memory, and what libraries set up is set up.
    """
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-c", code, str(folder), str(tokens), threads]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def line(name: str, row: Row) -> str:
    """The row as Markdown."""
    if row.name.startswith("extra memory"):
        theirs, ours = (sorted(each)[len(each) // 2] / 1e6 for each in (row.theirs, row.ours))
        return f"| {name} | {row.name} | {theirs:.0f} MB | {ours:.0f} MB | {row.ratio:.2f} |"
    return f"| {name} {row.line().rsplit('|', 2)[0]}|"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--only", default="", choices=["", *KINDS], help="one kind of workload")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("families.md"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.models:
            bench = Bench(name, getattr(torch, options.dtype), options.repeats, Path(scratch) / name)
            for row in bench.rows(options.only):
                lines.append(line(name, row))
                print(lines[-1], file=sys.stderr, flush=True)
            del bench
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    head = [
        "# Four shapes against transformers",
        "",
        f"{options.dtype}, {options.threads} threads, {versions}, Python {platform.python_version()}. Medians of"
        f" interleaved rounds, by `python benchmarks/families.py`; shapes in that file.",
        "",
        "| model | workload | transformers | composer | ratio |",
        "|---|---|---|---|---|",
    ]
    options.out.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
