"""What is verified: a plan with the weights of a folder, or with weights drawn as the plan says."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from composer.describe.units import amount
from composer.errors import ComposerError, WeightsError
from composer.layout.heads import HEAD, head_in, own_head
from composer.layout.importing import config_file, import_config, read_config, spec_name
from composer.nn import Model, build
from composer.options import Rope
from composer.plan import HeadKind, Plan
from composer.reading import read_spec
from composer.resolving import resolve
from composer.store import load
from composer.store.files import read_small

from .bench import first_line

OWN, CONFIG = "composer.yaml", "config.json"

ROWS = 2
SHORTEST, FEWEST, USUAL = 4, 16, 48
BUDGET = 2 * 10**12  # FLOPs of one call over all rows: some seconds to a minute on a small machine
RECURRENT = 300  # tokens that go past the pieces in which states are usually computed


@dataclass
class Subject:
    """One model to be looked at, or the reason why there is none."""

    plan: Plan
    folder: Path | None
    dtype: torch.dtype
    seed: int
    tokens: int
    limit: int
    model: Model | None = None
    missing: str = ""
    damage: str = ""
    fault: str = ""
    progress: Callable[[str], None] = field(default=lambda text: None)

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights as they are computed with."""
        sizes = {"model": self.dtype.itemsize, "float32": 4}
        return sum(param.count * sizes[param.dtype] for param in self.plan.parameters().values())

    @property
    def needs(self) -> int:
        """Bytes that a look at the running model takes: weights, a cache, and the results of a few calls."""
        cache = self.plan.cache_bytes(2 * self.tokens, ROWS, element_size=self.dtype.itemsize)
        width = max(self.plan.sizes.vocab_size, 8 * self.plan.sizes.hidden_size)
        return self.weight_bytes + cache + 6 * ROWS * self.tokens * width * self.dtype.itemsize

    def short_of(self, needed: int) -> str:
        """Why something that takes so many bytes is not done; empty where it fits."""
        if needed <= self.limit:
            return ""
        return f"needs {amount(needed, 'B')}, the limit is {amount(self.limit, 'B')}"

    def open(self) -> None:
        """Load or draw the weights, unless they do not fit or the folder is damaged."""
        self.missing = self.short_of(self.needs)
        if self.missing:
            return
        if self.folder is None:
            self.progress(f"drawing {self.plan.parameter_count:,} parameters")
            self.draw()
            return
        self.progress(f"loading {self.folder}")
        try:
            self.model = load(self.folder, spec=self.plan, dtype=self.dtype)
            self.model.state_dict()  # waits for the check of the numbers
        except WeightsError as error:
            self.model, self.missing = None, "the weights could not be loaded"
            self.damage = "; ".join(problem.message for problem in error.problems[:3])

    def draw(self) -> None:
        """Weights as the plan says; a block whose module is not what it declares cannot be filled."""
        try:
            self.model = build(self.plan, dtype=self.dtype, seed=self.seed)
        except ComposerError:
            raise
        except Exception as error:  # whatever a block's code raises
            self.missing = "the model could not be built"
            self.fault = f"building raised {type(error).__name__}: {first_line(error)}"

    def ids(self, rows: int, tokens: int) -> Tensor:
        """(rows, tokens) random ids."""
        return torch.randint(self.plan.sizes.vocab_size, (rows, tokens), generator=self.generator)

    @property
    def room(self) -> int:
        """The longest text that is fed; where ropes turn otherwise in a longer one, all are of one length."""
        if stretched(self.plan):
            return self.tokens
        most = self.plan.sizes.max_position_embeddings or 2 * self.tokens
        return max(self.tokens, min(2 * self.tokens, most))


def folder_plan(folder: Path, head: HeadKind | None) -> Plan:
    """What a folder says it holds, its weights unopened; whatever loading raises where it says nothing.

    By default with the head that it names.
    """
    file = folder / config_file(folder)
    config = read_config(read_small(file), str(file)) if file.is_file() else {}
    if (folder / OWN).is_file():
        spec = read_spec(folder / OWN)
    elif config:
        spec = import_config(config, spec_name(folder), str(file))
    else:
        return load(folder, head=head).plan
    own = folder / HEAD
    stored = (
        own_head(read_config(read_small(own), str(own)), str(own))
        if own.is_file()
        else head_in(config, str(file))
    )
    kind: HeadKind = head or stored.kind or "causal-lm"
    return resolve(spec, head=kind, **stored.changed(spec, kind, {}))


def length(plan: Plan) -> int:
    """Tokens a row: past every window and piece if they are not too many to compute, and never beyond the model."""
    windows = [slot.window or 0 for layer in plan.layers for slot in layer.slots().values()]
    kinds = {slot.kind for layer in plan.layers for slot in layer.slots().values()}
    wanted = max(USUAL, 2 * max(windows, default=0) + 11, RECURRENT if "recurrent" in kinds else 0)
    each = plan.flops(wanted) or 2 * plan.parameter_count
    wanted = min(wanted, max(FEWEST, BUDGET // (ROWS * each)))
    most = plan.sizes.max_position_embeddings
    return wanted if most is None else min(wanted, most)


def stretched(plan: Plan) -> bool:
    """Whether any rope turns otherwise in a longer text."""
    blocks = {mixer.block for layer in plan.layers for _, mixer in layer.mixers()}
    return any(isinstance(value, Rope) and value.depends_on_length for each in blocks for _, value in each)


def longest_window(plan: Plan) -> int:
    """The longest window of any layer, 0 where there is none."""
    return max((slot.window or 0 for layer in plan.layers for slot in layer.slots().values()), default=0)


def memory_limit() -> int:
    """Bytes of memory that are free now, less a fifth."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        with open("/proc/meminfo", encoding="ascii") as file:
            known = dict(line.split(":", 1) for line in file)
        free = int(known["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, AttributeError):
        free = 8 * 10**9
    return free * 4 // 5
