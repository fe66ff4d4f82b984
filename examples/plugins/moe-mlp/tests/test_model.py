"""A model with the block among others, from the spec that comes with the package: trained, generating, saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import composer
from composer.testing import verify

SPEC = "moe-small"


def built() -> Any:
    """The model of the spec, with weights so wide that it has something to say."""
    model = composer.build(composer.resolve(composer.read_spec(SPEC)), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.1)
    return model.eval()


def test_the_plan_counts_it() -> None:
    """Parameters are those of all experts; FLOPs, and what a token uses, those of its own: 2 of 8."""
    plan = composer.resolve(composer.read_spec(SPEC))
    own = sum(p.count for name, p in plan.parameters().items() if name.startswith("layers.0.experts."))
    router, expert = 128 * 8, 3 * 128 * 160
    assert router + 8 * expert == own
    assert 2 * (router + 2 * expert) == plan.layers[0].host.mixers[1].flops(1)
    assert len(plan.layers) * 6 * expert == plan.parameter_count - plan.used_parameter_count


def test_everything_that_a_model_is_held_to() -> None:
    """Counts, caches, chunks, padding and packing of the whole model."""
    result = verify(composer.read_spec(SPEC))
    assert result.ok, result


def test_generation_from_a_cache_is_generation_without_one() -> None:
    """Token by token, the hybrid cache gives what the whole text gives."""
    model, text = built(), torch.randint(8, 2048, (2, 9))
    cached = model.generate(text, max_new_tokens=24, do_sample=False, eos_token_id=None)
    with torch.no_grad():
        for _ in range(24):
            text = torch.cat([text, model(text).logits[:, -1:].argmax(-1)], 1)
    assert torch.equal(cached, text)
    assert len(set(text[0, 9:].tolist())) > 5


def test_it_learns() -> None:
    """A text that is seen again and again is known by heart after a while."""
    model, ids = (
        composer.build(composer.resolve(composer.read_spec(SPEC)), seed=0),
        torch.randint(2048, (2, 16)),
    )
    optimizer, losses = torch.optim.AdamW(model.parameters(), 4e-3), list[float]()
    for _ in range(30):
        loss = model(ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] > 7
    assert losses[-1] < 2


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    """What is written is read again to the last bit."""
    model, ids = built(), torch.randint(2048, (2, 12))
    composer.save(model, tmp_path, layout="composer")
    with torch.no_grad():
        assert torch.equal(model(ids).logits, composer.load(tmp_path, dtype=torch.float32)(ids).logits)
