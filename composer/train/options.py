"""Options of a training run: names, bounds and defaults, for the command line and Python. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from composer.errors import Problem, UsageError, did_you_mean

from .corpus import EXTENSIONS

MOST = 2**31 - 1
Count = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[int, Field(ge=1, le=MOST)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Extension = Annotated[str, Field(pattern=r"^\..+$")]

MAY_CHANGE = frozenset({"device", "layout", "log_every", "save_every", "tokenizer"})
"""What may differ when a run is resumed; of a tokenizer the content counts and not where it lies."""


class TrainOptions(BaseModel):
    """How a model is trained. Raises UsageError E950 with every problem at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    steps: Positive = Field(1000, description="Optimizer steps.")
    batch_size: Positive = Field(8, description="Rows in a step.")
    context: Annotated[int, Field(ge=2, le=MOST)] = Field(256, description="Tokens in a row.")
    learning_rate: Annotated[float, Field(gt=0)] = Field(1e-3, description="Peak rate, reached by warm-up.")
    warmup_steps: Count = Field(
        100,
        description="Steps over which the rate rises linearly; not given, at most a tenth of all steps.",
    )
    final_rate: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="Rate at the end of the cosine, as a share of the peak."
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.1, description="Decoupled decay of matrices; norms and biases have none."
    )
    beta1: Beta = Field(0.9, description="Memory of AdamW's mean of gradients.")
    beta2: Beta = Field(0.95, description="Memory of AdamW's mean of squared gradients.")
    epsilon: Annotated[float, Field(gt=0)] = Field(1e-8, description="AdamW's guard against division by 0.")
    clip: Annotated[float, Field(gt=0)] | None = Field(
        1.0, description="Largest norm of all gradients together; null leaves them as they are."
    )
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = Field(
        0, description="Seed of the weights, of the order of the text and of dropout."
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="Arithmetic of the matrix products; weights and optimizer stay in float32."
    )
    device: str = Field("cpu", description="Where to train: cpu, cuda, cuda:1.")
    extensions: tuple[Extension, ...] = Field(
        EXTENSIONS, min_length=1, description="Endings of the files that are read as text."
    )
    held_out_percent: Annotated[int, Field(ge=0, le=99)] = Field(
        10, description="About how many of 100 files are kept for evaluation, chosen by a hash of their path."
    )
    tokenizer: Path | None = Field(
        None,
        description="Folder with a tokenizer.json; without one a byte-fallback BPE is learnt from the text.",
    )
    log_every: Positive = Field(10, description="Steps between lines of loss.jsonl.")
    save_every: Positive = Field(500, description="Steps between checkpoints; a run resumes from the last.")
    layout: Literal["composer", "hf"] = Field(
        "composer", description="Names and files of the checkpoint: ours, or those of a published family."
    )
    evaluate_every: Count = Field(
        0, description="Steps between evaluations on the held-out files; 0 evaluates at the end only."
    )

    def __init__(self, **options: Any) -> None:
        fields = type(self).model_fields
        unknown = [_unknown(name) for name in options if name not in fields]
        known = {name: _plain(name, value) for name, value in options.items() if name in fields}
        steps = known.get("steps")
        if type(steps) is int and steps > 0:  # or a short run would end before its rate is reached
            known.setdefault("warmup_steps", min(fields["warmup_steps"].default, steps // 10))
        try:
            super().__init__(**known)
        except ValidationError as error:
            raise UsageError(*unknown, *(_problem(e) for e in error.errors())) from None
        if unknown:
            raise UsageError(*unknown)

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one step reads."""
        return self.batch_size * self.context


def _plain(name: str, value: Any) -> Any:
    """Lists as tuples, and the text of a path as a path."""
    if name == "extensions" and isinstance(value, list):
        return tuple(value)
    return Path(value) if name == "tokenizer" and isinstance(value, str) else value


def _unknown(name: str) -> Problem:
    hint = did_you_mean(name, TrainOptions.model_fields)
    return Problem("E950", f"training has no option {name!r}", path=name, hint=hint)


def _problem(error: Any) -> Problem:
    name = str(error["loc"][0])
    rule = error["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    return Problem("E950", f"{name} {rule}, found {str(error['input'])[:80]!r}", path=name)
