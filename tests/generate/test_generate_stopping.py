"""Stop strings, across tokens and inside characters, against transformers' criterion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast
from transformers.generation.stopping_criteria import StopStringCriteria

from composer.generate import generate
from composer.generate.prompt import Prompt
from composer.generate.stopping import StopStrings
from composer.text import Tokenizer

TEXT = (
    "the cat sat on the mat\nthe dog ate the log\ndéjà vu: naïve façade — 你好 世界 🙂\nstop stopper topped\n"
)
STRINGS = ["stop", " the", "\n", "mat\nthe", "好 世", "🙂", "é", "e", "</s>", "pped\n", "t s"]


@pytest.mark.parametrize("strings", [*([s] for s in STRINGS), STRINGS[:3], STRINGS[4:8]], ids=repr)
def test_same_rows_end_as_in_transformers(folder: Path, tokenizer: Tokenizer, strings: list[str]) -> None:
    """Over shuffled token sequences, every step of every row is judged alike."""
    criterion = StopStringCriteria(
        PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json")), strings
    )
    text = torch.tensor(tokenizer.encode(TEXT, add_special_tokens=False))
    mixed = torch.randint(0, tokenizer.vocab_size, (3, len(text)))
    rows = torch.cat(
        [text.repeat(3, 1), text.repeat(3, 1).where(torch.rand(3, len(text)) < 0.8, mixed), mixed]
    )
    ours = StopStrings(tuple(strings), tokenizer, Prompt(rows[:, :5], rows[:, :5]))

    for length in range(5, rows.shape[1]):
        expected = criterion(rows[:, : length + 1], None)
        assert torch.equal(expected, ours(rows[:, length])), (length, rows[:, : length + 1])


def test_padding_is_no_beginning(tokenizer: Tokenizer) -> None:
    """What stands in the padding of the prompt begins no stop string."""
    s = tokenizer.encode("s", add_special_tokens=False)[-1:]
    ids = torch.tensor([s * 4])
    padded = StopStrings(("sz",), tokenizer, Prompt(ids, ids, None, torch.tensor([4])))
    whole = StopStrings(("sz",), tokenizer, Prompt(ids, ids))
    z = torch.tensor(tokenizer.encode("az", add_special_tokens=False)[-1:])

    assert (False, True) == (bool(padded(z)), bool(whole(z)))


def test_generation_ends_with_the_stop_string(
    oracle: Callable[..., Any], double: type[Any], folder: Path, tokenizer: Tokenizer
) -> None:
    """Ids as in transformers: each row up to the token that completes a stop string, then padding."""
    theirs = oracle(vocab_size=tokenizer.vocab_size, initializer_range=0.2)
    reference = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    ids = torch.randint(3, tokenizer.vocab_size, (4, 5))
    asked: dict[str, Any] = {
        "max_new_tokens": 40,
        "stop_strings": ["t", "a"],
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    expected = theirs.generate(ids, attention_mask=torch.ones_like(ids), tokenizer=reference, **asked)
    actual = generate(double(theirs), ids, torch.ones_like(ids), tokenizer=tokenizer, **asked)

    assert torch.equal(expected, actual)
    assert (actual == 0).any()
