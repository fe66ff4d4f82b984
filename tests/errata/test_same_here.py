"""What is odd in transformers and the same here: told in the errata, so that nobody takes it for a fault of ours."""

from __future__ import annotations

import torch
from transformers import MistralConfig, MistralForQuestionAnswering, MistralForSequenceClassification

from .beside import RIGHT, apart, drawn, ids, ours, settings


def test_no_answer_in_reach() -> None:
    """Where no answer of a batch lies inside its text the mean is over nothing."""
    model, beyond = (
        drawn(MistralForQuestionAnswering(MistralConfig(**settings("mistral")))),
        torch.tensor([99]),
    )
    mine = ours(model, head="question-answering")

    for each in (model, mine):
        assert each(ids(), start_positions=beyond, end_positions=beyond).loss.isnan()


def test_padding_that_ends_texts() -> None:
    """Where the padding token ends texts too, an end that is text is passed over as padding."""
    sizes = settings("mistral", pad_token_id=2, eos_token_id=2, num_labels=3)
    model = drawn(MistralForSequenceClassification(MistralConfig(**sizes)))
    tokens = ids()
    tokens[0, -1] = 2
    scores = model.score(model.model(tokens).last_hidden_state)

    for each in (model, ours(model, head="sequence-classification")):
        assert apart(each(tokens, attention_mask=torch.ones_like(tokens)).logits, scores[:, -2]) < RIGHT
