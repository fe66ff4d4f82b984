"""Every family against the reference: whole, cached, chunked, padded, packed, embedded, with all it returns."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

from .. import prove
from .pair import Pair, distances, relative


def within(pair: Pair, what: str, distance: float) -> None:
    """Note a distance as a share of the case's tolerance."""
    prove.at_most(f"{pair.case.family}: {what}, over the tolerance", distance / pair.tolerance, 1)


@torch.no_grad()
def test_logits(pair: Pair) -> None:
    """One call without a cache."""
    within(pair, "logits", relative(pair.ours(pair.ids).logits, pair.expected))


@torch.no_grad()
def test_cached(pair: Pair) -> None:
    """The whole prompt into a cache, random chunks, and single tokens."""
    length, draw = pair.case.prompt, random.Random(pair.case.number)
    cuts = sorted(draw.sample(range(1, length), k=3))
    for name, edges in (
        ("at once", [0, length]),
        ("in chunks", [0, *cuts, length]),
        ("one by one", list(range(length + 1))),
    ):
        cache = pair.ours.new_cache(len(pair.ids), max_length=length)
        parts = [
            pair.ours(pair.ids[:, a:b], past_key_values=cache, use_cache=True).logits
            for a, b in zip(edges[:-1], edges[1:], strict=True)
        ]
        within(pair, f"cached logits {name}", relative(torch.cat(parts, 1), pair.expected))


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_padded(pair: Pair, side: str) -> None:
    """A short and a full row in one batch, then one more token of each from the cache of what came before."""
    short, full = pair.case.prompt // 2, pair.case.prompt
    ids, mask, real = pair.padded(side)
    last = torch.tensor([[real.stop - 1], [full - 1]])
    before = mask.scatter(1, last, 0)
    cut = slice(None, -1) if side == "left" else slice(None)
    cache = pair.ours.new_cache(2, max_length=full)

    out = pair.ours(ids, attention_mask=mask).logits
    pair.ours(ids[:, cut], attention_mask=before[:, cut], past_key_values=cache, use_cache=True)
    ahead = pair.ours(ids.gather(1, last), past_key_values=cache, use_cache=True).logits[:, 0]

    alone = pair.row(0, short), pair.row(1, full)
    distance = max(relative(out[0, real], alone[0]), relative(out[1], alone[1]))
    within(pair, f"{side}-padded rows", distance)
    distance = max(relative(now, row[-1]) for now, row in zip(ahead, alone, strict=True))
    within(pair, f"{side}-padded rows continued", distance)


@torch.no_grad()
def test_mixed_batch(pair: Pair) -> None:
    """Rows that grow by different numbers of tokens in every call, padded on either side."""
    draw, full = random.Random(pair.case.number), pair.case.prompt
    cache, done = pair.ours.new_cache(2), [0, 0]
    found: list[list[Tensor]] = [[], []]
    while min(done) < full:
        counts = [min(draw.randint(0, 7), full - at) for at in done]
        width = max(counts)
        if width == 0:
            continue
        ids, mask = torch.full((2, width), 3), torch.zeros(2, width, dtype=torch.int64)
        left = draw.random() < 0.5
        spans = [slice(width - n, width) if left else slice(0, n) for n in counts]
        for row, (at, n, span) in enumerate(zip(done, counts, spans, strict=True)):
            ids[row, span], mask[row, span] = pair.ids[row, at : at + n], 1
        out = pair.ours(ids, attention_mask=mask, past_key_values=cache).logits
        for row, span in enumerate(spans):
            found[row].append(out[row, span])
        done = [at + n for at, n in zip(done, counts, strict=True)]

    both = torch.stack([torch.cat(parts) for parts in found])
    within(pair, "rows that grow unevenly", relative(both, pair.expected))


@torch.no_grad()
def test_packed(pair: Pair) -> None:
    """Three sequences in one row, told apart by `segment_ids`."""
    short, full = pair.case.prompt // 2, pair.case.prompt
    pieces = [(0, short), (1, full), (1, short)]
    bound = pair.ours.plan.sizes.max_position_embeddings
    assert bound is None or full <= bound
    packed = torch.cat([pair.ids[row, :length] for row, length in pieces])[None]
    segments = torch.cat([torch.full((length,), 1 + i) for i, (_, length) in enumerate(pieces)])[None]

    out = pair.ours(packed, segment_ids=segments).logits[0]

    alone = torch.cat([pair.row(row, length) for row, length in pieces])
    within(pair, "packed rows", relative(out, alone))


@torch.no_grad()
def test_embedded_and_placed(pair: Pair) -> None:
    """Embeddings for ids, and position ids that are given."""
    embeds = pair.eager.get_input_embeddings()(pair.ids)
    expected = pair.eager(inputs_embeds=embeds, use_cache=False).logits
    within(pair, "logits of embeddings", relative(pair.ours(inputs_embeds=embeds).logits, expected))
    if pair.case.family == "mamba2":
        return
    bound = pair.ours.plan.sizes.max_position_embeddings or 4096
    places = torch.arange(pair.case.prompt)[None] + min(3, bound - pair.case.prompt)
    # Two rows of them: one alone and no cache is a sign of packing to some of the reference's masks.
    places = places.expand(2, -1)
    expected = pair.eager(pair.ids, position_ids=places, use_cache=False).logits
    found = pair.ours(pair.ids, position_ids=places).logits
    within(pair, "logits at given positions", relative(found, expected))


@torch.no_grad()
def test_inner_results(pair: Pair) -> None:
    """Every hidden state, and the attention weights of every layer that has any."""
    asked = {"output_hidden_states": True} | (
        {} if pair.case.family == "mamba2" else {"output_attentions": True}
    )
    theirs = pair.eager(pair.ids, use_cache=False, **asked)
    ours = pair.ours(pair.ids, output_hidden_states=True, output_attentions=True)

    assert len(theirs.hidden_states) == len(ours.hidden_states)
    expected = theirs.hidden_states
    if pair.case.family == "mamba2":  # it returns what every layer writes, without what the first one reads
        expected = (pair.eager.get_input_embeddings()(pair.ids), *expected[:-2], expected[-1])
    pairs = zip(ours.hidden_states, expected, strict=True)
    within(pair, "hidden states", max(relative(one, other) for one, other in pairs))
    weights = [each for each in getattr(theirs, "attentions", None) or () if each is not None]
    assert len(weights) == len(ours.attentions)
    distance = max((relative(a, b) for a, b in zip(ours.attentions, weights, strict=True)), default=0.0)
    within(pair, "attention weights", distance)


def test_loss_and_gradients(pair: Pair, tmp_path: Path) -> None:
    """The mean loss of a left-padded batch with labels left out, and the gradient of every parameter."""
    tolerance = pair.tolerance  # before the reference's weights become gradients
    ids, mask, real = pair.padded("left")
    if pair.case.config.get("add_bias_linear") or pair.case.config.get(
        "use_bias"
    ):  # the reference lets left padding through its biases
        ids, mask, real = pair.ids, torch.ones_like(pair.ids), slice(0, None)
    labels = torch.where(mask == 1, ids, -100)
    labels[:, 3] = -100
    labels[0, real.start] = -100  # a pad would predict it, and what a pad returns means nothing
    losses, grads = [], []
    places: dict[str, Tensor] = {}
    if pair.case.family == "gpt2":  # it counts pads as positions unless it is told not to
        places["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0)
    for number, model in enumerate([pair.reference(), *pair.others]):
        loss = model(ids, attention_mask=mask, labels=labels, use_cache=False, **places).loss
        loss.backward()
        losses.append(loss.item())
        grads.append(pair.gradients(model, tmp_path / str(number)))
    del pair.__dict__["others"]
    loss = pair.ours(ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    found = {name: parameter.grad for name, parameter in pair.ours.named_parameters()}
    pair.ours.zero_grad()

    spread = max((distances(other, grads[0]) for other in grads[1:]), default=0.0)
    distance = abs(loss.item() - losses[0]) / losses[0]
    prove.at_most(f"{pair.case.family}: loss, over the tolerance", distance / tolerance, 1)
    distance = distances(found, {name: grads[0][name] for name in found})
    allowed = max(tolerance, 3 * spread)
    prove.at_most(f"{pair.case.family}: gradients, over the tolerance", distance / allowed, 1)
