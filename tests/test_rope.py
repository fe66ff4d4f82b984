"""Rope options, frequencies, tables and rotation against the reference implementation, bit for bit."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import MistralConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.mistral.modeling_mistral import MistralRotaryEmbedding, apply_rotary_pos_emb

import composer
from composer.nn.rope import inverse_frequencies, rotate, tables
from composer.options import Rope

TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3", "proportional")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def sampled(kind: str, draw: random.Random, head_dim: int) -> dict[str, Any]:
    """Random options of one type, in the reference's key names without `rope_type`."""
    options: dict[str, Any] = {"rope_theta": draw.choice([10000.0, 1e6, 500000, 37.5, 1e8])}
    if kind in ("linear", "dynamic", "yarn", "llama3") or (kind != "default" and draw.random() < 0.5):
        options["factor"] = draw.choice([1.0, 2, 2.3, 8.0, 40.0])
    if kind in ("yarn", "longrope", "llama3"):
        options["original_max_position_embeddings"] = draw.choice([16, 64, 100, 4096, 8192])
    if kind == "yarn":
        extras = {"attention_factor": 1.3, "beta_fast": 20, "beta_slow": 2.5, "truncate": draw.random() < 0.5}
        options |= {key: value for key, value in extras.items() if draw.random() < 0.5}
        options |= {"mscale": 0.7, "mscale_all_dim": 1.1} if draw.random() < 0.5 else {}
    if kind == "longrope":
        for name in ("short_factor", "long_factor"):
            options[name] = [round(draw.uniform(1, 30), 3) for _ in range(head_dim // 2)]
        options |= {"attention_factor": 1.19} if draw.random() < 0.5 else {}
    if kind == "llama3":
        options |= {"low_freq_factor": draw.choice([1, 1.5]), "high_freq_factor": draw.choice([4, 2.0])}
    if kind == "proportional":
        options["partial_rotary_factor"] = draw.choice([0.25, 0.5, 0.33, 1.0])
    return options


def ours(kind: str, options: dict[str, Any]) -> Rope:
    """The same options in our words."""
    return Rope.model_validate(
        {"type": kind, "theta": options["rope_theta"]}
        | {key: value for key, value in options.items() if key != "rope_theta"}
    )


def theirs(kind: str, options: dict[str, Any], head_dim: int, max_positions: int) -> MistralConfig:
    return MistralConfig(
        hidden_size=4 * head_dim,
        num_attention_heads=4,
        head_dim=head_dim,
        max_position_embeddings=max_positions,
        rope_parameters={"rope_type": kind, **options},
    )


def cases(kind: str, count: int) -> list[tuple[dict[str, Any], int, int]]:
    draw = random.Random(f"rope {kind}")
    dims = [draw.choice([4, 6, 16, 40, 64, 80, 128, 256]) for _ in range(count)]
    return [(sampled(kind, draw, dim), dim, draw.choice([64, 100, 4096, 131072])) for dim in dims]


@pytest.mark.parametrize("kind", TYPES)
def test_frequencies_are_the_references_to_the_last_bit(kind: str) -> None:
    """Fifty option sets of every type, within the trained length and beyond it."""
    for options, head_dim, trained in cases(kind, 50):
        for length in (None, trained // 2, trained, trained + 1, 3 * trained):
            config = theirs(kind, options, head_dim, trained)
            beyond = None if length is None or length <= trained else torch.tensor(length)
            seen = length if kind == "longrope" else beyond
            rule = ROPE_INIT_FUNCTIONS.get(kind, MistralRotaryEmbedding.compute_default_rope_parameters)
            expected, scaling = rule(config, device="cpu", seq_len=seen)

            actual = inverse_frequencies(ours(kind, options), head_dim, max_positions=trained, length=length)

            assert actual[0].dtype == torch.float32
            assert torch.equal(actual[0], expected), (options, head_dim, trained, length)
            assert actual[1] == scaling


@pytest.mark.parametrize("kind", TYPES)
def test_tables_and_rotation_are_the_references_to_the_last_bit(kind: str) -> None:
    """Through the reference's own module, at positions far apart, in three dtypes."""
    for options, head_dim, trained in cases(kind, 12):
        positions = torch.tensor([[0, 1, 2, 63, trained // 2, trained - 1], [5, 6, 7, 8, 3 * trained, 9]])
        for dtype in DTYPES:
            generator = torch.Generator().manual_seed(head_dim)
            q = torch.randn(2, 6, 4, head_dim, generator=generator).to(dtype)
            k = torch.randn(2, 6, 1, head_dim, generator=generator).to(dtype)
            reference = MistralRotaryEmbedding(theirs(kind, options, head_dim, trained))
            cos, sin = reference(q, positions)

            rope_tables = tables(
                ours(kind, options),
                head_dim,
                positions,
                dtype=dtype,
                max_positions=trained,
                length=3 * trained + 1,
            )
            actual = rotate(q, k, *rope_tables)

            expected = apply_rotary_pos_emb(q, k, cos, sin, unsqueeze_dim=2)
            assert torch.equal(rope_tables[0].squeeze(2), cos)
            assert torch.equal(actual[0], expected[0])
            assert torch.equal(actual[1], expected[1])


def test_the_rest_of_a_partly_rotated_head_passes_unchanged() -> None:
    """Half of eight channels turn as a head of four would."""
    q = torch.randn(1, 5, 2, 8, generator=torch.Generator().manual_seed(0))
    positions = torch.arange(5)[None]

    turned, _ = rotate(q, q, *tables(Rope(partial_rotary_factor=0.5), 8, positions, dtype=torch.float32))

    alone, _ = rotate(q[..., :4], q[..., :4], *tables(Rope(), 4, positions, dtype=torch.float32))
    assert torch.equal(turned, torch.cat((alone, q[..., 4:]), -1))


def test_rotation_keeps_lengths_and_depends_on_distance_only() -> None:
    """Scores of a query and a key are the same wherever the two stand together."""
    q, k = torch.randn(2, 1, 1, 1, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def score(at: int) -> float:
        cos, sin = tables(Rope(), 64, torch.tensor([[at, at + 7]]), dtype=torch.float64)
        left, right = (rotate(q, k, c, s) for c, s in zip(cos.split(1, 1), sin.split(1, 1), strict=True))
        assert left[0].norm() == pytest.approx(q.norm().item(), rel=1e-6)
        return float((left[0] * right[1]).sum())

    assert score(0) == pytest.approx(score(50), rel=1e-4)


def test_rotation_is_differentiable() -> None:
    """In queries and keys, fully and partly rotated."""
    q, k = torch.randn(2, 1, 3, 2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for factor in (1.0, 0.5):
        rope = Rope(partial_rotary_factor=factor)
        cos, sin = tables(rope, 8, torch.arange(3)[None], dtype=torch.float64)

        assert torch.autograd.gradcheck(
            lambda a, b, c=cos, s=sin: rotate(a, b, c, s), (q.requires_grad_(), k.requires_grad_())
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "linear"}, "rope type 'linear' needs 'factor'"),
        ({"factor": 2.0}, "rope type 'default' does not use 'factor'"),
        (
            {"type": "llama3", "factor": 8.0, "beta_fast": 3.0},
            "rope type 'llama3' needs 'original_max_position_embeddings'; "
            "rope type 'llama3' needs 'low_freq_factor'; rope type 'llama3' needs 'high_freq_factor'; "
            "rope type 'llama3' does not use 'beta_fast'",
        ),
        (
            {
                "type": "yarn",
                "factor": 2,
                "original_max_position_embeddings": 64,
                "beta_fast": 1,
                "beta_slow": 2,
            },
            "'beta_slow' (2) must not be above 'beta_fast' (1)",
        ),
        (
            {
                "type": "llama3",
                "factor": 2,
                "original_max_position_embeddings": 64,
                "low_freq_factor": 4,
                "high_freq_factor": 4,
            },
            "'low_freq_factor' (4) must be below 'high_freq_factor' (4)",
        ),
        (
            {"type": "yarn", "factor": 2, "original_max_position_embeddings": 64, "mscale": 1},
            "'mscale' and 'mscale_all_dim' only work together: give both or neither",
        ),
        (
            {"type": "yarn", "factor": 2, "original_max_position_embeddings": 64, "theta": 1},
            "rope type 'yarn' needs a 'theta' above 1, not 1",
        ),
    ],
)
def test_options_that_do_not_go_together_are_named(options: dict[str, Any], message: str) -> None:
    """All contradictions of one rope in one sentence each."""
    with pytest.raises(ValidationError) as caught:
        Rope.model_validate(options)

    assert caught.value.errors()[0]["msg"] == f"Value error, {message}"


def test_defaults_of_a_type_are_filled_in() -> None:
    """What is absent, null or written out is the same rope."""
    short = {"type": "yarn", "factor": 4, "original_max_position_embeddings": 4096}

    absent = Rope.model_validate(short)

    assert absent == Rope.model_validate(short | {"beta_fast": 32, "beta_slow": 1, "truncate": True})
    assert absent == Rope.model_validate(short | {"beta_fast": None, "mscale": None})
    assert Rope.model_validate(absent.model_dump()) == absent
    assert len({absent, Rope.model_validate(short)}) == 1


@pytest.mark.parametrize(
    ("options", "head_dim", "message"),
    [
        ({}, 5, "rope turns channels in pairs, not 5 of a head's 5"),
        ({"partial_rotary_factor": 0.1}, 8, "rope turns channels in pairs, not 0 of a head's 8"),
        (
            {
                "type": "longrope",
                "short_factor": [1.0, 1.0],
                "long_factor": [2.0],
                "factor": 2.0,
                "original_max_position_embeddings": 8,
            },
            4,
            "'long_factor' has 1 entries, but 4 rotated channels make 2 pairs",
        ),
        (
            {"type": "dynamic", "factor": 2.0},
            4,
            "rope type 'dynamic' needs the model's 'max_position_embeddings'",
        ),
        (
            {"type": "dynamic", "factor": 2.0},
            2,
            "rope type 'dynamic' needs at least 4 rotated channels, not 2",
        ),
    ],
)
def test_a_rope_says_why_it_does_not_fit_a_head(options: dict[str, Any], head_dim: int, message: str) -> None:
    """The holder of the options asks once it knows the head."""
    assert message in Rope.model_validate(options).misfits(head_dim)


def test_every_option_is_described() -> None:
    """Descriptions are sentences: they end up in the schema and the docs."""
    for name, field in Rope.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_a_block_with_a_rope_that_does_not_fit_is_refused_when_the_spec_resolves() -> None:
    """The message names the block; nothing waits for the first call."""
    spec = composer.read_spec(
        """
        composer: 1
        name: odd
        vocab_size: 32
        hidden_size: 6
        norm: {kind: rms, eps: 1.0e-5}
        pattern: full
        blocks:
          full: {kind: attention, num_attention_heads: 1, rope: {type: dynamic, factor: 2.0}}
        """
    )

    with pytest.raises(composer.ComposerError) as caught:
        composer.resolve(spec)

    assert caught.value.problems[0].path == "blocks.full.rope"
    assert "rope type 'dynamic' needs the model's 'max_position_embeddings'" in str(caught.value)
