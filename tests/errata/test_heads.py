"""Errata of heads: each test holds as long as transformers has the fault, and shows that we have not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

import composer

SPAN = "question-answering"
SMALL = ["layers=4", "hidden_size=16", "vocab_size=40", "init.linear.spread=0.3", "init.embedding.spread=0.3"]


def saved(name: str, head: str, folder: Path) -> composer.nn.Model:
    """A small model, and its published files."""
    spec = composer.read_spec(name, set=SMALL)
    built = composer.build(composer.resolve(spec, head=head), seed=0)  # type: ignore[arg-type]  # one of them
    composer.save(built, folder)
    return built


def test_errata_35_answers_in_the_padding(tmp_path: Path) -> None:
    """Its loss of a row grows with padding, whose scores take part; ours is that of the row alone."""
    mine = saved("pocket-mistral", SPAN, tmp_path)
    theirs = transformers.MistralForQuestionAnswering.from_pretrained(tmp_path)
    tokens, ends = torch.tensor([[5, 6, 7, 8]]), {"start_positions": torch.tensor([1])}
    ends["end_positions"] = torch.tensor([2])
    padded = torch.cat((tokens, torch.zeros(1, 6, dtype=torch.int64)), 1)
    mask = (torch.arange(10) < 4).long()[None]
    alone = theirs(tokens, **ends).loss.item()

    assert theirs(padded, attention_mask=mask, **ends).loss.item() > 1.1 * alone
    assert alone == pytest.approx(mine(tokens, **ends).loss.item(), rel=1e-5)
    assert alone == pytest.approx(mine(padded, attention_mask=mask, **ends).loss.item(), rel=1e-5)


def test_errata_36_a_body_under_another_name(tmp_path: Path) -> None:
    """Its question answering on this model calls the body otherwise, and finds nothing of it in any other folder."""
    saved("pocket-ministral", "causal-lm", tmp_path)
    kind = transformers.MinistralForQuestionAnswering
    _, info = kind.from_pretrained(tmp_path, output_loading_info=True)

    assert "transformer.norm.weight" in info["missing_keys"]
    assert "model.norm.weight" in info["unexpected_keys"]
    assert ("head.weight", "head.bias") == composer.load(tmp_path, head=SPAN).loading.new
