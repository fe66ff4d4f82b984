"""Options that several blocks share: position rotation and the names of activations. No torch here.

A block of any plugin may hold a `Rope` or an `ActivationName` among its own options; the mathematics
lives in `composer.nn.rope` and `composer.nn.activations`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from composer.block import Frozen

ActivationName = Literal[
    "gelu",
    "gelu_10",
    "gelu_accurate",
    "gelu_fast",
    "gelu_new",
    "gelu_python",
    "gelu_python_tanh",
    "gelu_pytorch_tanh",
    "hardswish",
    "laplace",
    "leaky_relu",
    "linear",
    "mish",
    "quick_gelu",
    "relu",
    "relu2",
    "relu6",
    "sigmoid",
    "silu",
    "sqrtsoftplus",
    "swish",
    "tanh",
]

RopeType = Literal["default", "linear", "dynamic", "yarn", "longrope", "llama3", "proportional"]

# For each type: the options it needs, and the ones it may have with the value they take when absent.
_NEEDS: dict[str, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor", "original_max_position_embeddings"),
    "longrope": ("short_factor", "long_factor", "original_max_position_embeddings"),
    "llama3": ("factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
    "proportional": (),
}
_MAY_HAVE: dict[str, dict[str, Any]] = {
    "yarn": {
        "attention_factor": None,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale": None,
        "mscale_all_dim": None,
        "truncate": True,
    },
    "longrope": {"factor": None, "attention_factor": None},
    "proportional": {"factor": 1.0},
}
_ALWAYS = ("type", "theta", "partial_rotary_factor")

Positive = Annotated[float, Field(gt=0)]
Factors = Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)]


class Rope(Frozen):
    """Rotary position embedding: how fast each pair of channels turns with the position.

    An option that the type does not use is refused, one that it needs is demanded, and defaults of the
    type are filled in, so that two ropes are equal exactly if they compute the same.
    """

    type: RopeType = Field(
        default="default",
        description="How the rotation is stretched beyond the trained context; `default`: not at all.",
    )
    theta: Positive = Field(
        default=10000.0,
        description="Base of the geometric series of wavelengths; larger means slower rotation.",
    )
    partial_rotary_factor: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="Share of each head that is rotated; `proportional` stops the rest in place.",
    )
    factor: Positive | None = Field(
        default=None,
        description="How many times longer than trained the context becomes; "
        "`longrope` takes it from the two maximum lengths if absent.",
    )
    original_max_position_embeddings: Annotated[int, Field(ge=2)] | None = Field(
        default=None,
        description="Context length in tokens that the model was trained on before it was stretched.",
    )
    attention_factor: Positive | None = Field(
        default=None,
        description="Multiplier of cosines and sines (yarn, longrope); derived from `factor` if absent.",
    )
    beta_fast: Positive | None = Field(
        default=None,
        description="Channels that turn more often than this over the trained context stay (yarn, 32).",
    )
    beta_slow: Positive | None = Field(
        default=None,
        description="Channels that turn less often than this are fully stretched (yarn, 1).",
    )
    mscale: Positive | None = Field(
        default=None,
        description="With `mscale_all_dim`: weight of the derived attention factor's numerator (yarn).",
    )
    mscale_all_dim: Positive | None = Field(
        default=None,
        description="With `mscale`: weight of the derived attention factor's denominator (yarn).",
    )
    truncate: bool | None = Field(
        default=None,
        description="Whether the bounds of the blended channels are rounded outwards (yarn, true).",
    )
    short_factor: Factors | None = Field(
        default=None,
        description="One divisor per channel pair for texts within the trained context (longrope).",
    )
    long_factor: Factors | None = Field(
        default=None, description="One divisor per channel pair for longer texts (longrope)."
    )
    low_freq_factor: Positive | None = Field(
        default=None,
        description="Wavelengths above the trained context divided by this are fully stretched (llama3).",
    )
    high_freq_factor: Positive | None = Field(
        default=None,
        description="Wavelengths below the trained context divided by this stay as they are (llama3).",
    )

    def __hash__(self) -> int:
        """Of the values alone; what pydantic would make is nothing that torch.compile can follow."""
        return hash(tuple(self.__dict__.values()))

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        """An absent or null option takes the default of its type."""
        if not isinstance(data, dict):
            return data
        given = {key: value for key, value in data.items() if value is not None}
        kind = given.get("type", "default")
        return {**(_MAY_HAVE.get(kind, {}) if isinstance(kind, str) else {}), **given}

    @model_validator(mode="after")
    def _check(self) -> Rope:
        """Refuse what the type does not use, what it lacks, and what contradicts itself."""
        problems = [*self._key_problems(), *self._value_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _key_problems(self) -> list[str]:
        needs, may = _NEEDS[self.type], _MAY_HAVE.get(self.type, {})
        given = [name for name, value in self if value is not None and name not in _ALWAYS]
        missing = [f"rope type '{self.type}' needs '{name}'" for name in needs if name not in given]
        unused = [name for name in given if name not in needs and name not in may]
        return missing + [f"rope type '{self.type}' does not use '{name}'" for name in unused]

    def _value_problems(self) -> list[str]:
        problems = []
        if self.beta_slow and self.beta_fast and self.beta_slow > self.beta_fast:
            problems.append(
                f"'beta_slow' ({self.beta_slow:g}) must not be above 'beta_fast' ({self.beta_fast:g})"
            )
        low, high = self.low_freq_factor, self.high_freq_factor
        if low and high and low >= high:
            problems.append(f"'low_freq_factor' ({low:g}) must be below 'high_freq_factor' ({high:g})")
        if (self.mscale is None) != (self.mscale_all_dim is None):
            problems.append("'mscale' and 'mscale_all_dim' only work together: give both or neither")
        if self.type == "yarn" and self.theta <= 1:
            problems.append(f"rope type 'yarn' needs a 'theta' above 1, not {self.theta:g}")
        return problems

    def rotary_width(self, head_dim: int) -> int:
        """How many leading channels of a head the tables cover."""
        return head_dim if self.type == "proportional" else int(head_dim * self.partial_rotary_factor)

    @property
    def depends_on_length(self) -> bool:
        """Whether the same position turns by another angle in a longer text."""
        return self.type in ("dynamic", "longrope")

    @property
    def needs_max_positions(self) -> bool:
        """Whether the model's `max_position_embeddings` enters the tables."""
        return self.type == "dynamic" or (self.type == "longrope" and self.factor is None)

    def misfits(self, head_dim: int, max_positions: int | None = None) -> list[str]:
        """What is wrong with this rope on heads of `head_dim` channels; empty when it fits."""
        width = self.rotary_width(head_dim)
        if width < 2 or width % 2:
            return [f"rope turns channels in pairs, not {width} of a head's {head_dim}"]
        problems = [
            f"'{name}' has {len(values)} entries, but {width} rotated channels make {width // 2} pairs"
            for name, values in (("short_factor", self.short_factor), ("long_factor", self.long_factor))
            if values is not None and len(values) != width // 2
        ]
        if self.type == "dynamic" and width < 4:
            problems.append(f"rope type 'dynamic' needs at least 4 rotated channels, not {width}")
        if self.needs_max_positions and max_positions is None:
            problems.append(f"rope type '{self.type}' needs the model's 'max_position_embeddings'")
        return problems
