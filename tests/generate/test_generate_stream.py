"""Streams: text as it comes, equal to the decoded whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from composer.errors import CallError
from composer.generate import stream
from composer.text import Tokenizer


class Scripted(torch.nn.Module):
    """A model that says the given ids, whatever it is asked."""

    def __init__(self, ids: list[int], vocab_size: int) -> None:
        super().__init__()
        self.script = iter(ids)
        self.table = torch.nn.Parameter(torch.eye(vocab_size))
        self.generation = None
        self.plan = SimpleNamespace(
            sizes=SimpleNamespace(vocab_size=vocab_size, max_position_embeddings=None),
            head=SimpleNamespace(kind="causal-lm"),
            spec=SimpleNamespace(generation={"max_new_tokens": len(ids)}),
        )

    def new_cache(self, batch_size: int, max_length: int | None = None) -> object:
        return object()

    def forward(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(logits=self.table[next(self.script)][None, None])


@pytest.fixture
def model(oracle: Callable[..., Any], double: type[Any], tokenizer: Tokenizer) -> Any:
    return double(oracle(vocab_size=tokenizer.vocab_size, initializer_range=0.2))


def said(tokenizer: Tokenizer, prompt: str | list[int], new: list[int], **options: Any) -> list[str]:
    return list(stream(Scripted(new, tokenizer.vocab_size), tokenizer, prompt, **options))


PROMPTS = ["the cat", "the mat\n", "déjà", "🙂", "你", "the ", "\n", "<s>", "<s> "]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("text", [" sat", "sat on", "\n\nthe dog", "é—好🙂 the", "🙂🙂", " ", "  "])
def test_prompt_and_pieces_are_the_decoded_whole(tokenizer: Tokenizer, prompt: str, text: str) -> None:
    """The first new word keeps its space, a first word of all is stripped as usual, and no piece is empty."""
    ids = tokenizer.encode(prompt)
    new = tokenizer.encode(text, add_special_tokens=False)
    pieces = said(tokenizer, ids, new)

    assert tokenizer.decode([*ids, *new]) == tokenizer.decode(ids) + "".join(pieces)
    assert "" not in pieces


@pytest.mark.parametrize("seed", range(30))
def test_any_ids_after_a_prompt(tokenizer: Tokenizer, seed: int) -> None:
    """Bytes that are no text become replacement characters, and the prompt stays what it was."""
    torch.manual_seed(seed)
    new = torch.randint(0, tokenizer.vocab_size, (40,)).tolist()
    letter = tokenizer.encode("a", add_special_tokens=False)

    assert tokenizer.decode([*letter, *new]) == "a" + "".join(said(tokenizer, "the 🙂", new))


def test_prompt_that_ends_inside_a_character(tokenizer: Tokenizer) -> None:
    """What becomes of the unfinished character is told by the piece that settles it."""
    ids = tokenizer.encode("the é🙂")
    text = "".join(said(tokenizer, ids[:-1], [*ids[-1:], *tokenizer.encode("é", add_special_tokens=False)]))

    assert text.startswith("🙂")
    assert text.endswith("é")


def test_unknown_bytes_at_the_end_of_a_prompt(tokenizer: Tokenizer) -> None:
    """A prompt that ends in a replacement character of its own is no unfinished one."""
    ids = tokenizer.encode("the \ufffd\ufffd")

    assert "a" == "".join(said(tokenizer, ids, tokenizer.encode("xa", add_special_tokens=False)[-1:]))


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor, lambda ids: torch.tensor([ids])])
def test_prompt_may_be_ids(model: Any, tokenizer: Tokenizer, kind: Callable[[list[int]], Any]) -> None:
    """A list, a tuple or a tensor of them."""
    ids = tokenizer.encode("the cat")
    expected = list(stream(model, tokenizer, "the cat", max_new_tokens=5))

    assert expected == list(stream(model, tokenizer, kind(ids), max_new_tokens=5))


def test_every_token_of_the_prompt_counts(model: Any, tokenizer: Tokenizer) -> None:
    """A stream has one row, so a pad token in it is no padding."""
    ids = tokenizer.encode("the cat sat")

    assert list(stream(model, tokenizer, ids, max_new_tokens=5)) == list(
        stream(model, tokenizer, ids, max_new_tokens=5, pad_token_id=ids[1])
    )


def test_stop_string_stays_in_the_text(tokenizer: Tokenizer) -> None:
    """The text ends with the token that completes it."""
    words = ["dog", "ate", "log"]
    new = [i for word in words for i in tokenizer.encode(word, add_special_tokens=False)]
    text = "".join(said(tokenizer, "the cat", new, stop_strings="ate"))

    assert text.endswith("ate")
    assert "log" not in text


def test_arguments_are_checked_at_the_call(model: Any, tokenizer: Tokenizer) -> None:
    """Not only when the first piece is asked for."""
    with pytest.raises(CallError, match="did you mean 'top_p'"):
        stream(model, tokenizer, "the cat", top_q=0.5)
    assert [] == model.widths


def test_pieces_come_as_they_are_made(model: Any, tokenizer: Tokenizer) -> None:
    """A piece needs no later step, and between pieces the caller's own modes hold."""
    pieces = stream(model, tokenizer, "the cat", max_new_tokens=40)
    next(pieces)

    assert len(model.widths) < 40
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


def test_closing_ends_the_generation(model: Any, tokenizer: Tokenizer) -> None:
    """A stream that is left early takes no further step; a new one starts afresh."""
    pieces: Iterator[str] = stream(model, tokenizer, "the cat", max_new_tokens=40)
    first = next(pieces)
    pieces.close()  # type: ignore[attr-defined]  # it is a generator
    steps = len(model.widths)

    assert [] == list(pieces)
    assert steps == len(model.widths)
    assert first == next(stream(model, tokenizer, "the cat", max_new_tokens=40))


def test_an_interrupt_leaves_everything_usable(model: Any, tokenizer: Tokenizer, monkeypatch: Any) -> None:
    """Ctrl-C inside a step reaches the caller, and the next generation is not affected."""
    expected = list(stream(model, tokenizer, "the cat", max_new_tokens=9))
    forward = model.oracle.forward

    def interrupted(*given: Any, **named: Any) -> Any:
        if len(model.widths) == 12:
            raise KeyboardInterrupt
        return forward(*given, **named)

    monkeypatch.setattr(model.oracle, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(stream(model, tokenizer, "the cat", max_new_tokens=9))

    assert not torch.is_inference_mode_enabled()
    assert expected == list(stream(model, tokenizer, "the cat", max_new_tokens=9))
