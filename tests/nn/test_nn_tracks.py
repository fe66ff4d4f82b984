"""A pattern of tracks is built and runs like the same layers written otherwise."""

from __future__ import annotations

import torch

import composer

from ..errors.test_spec import TINY

TRACKS = TINY.replace("  - {norm: rms, mix: mlp}", "  - {norm: rms, mix: ffn}").replace(
    "pattern: full, swa×3", "pattern:\n  mixer: full, swa×3\n  ffn: mlp"
).replace("  - at: -1", "  - at: -1\n    block: mixer")  # fmt: skip


def test_tracks_run_like_blocks_of_the_layer() -> None:
    """The same weights under the names of the tracks give the same logits."""
    one, other = (composer.build(composer.resolve(composer.read_spec(text))) for text in (TINY, TRACKS))
    weights = {
        name.replace(".mlp.", ".ffn.").replace("norms.mlp", "norms.ffn"): value
        for name, value in one.state_dict().items()
    }
    other.load_state_dict(weights, strict=True)
    ids = torch.randint(0, 64, (2, 20), generator=torch.Generator().manual_seed(0))

    assert [*other.plan.parameters()] == [name for name, _ in other.named_parameters()]
    assert torch.equal(one(ids).logits, other(ids).logits)
    assert "full/mlp" == other.plan.layers[0].word


def test_guests_join_what_their_word_reads() -> None:
    """A guest of the second track reads the stream in front of its branch and joins only what that reads."""
    guest = "\n  guest: {extends: mlp}\noverrides:"
    spec = composer.read_spec(TRACKS.replace("ffn: mlp", "ffn: mlp+guest").replace("\noverrides:", guest))
    model = composer.build(composer.resolve(spec, head="base")).eval()
    layer = model.layers[0]
    seen: dict[str, torch.Tensor] = {}
    for name in ("mixer", "ffn", "guest"):
        layer.get_submodule(name).register_forward_hook(
            lambda _m, _x, out, name=name: seen.update({name: out})
        )
    for name in ("mixer", "ffn"):
        layer.norms[name].register_forward_pre_hook(
            lambda _m, x, name=name: seen.update({f"to {name}": x[0]})
        )
    ids = torch.arange(6)[None]
    with torch.no_grad():
        hidden = model(ids, output_hidden_states=True).hidden_states

    assert {"guest": 1} == model.plan.layers[0].joins
    assert torch.equal(hidden[0], seen["to mixer"])
    assert torch.equal(hidden[0] + seen["mixer"] + seen["guest"], seen["to ffn"])
    assert torch.equal(hidden[0] + seen["mixer"] + seen["ffn"], hidden[1])
