"""Heads against the reference: scores, losses and gradients of every head that a family has there."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn.functional import pad

import composer

from .. import prove
from ..families.cases import case, reference_class
from ..families.pair import CHUNKED, Pair, relative

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

KINDS = ("sequence-classification", "token-classification", "question-answering")
FAMILIES = ("mistral", "ministral", "zamba2", "opt", "llama", "gemma2", "gpt2")
PAIRS = [(family, head) for family in FAMILIES for head in KINDS if reference_class(family, head)]
COUNT = prove.cases(1, 100)
# The seed families; the others show that the seams carry further, and their losses are compared when proving.
SEED = FAMILIES[:4]
CASES = [(*pair, at + number) for at, pair in enumerate(PAIRS) for number in range(COUNT)]
# The loss, the number of classes, and the labels of two rows.
PROBLEMS = [
    ("regression", 1, torch.tensor([0.5, -2.0])),
    ("regression", 3, torch.tensor([[0.5, -2.0, 1.0], [0.0, 3.0, 0.25]])),
    ("single_label_classification", 3, torch.tensor([2, 0])),
    ("single_label_classification", 3, torch.tensor([-100, 1])),
    ("multi_label_classification", 3, torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])),
]


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    """One thread: sums are then always taken in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pair_of(family: str, head: str, number: int, folder: Path, labels: int = 3) -> Pair:
    """A case whose token for the end is also the one for padding, in every other one."""
    given = case(family, 5000 + number)
    if number % 2:
        given = replace(given, config={**given.config, "eos_token_id": given.config["pad_token_id"]})
    return Pair(given, folder, head, labels)


def padded(pair: Pair, side: str) -> dict[str, Tensor]:
    """A row of half the length beside a whole one that ends in a padding token of its own; and their mask."""
    filler = pair.case.config["pad_token_id"]
    ids, mask, _ = pair.padded(side)
    ids = ids.masked_fill(mask == 0, filler)
    ids[1, -1] = filler
    ids[1, 3] = filler
    return {"input_ids": ids, "attention_mask": mask}


def sides(pair: Pair) -> list[str]:
    """Where the reference can have padding: on the left it leaks through biases of scans, or counts as positions."""
    return ["right"] if pair.case.family in ("zamba2", "gpt2") else ["left", "right"]


def losses_of(head: str) -> list[tuple[str, str, int]]:
    """The cases of a head whose losses are compared."""
    return [each for each in CASES if each[1] == head and (prove.FULL or each[0] in SEED)]


def within(pair: Pair, what: str, distance: float, allowed: float | None = None) -> None:
    """Note a distance as a share of what is allowed."""
    claim = f"{pair.case.family}: {what} of {pair.head}, over the tolerance"
    prove.at_most(claim, distance / (allowed or pair.tolerance), 1)


@torch.no_grad()
@pytest.mark.parametrize(("family", "head", "number"), CASES)
def test_scores(family: str, head: str, number: int, tmp_path: Path) -> None:
    """Of whole rows, and of padded ones wherever there is a token; there what rounding takes from the reference counts.

    A row has only a few scores, and nothing else to measure a difference by.
    """
    pair = pair_of(family, head, number, tmp_path)
    within(pair, "scores", relative(pair.logits(pair.ours(pair.ids)), pair.expected))
    for side in sides(pair):
        batch = padded(pair, side)
        ways = (*pair.others, copy.deepcopy(pair.eager).double())
        theirs, ours, *others = (real_scores(pair, model, batch) for model in (pair.eager, pair.ours, *ways))
        spread = max((relative(other, theirs) for other in (*others, alone(pair, batch))), default=0.0)
        allowed = max(pair.tolerance, 3 * spread)
        within(pair, f"{side}-padded scores", relative(ours, theirs), allowed)


def real_scores(pair: Pair, model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Those of rows, or of whatever is no padding."""
    scores = pair.logits(model(**batch, use_cache=False))
    return scores if pair.head == KINDS[0] else scores[batch["attention_mask"] == 1]


def alone(pair: Pair, batch: dict[str, Tensor]) -> Tensor:
    """The same from the reference, row by row and without padding: another of its ways."""
    rows = zip(batch["input_ids"], batch["attention_mask"], strict=True)
    found = [pair.logits(pair.eager(ids[mask == 1][None], use_cache=False))[0] for ids, mask in rows]
    return torch.stack(found) if pair.head == KINDS[0] else torch.cat(found)


@torch.no_grad()
@pytest.mark.parametrize(("family", "head", "number"), CASES)
def test_ways(family: str, head: str, number: int, tmp_path: Path) -> None:
    """From a cache in chunks, from embeddings, packed, and with all states."""
    pair = pair_of(family, head, number, tmp_path)
    cache, cut = pair.ours.new_cache(2, max_length=pair.case.prompt), pair.case.prompt // 2 + 1
    parts = [
        pair.logits(pair.ours(part, past_key_values=cache)) for part in (pair.ids[:, :cut], pair.ids[:, cut:])
    ]
    cached = parts[1] if head == KINDS[0] else torch.cat(parts, 1)
    within(pair, "scores from a cache", relative(cached, pair.expected))
    embedded = pair.logits(pair.ours(inputs_embeds=pair.eager.get_input_embeddings()(pair.ids)))
    within(pair, "scores of embeddings", relative(embedded, pair.expected))
    if head == KINDS[1]:
        segments = torch.arange(2).repeat_interleave(pair.case.prompt)[None]
        packed = pair.ours(pair.ids.view(1, -1), segment_ids=segments).logits
        within(pair, "scores of packed rows", relative(packed.view(pair.expected.shape), pair.expected))
    ways = (*pair.others, copy.deepcopy(pair.eager).double())
    theirs, ours, *others = (states(pair, model) for model in (pair.eager, pair.ours, *ways))
    spread = max((relative(other, theirs) for other in others), default=0.0)
    within(pair, "states", relative(ours, theirs), max(pair.tolerance, 3 * spread))


def states(pair: Pair, model: Any) -> Tensor:
    """All hidden states, each in units of its own largest value."""
    found = model(pair.ids, output_hidden_states=True).hidden_states
    return torch.cat([(state / state.abs().max()).flatten() for state in found])


@torch.no_grad()
@pytest.mark.parametrize(("family", "head", "number"), CASES)
def test_files(family: str, head: str, number: int, tmp_path: Path) -> None:
    """What either writes the other reads, with nothing left over and nothing missing."""
    pair = pair_of(family, head, number, tmp_path / "theirs")
    assert ((), ()) == (pair.ours.loading.new, pair.ours.loading.unused)
    composer.save(pair.ours, tmp_path / "ours")
    kind = reference_class(family, head)
    again, info = kind.from_pretrained(tmp_path / "ours", output_loading_info=True)

    assert [] == [key for key, names in info.items() if names]
    assert pair.eager.config.id2label == again.config.id2label
    assert [kind.__name__] == again.config.architectures
    within(pair, "scores of saved files", relative(pair.logits(again.eval()(pair.ids)), pair.expected))


@dataclass(frozen=True)
class Way:
    """One of the reference's ways to the same numbers: its options, its inputs, and weights moved by a rounding."""

    batch: dict[str, Tensor]
    targets: dict[str, Tensor]
    options: dict[str, Any] = field(default_factory=dict)
    moved: int | None = None

    def gradients(self, pair: Pair, folder: Path, **config: Any) -> tuple[float, dict[str, Tensor]]:
        """The loss and the gradient of every parameter, by our names."""
        model = pair.reference(**self.options, **config)
        if self.moved is not None:
            nudge(model, self.moved)
        loss = reference_loss(pair, model, self.batch, self.targets)
        loss.backward()
        return loss.item(), pair.gradients(model, folder)


def nudge(model: Any, seed: int) -> None:
    """Move every weight to the next number, up or down: what one rounding does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            up = torch.rand(weight.shape, generator=generator) < 0.5
            weight.copy_(torch.nextafter(weight, torch.where(up, torch.inf, -torch.inf)))


def compare(
    pair: Pair, batch: dict[str, Tensor], targets: dict[str, Tensor], folder: Path, **config: Any
) -> None:
    """The loss of a batch and the gradient of every parameter, each held to the reference's own spread of it.

    No floor but that of every oracle, 1e-5.  Over 900 losses of seven families our gradients were at most 0.85 of
    the tolerance away, 0.53 where there are scans.  It takes the weights moved by one rounding to say how ill
    conditioned a case is: by kernels, chunks, padding and the order of rows alone Zamba2 reached 3.3 of it, OPT
    1.1, which floors of 1e-4 and 2e-5 had hidden.
    """
    (first, expected), *others = (
        way.gradients(pair, folder / str(number), **config)
        for number, way in enumerate(ways_of(pair, batch, targets))
    )
    pair.ours.zero_grad()
    pair.ours.problem_type = config.get("problem_type")
    loss = pair.ours(**batch, **targets).loss
    loss.backward()
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in pair.ours.named_parameters()
    }
    if pair.head == "question-answering":  # what moves every score alike changes no answer: rounding is left
        within(pair, "gradients of biases", float(found.pop("head.bias").abs().max()), 1e-6)
    size = max(abs(first), 1e-3)
    spread = max(abs(other - first) for other, _ in others) / size
    within(pair, "loss", abs(loss.item() - first) / size, max(pair.tolerance, 3 * spread))
    spread = max(off(other, expected, found) for _, other in others)
    within(pair, "gradients", off(found, expected, found), max(1e-5, 3 * spread))


def ways_of(pair: Pair, batch: dict[str, Tensor], targets: dict[str, Tensor]) -> list[Way]:
    """The plain way first; then kernels, chunks, more padding, rows in the other order, weights moved."""
    ways = [Way(batch, targets)]
    on_left = bool(batch["attention_mask"][0, 0] == 0)
    if pair.case.family != "gemma2":  # its other kernels leave out its caps
        ways.append(Way(batch, targets, {"attention": "sdpa"}))
    if pair.case.family in CHUNKED:
        ways.append(Way(batch, targets, {CHUNKED[pair.case.family]: 5}))
    if pair.head != "question-answering" and pair.case.family != "gpt2":  # which counts padding as positions
        more = (5, 0) if on_left else (0, 5)
        fill = {"input_ids": pair.case.config["pad_token_id"], "attention_mask": 0, "labels": -100}
        wider = {name: pad(value, more, value=fill[name]) for name, value in batch.items()}
        whole = pair.head == "sequence-classification"
        labels = targets["labels"] if whole else pad(targets["labels"], more, value=fill["labels"])
        ways.append(Way(wider, {"labels": labels}))
    ways.append(Way(turned(batch), turned(targets)))
    return [*ways, *(Way(batch, targets, moved=seed) for seed in range(3))]


def turned(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The rows in the other order."""
    return {name: value.flip(0) for name, value in given.items()}


def off(one: dict[str, Tensor], other: dict[str, Tensor], names: Iterable[str]) -> float:
    """The worst tensor's largest difference, over its largest value and a thousandth of the largest of all.

    The loss of two rows hangs on few scores, and leaves some tensors gradients that are mostly rounding.
    """
    top = max(float(other[name].abs().max()) for name in names)
    return max(
        float((one[name] - other[name]).abs().max()) / (float(other[name].abs().max()) + top / 1000)
        for name in names
    )


def reference_loss(pair: Pair, model: Any, batch: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """The reference's; of an answer that of each row alone, since it takes what padding scores for an answer."""
    if pair.head != "question-answering":
        return model(**batch, **targets, use_cache=False).loss
    losses = []
    for row, mask in enumerate(batch["attention_mask"]):
        start = int(mask.argmax())
        ids = batch["input_ids"][row][mask == 1][None]
        ends = {name: value[row : row + 1] - start for name, value in targets.items()}
        losses.append(model(ids, use_cache=False, **ends).loss)
    return torch.stack(losses).mean()


@pytest.mark.parametrize(("family", "head", "number"), losses_of(KINDS[0]))
def test_losses_of_rows(family: str, head: str, number: int, tmp_path: Path) -> None:
    """Regression, one label, several labels: said, and found out from the labels."""
    for index, (problem, classes, labels) in enumerate(PROBLEMS):
        if index % 3 != number % 3 and not prove.FULL:
            continue
        pair = pair_of(family, head, number, tmp_path / str(index), classes)
        said = {"problem_type": problem} if classes == 3 or number % 2 else {}
        batch = padded(pair, sides(pair)[number % len(sides(pair))])
        compare(pair, batch, {"labels": labels}, tmp_path / f"{index}-gradients", **said)
        assert problem == pair.ours.problem_type


@pytest.mark.parametrize(("family", "head", "number"), losses_of(KINDS[1]))
def test_losses_of_tokens(family: str, head: str, number: int, tmp_path: Path) -> None:
    """Padding and other tokens left out."""
    pair = pair_of(family, head, number, tmp_path)
    batch = padded(pair, sides(pair)[number % len(sides(pair))])
    labels = torch.where(batch["attention_mask"] == 1, batch["input_ids"] % 3, -100)
    labels[:, 3] = -100
    compare(pair, batch, {"labels": labels}, tmp_path / "gradients")


@pytest.mark.parametrize(("family", "head", "number"), losses_of(KINDS[2]))
def test_losses_of_answers(family: str, head: str, number: int, tmp_path: Path) -> None:
    """Both ends, in columns of the padded batch."""
    pair = pair_of(family, head, number, tmp_path)
    batch = padded(pair, sides(pair)[number % len(sides(pair))])
    first = batch["attention_mask"].argmax(1)
    ends = {"start_positions": first + 1, "end_positions": first + 3}
    compare(pair, batch, ends, tmp_path / "gradients")
