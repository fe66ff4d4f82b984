"""What a person wrote: one YAML file, its ancestors merged, its shape checked, nothing decided yet."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from .block import Frozen, Norm, Width
from .origins import Origins
from .source.invalid import shown

List = Field(strict=False)  # YAML lists become tuples
MOST_DRAWN = 30_000


def _track(value: Any) -> Any:
    """A track that is no text: most often what YAML made of a comma inside braces."""
    wrong = [each for each in value if not isinstance(each, str)] if isinstance(value, list) else []
    if wrong or not isinstance(value, str | list | tuple):
        comma = "write its words; inside { } a comma ends a value, so quote them"
        found, what = (
            shown(wrong[0]) if wrong else shown(value),
            "words" if wrong else "the pattern of a track",
        )
        context = {"what": what, "found": found, "hint": comma if value is None else "quote it"}
        raise PydanticCustomError("E303", "expected {what}, found {found}", context)
    return value


Track = Annotated[str | Annotated[tuple[str, ...], List], BeforeValidator(_track)]
"""The pattern of one track: a string, or several that are joined by commas."""


class Branch(Frozen):
    """One residual branch of a layer: `stream = residual * stream + scale * post(mix(norm(stream)))`.

    Several mixers on one norm are summed.  `after` normalises the stream behind the sum.
    """

    mix: str | Annotated[tuple[str, ...], List] = Field(
        description="A track of the pattern (`mixer`) or the name of a block; a list runs side by side."
    )
    norm: Literal["rms", "layer"] | Norm | None = Field(
        default=None, description="Norm before the branch; a bare kind takes its numbers from `norm`."
    )
    post: Literal["rms", "layer"] | Norm | None = Field(
        default=None, description="Norm of what the branch returns, before it is added."
    )
    after: Literal["rms", "layer"] | Norm | None = Field(
        default=None, description="Norm of the stream after the addition (post-norm)."
    )
    scale: float = Field(default=1.0, description="Multiplies what the branch returns.")
    residual: float = Field(default=1.0, description="Multiplies the stream it is added to; 0 makes a chain.")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of what the branch returns that is dropped in training."
    )

    @property
    def mixes(self) -> tuple[str, ...]:
        """The mixers of the branch, one or several."""
        return (self.mix,) if isinstance(self.mix, str) else self.mix


class Share(Frozen):
    """One set of weights for many uses: the k-th use of the word in the model takes copy k modulo `copies`."""

    copies: Annotated[int, Field(ge=1, le=10_000)] = Field(default=1, description="Sets of weights.")


class Adapter(Frozen):
    """A low-rank addition to linear maps: `scale * up(down(x))`, its own for every use."""

    rank: Width = Field(description="Width between the two maps.")
    alpha: float | None = Field(
        default=None, gt=0, description="What it adds is multiplied by alpha / rank; by 1 when null."
    )
    frozen: bool = Field(
        default=False, description="Whether the weights it is added to stay as they are in training."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of its input dropped in training.")


Read = Literal["stream", "embedding"]


class BlockEntry(Frozen):
    """A word of the pattern or the layer: a plugin's block and its options, or branches over other blocks."""

    model_config = ConfigDict(extra="allow")

    kind: str | None = Field(default=None, description="The kind of block, as a plugin offers it.")
    extends: str | None = Field(
        default=None, description="Another block of this spec whose options this one changes."
    )
    branches: Annotated[tuple[Branch, ...], List, Field(min_length=1)] | None = Field(
        default=None, description="Residual branches that replace the spec's `layer` where this word stands."
    )
    reads: Annotated[tuple[Read, ...], List, Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="What a guest reads, side by side; the stream alone when absent."
    )
    out: Literal["linear"] | None = Field(
        default=None,
        description="A linear map of its own for every use behind a guest, to the stream's width.",
    )
    share: Share | None = Field(default=None, description="How many sets of weights all uses have together.")
    adapters: dict[str, Adapter] | None = Field(
        default=None, description="Low-rank additions by the linear, or the group of linears, they add to."
    )

    @property
    def options(self) -> dict[str, Any]:
        """What the kind's own options are to be."""
        return dict(self.model_extra or {})


class Override(Frozen):
    """Options that differ at some layers, applied after the pattern is expanded."""

    at: int | str | Annotated[tuple[int | str, ...], List, Field(min_length=1)] = Field(
        description='A layer index (0, -1), a range ("8..15"), a word of the pattern (full), the k-th layer with '
        'it ("full[0]"), or a list of those.'
    )
    block: str | None = Field(
        default=None,
        description="Which block of the layer, or which track; when absent the word that `at` names, or the "
        "layer's only one.",
    )
    set: dict[str, Any] = Field(min_length=1, description="Options of the block and their values there.")


class Positions(Frozen):
    """A learned vector for every position up to `max_position_embeddings`, added to the embedded tokens."""

    offset: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0, description="Rows of the table before that of position 0."
    )


class Embedding(Frozen):
    """How tokens become the stream."""

    size: Width | None = Field(
        default=None,
        description="Width of the token table where linear maps lead from it to hidden_size and back.",
    )
    scale: float | None = Field(default=None, gt=0, description="Multiplies what is looked up.")
    positions: Positions | None = Field(default=None, description="Learned positions; null for none.")
    padding: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Row that is drawn as zeros and that look-ups do not train."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share dropped in training.")


class Head(Frozen):
    """What turns the stream into logits over the vocabulary."""

    tied: bool = Field(default=False, description="Use the embedding table as the output matrix.")
    bias: bool = Field(default=False, description="Add a bias to the logits.")
    softcap: float | None = Field(
        default=None, gt=0, description="Logits become softcap * tanh(logits / softcap)."
    )


class Draw(Frozen):
    """How the values of one kind of tensor are drawn; every floating dtype can hold mean and spread together.

    `log_uniform_softplus` makes values whose softplus is log-uniform from `low` to `high`, at least `floor`;
    `log_range` the logarithms of 1, 2, 3, ...
    """

    distribution: Literal["normal", "uniform", "constant", "log_uniform_softplus", "log_range"] = Field(
        description="The distribution."
    )
    mean: float = Field(
        default=0.0, ge=-MOST_DRAWN, le=MOST_DRAWN,
        description="Mean of a normal, middle of a uniform, or the constant.",
    )  # fmt: skip
    spread: float = Field(
        default=0.0, ge=0, le=MOST_DRAWN, description="Deviation of a normal, half width of a uniform."
    )
    low: float | None = Field(default=None, gt=0, le=MOST_DRAWN, description="Least softplus.")
    high: float | None = Field(default=None, gt=0, le=MOST_DRAWN, description="Largest softplus.")
    floor: float | None = Field(default=None, gt=0, le=MOST_DRAWN, description="What a softplus is at least.")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.distribution != "log_uniform_softplus":
            if given := [name for name in ("low", "high", "floor") if getattr(self, name) is not None]:
                raise ValueError(f"a {self.distribution} draw takes no '{given[0]}'")
        elif self.low is None or self.high is None or self.low > self.high:
            raise ValueError("a log_uniform_softplus draw needs 'low' and 'high', the smaller first")
        return self


INIT = {
    "linear": Draw(distribution="normal", spread=0.02),
    "embedding": Draw(distribution="normal", spread=0.02),
    "bias": Draw(distribution="constant", mean=0.0),
    "norm": Draw(distribution="constant", mean=1.0),
    "position": Draw(distribution="normal", spread=0.02),
    "adapter_down": Draw(distribution="normal", spread=0.02),
    "adapter_up": Draw(distribution="constant", mean=0.0),
}
"""What a kind of tensor gets when a spec's `init` does not name it."""


class Spec(Frozen):
    """One architecture, as written; `composer.resolve` decides the rest."""

    composer: Literal[1] = Field(description="Version of the spec language.")
    name: str = Field(min_length=1, max_length=200, description="Name of the architecture.")
    description: str = Field(default="", description="What it is, in a sentence or two.")
    vocab_size: Width = Field(description="Rows of the token table.")
    hidden_size: Width = Field(description="Width of the stream.")
    max_position_embeddings: Width | None = Field(
        default=None, description="Longest sequence the model is meant for; null when open."
    )
    norm: Norm = Field(
        description="The model's norm: in front of the head, and wherever a branch names its kind."
    )
    final_norm: bool = Field(
        default=True, description="Whether the model's norm stands between the last layer and the head."
    )
    embedding: Embedding = Field(
        default=Embedding(), description="Width, scale and positions of what tokens become."
    )
    layer: Annotated[tuple[Branch, ...], List, Field(min_length=1)] | None = Field(
        default=None,
        description="Residual branches of a layer; `mixer` stands for the word of the pattern, or a track's name "
        "for its word. "
        "By default one branch: the mixer, with the model's norm before it.",
    )
    pattern: str | Annotated[tuple[str, ...], List] | Annotated[dict[str, Track], Field(min_length=1)] = (
        Field(description="The layer pattern: one, or one for each track.")
    )
    layers: Width | None = Field(default=None, description="Number of layers; the pattern cycles to it.")
    remainder: Literal["error", "truncate"] = Field(
        default="error", description="What to do when the pattern does not divide `layers`."
    )
    blocks: dict[str, BlockEntry] = Field(
        min_length=1,
        description="The words of the pattern and of the layer: a `kind` with its options, or `branches`.",
    )
    overrides: Annotated[tuple[Override, ...], List] = Field(
        default=(), description="Options that differ at some layers."
    )
    final: dict[str, dict[str, Any]] = Field(
        default={},
        description="Options by block that win over everything else; what `--set blocks.…` writes.",
    )
    layerdrop: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the layers that a training step leaves out."
    )
    head: Head = Field(default=Head(), description="The language-model head.")
    init: dict[str, Draw] = Field(default={}, description="How each kind of tensor is drawn.")
    weights: str | None = Field(
        default=None, description="The layout whose tensor names published checkpoints of this model use."
    )
    tokenizer: str | None = Field(default=None, description="Which tokenizer the model was trained with.")
    generation: dict[str, Any] = Field(default={}, description="Generation defaults, token ids among them.")
    metadata: dict[str, Any] = Field(
        default={}, description="Sources, licence, parameter count as published."
    )

    _origins: Origins = PrivateAttr(default_factory=Origins)

    @field_validator("composer", mode="before")
    @classmethod
    def _version(cls, version: Any) -> Any:
        if isinstance(version, int) and version != 1:
            hint = "write composer: 1, or install a version of arch-composer that reads it"
            message = "version 1 of the spec language is read here, not {found}"
            raise PydanticCustomError("E309", message, {"found": version, "hint": hint})
        return version

    @property
    def tracks(self) -> tuple[str, ...]:
        """The names of the tracks, `mixer` where the pattern is no mapping."""
        return tuple(self.pattern) if isinstance(self.pattern, dict) else ("mixer",)

    @property
    def origins(self) -> Origins:
        """Where each part was written, for errors that are found later."""
        return self._origins
