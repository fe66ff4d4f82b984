"""Every option of our blocks and every key of the spec language is used by a model, or is there for a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

from pydantic import BaseModel

import composer
from composer.block import Norm
from composer.options import Rope
from composer.shipped import shipped_specs
from composer.spec import Adapter, BlockEntry, Branch, Draw, Embedding, Head, Override, Positions, Share, Spec

from .test_config_fields import DECIDING, changed
from .test_config_fields import spec as imported

# Rotary positions of every type, as configurations have them.
STRETCHED: list[dict[str, Any]] = [
    {"rope_type": "proportional", "partial_rotary_factor": 0.5, "rope_theta": 7.0},
    {"rope_type": "yarn", "factor": 4.0, "attention_factor": 0.5, "beta_fast": 16.0, "beta_slow": 2.0,
     "mscale": 0.5, "mscale_all_dim": 0.5, "truncate": False, "original_max_position_embeddings": 16},
    {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
     "original_max_position_embeddings": 16},
    {"rope_type": "longrope", "short_factor": [1.0] * 64, "long_factor": [2.0] * 64,
     "original_max_position_embeddings": 16},
]  # fmt: skip
# What no model that is read here needs, and why it is there all the same.
REASONS = {
    "Override.block": "a person's way to name what an override changes, where a layer has several blocks",
    "Spec.final": "where --set on the command line ends up",
    "Branch.scale": "the other factor of a residual branch, beside `residual`",
    "Adapter.alpha": "training adapters of one's own",
    "Adapter.frozen": "training adapters of one's own",
    "Adapter.dropout": "training adapters of one's own",
    "Head.bias": "what every other linear map of the language may have",
    "Mamba2.dt_min_in_step": "following an implementation that differs from itself: number 1 of docs/errata.md",
}
# What would stay without use if the file of one family went away.
ONE_FAMILY = {
    "gemma2": {
        "Branch.post", "Embedding.scale", "Head.softcap", "Norm.offset", "Norm.cast", "Attention.softcap",
    },
    # Overrides would stay: they are a person's way to change single layers of a pattern.
    "gpt2": {"Embedding.dropout", "Spec.overrides", "Override.at", "Override.set"},
    "mamba2": {"Mamba2.hidden_act", "Mamba2.conv_bias", "Mamba2.norm_eps", "Mamba2.dt_min", "Mamba2.dt_max"},
    "opt": {
        "Spec.final_norm", "Spec.layerdrop", "Branch.after", "Positions.offset", "Embedding.size", "Norm.affine",
    },
    "zamba2": {
        "Branch.residual", "BlockEntry.branches", "BlockEntry.reads", "BlockEntry.out", "BlockEntry.share",
        "BlockEntry.adapters", "Share.copies", "Adapter.rank",
    },
}  # fmt: skip
FORMS: dict[str, type[BaseModel]] = {
    form.__name__: form
    for form in (
        Spec,
        Branch,
        BlockEntry,
        Share,
        Adapter,
        Override,
        Positions,
        Embedding,
        Head,
        Draw,
        Norm,
        Rope,
    )
} | {offer.block.__name__: offer.block for offer in composer.catalog().offers.values()}


def uses() -> Iterator[tuple[str, Spec]]:
    """Who uses which spec: those that are shipped, and what each family makes of every configuration tested."""
    for name in shipped_specs():
        spec = composer.read_spec(name)
        yield spec.weights or name, spec
    for family, field in DECIDING:
        yield family, imported(family, **changed(family, field))
    for family, rope in product(("mistral", "llama"), STRETCHED):
        yield family, imported(family, rope_parameters=rope)
    full, window = "full_attention", "sliding_attention"
    types = [full, window, window, full, window, window, full]
    yield "ministral", imported("ministral", num_hidden_layers=7, layer_types=types)


def blocks(spec: Spec) -> Iterator[BaseModel]:
    """The options of every block, those of the one that it extends among them."""
    for entry in spec.blocks.values():
        chain = [entry]
        while chain[-1].extends is not None:
            chain.append(spec.blocks[chain[-1].extends])
        kinds = [each.kind for each in chain if each.kind is not None]
        options = {key: value for each in reversed(chain) for key, value in each.options.items()}
        if kinds:
            yield composer.catalog()[kinds[0]].model_validate(options)


def given(value: Any) -> Iterator[str]:
    """`Form.key` of everything in a value, and below it, that is not as it is when nobody writes it."""
    if isinstance(value, BaseModel):
        for key, field in type(value).model_fields.items():
            found = getattr(value, key)
            if field.is_required() or found != field.get_default():
                yield f"{type(value).__name__}.{key}"
            yield from given(found)
    elif isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for part in value:
            yield from given(part)


@cache
def users() -> dict[str, set[str]]:
    """By key, the families and specs that give it a value of their own."""
    found: dict[str, set[str]] = {
        f"{name}.{key}": set() for name, form in FORMS.items() for key in form.model_fields
    }
    for user, spec in uses():
        for key in (*given(spec), *given(tuple(blocks(spec)))):
            found[key].add(user)
    return found


def test_every_key_is_used() -> None:
    """Some model gives it a value other than its default, or there is a reason above; neither for nothing."""
    assert set(REASONS) == {key for key, found in users().items() if not found}


def test_keys_that_one_family_uses() -> None:
    """They are known by name, so that a family that goes away takes with it what it alone needed."""
    found: dict[str, set[str]] = {}
    for key, (first, *others) in ((key, sorted(each)) for key, each in users().items() if each):
        if not others:
            found.setdefault(first, set()).add(key)

    assert ONE_FAMILY == found
