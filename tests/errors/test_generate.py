"""Every error of generation: its code and its words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from composer.errors import CallError
from composer.generate import GenerationOptions, from_generation_config, generate, stream


class Fixed(nn.Module):
    """A model of 11 tokens whose scores are always the same."""

    def __init__(self, score: float = 0.0) -> None:
        super().__init__()
        self.score = nn.Parameter(torch.full((11,), score))
        self.generation: dict[str, Any] | None = None
        self.plan = SimpleNamespace(
            sizes=SimpleNamespace(vocab_size=11, max_position_embeddings=8),
            head=SimpleNamespace(kind="causal-lm"),
            spec=SimpleNamespace(generation={}),
        )

    def new_cache(self, batch_size: int, max_length: int | None = None) -> object:
        return object()

    def forward(self, input_ids: Tensor, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(logits=self.score.expand(len(input_ids), 1, 11))


IDS = torch.tensor([[1, 2, 3]])
TWO = torch.tensor([[1, 2, 3], [4, 5, 6]])


def one(row: list[int]) -> Tensor:
    return torch.tensor([row])


OPTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("E740", {"max_new_token": 3}, "max_new_token: no generation option has this name"),
    ("E740", {"max_new_token": 3}, "hint: did you mean 'max_new_tokens'?"),
    ("E740", {"qqq": 3}, "hint: the options are max_new_tokens, max_length"),
    ("E741", {"num_beams": 4}, "num_beams: transformers has this option, it is not taken here"),
    ("E741", {"num_beams": 4}, "hint: leave it out: generation is greedy, or sampled with do_sample=True"),
    ("E741", {"typical_p": 0.9}, "hint: leave it out, or at 1.0"),
    ("E741", {"streamer": print}, "hint: model.stream(tokenizer, prompt, ...)"),
    ("E742", {"temperature": -1}, "temperature: should be greater than or equal to 0, found -1"),
    ("E742", {"temperature": float("nan")}, "temperature: should be a finite number, found nan"),
    ("E742", {"top_p": 1.5}, "top_p: should be less than or equal to 1, found 1.5"),
    ("E742", {"top_k": -1}, "top_k: should be greater than or equal to 0, found -1"),
    ("E742", {"min_p": "a"}, "min_p: should be a valid number, found 'a'"),
    ("E742", {"max_new_tokens": 0}, "max_new_tokens: should be greater than or equal to 1, found 0"),
    ("E742", {"max_new_tokens": 10**12}, "should be less than or equal to 2147483647, found 1000000000000"),
    ("E742", {"max_new_tokens": True}, "max_new_tokens: should be a valid integer, found True"),
    ("E742", {"repetition_penalty": 0}, "repetition_penalty: should be greater than 0, found 0"),
    ("E742", {"eos_token_id": []}, "eos_token_id: should hold at least one entry, or be left out"),
    ("E742", {"eos_token_id": [2, -3]}, "eos_token_id.1: should be greater than or equal to 0, found -3"),
    ("E742", {"stop_strings": [""]}, "stop_strings.0: should have at least 1 character, found ''"),
    ("E743", {"do_sample": True, "temperature": 0}, "temperature: nothing can be sampled at temperature 0"),
    ("E743", {"do_sample": True, "temperature": 0}, "hint: do_sample=False takes the most likely token"),
    ("E745", {"stop_strings": "x"}, "stop_strings are looked for in text, and no tokenizer was given"),
]


@pytest.mark.parametrize(("code", "options", "words"), OPTIONS, ids=str)
def test_options(code: str, options: dict[str, Any], words: str) -> None:
    """What is wrong with an option is said before anything runs."""
    with pytest.raises(CallError) as caught:
        generate(Fixed(), IDS, **options)

    assert code == caught.value.code
    assert words in str(caught.value)


def test_generation_config_is_a_mapping() -> None:
    """A file that holds something else is refused."""
    with pytest.raises(
        CallError, match="a generation config maps option names to values, found a list"
    ) as caught:
        from_generation_config([1])

    assert "E744" == caught.value.code


def test_generation_config_reports_every_key() -> None:
    """What a file says and cannot be taken is refused key by key."""
    with pytest.raises(CallError) as caught:
        from_generation_config(
            {"chat_format": "x", "num_beams": 2, "pad_token_id": -1, "transformers_version": "5"}
        )

    assert [("E740", "chat_format"), ("E741", "num_beams"), ("E742", "pad_token_id")] == [
        (problem.code, problem.path) for problem in caught.value.problems
    ]


def test_a_checkpoint_that_asks_for_more_can_be_overruled() -> None:
    """What its generation_config.json says and we do not take stops a call that says nothing about it."""
    model = Fixed()
    model.generation = {"no_repeat_ngram_size": 3, "pad_token_id": -1, "chat_format": "x", "top_k": None}
    with pytest.raises(CallError, match="hint: generation_config.json says so; give another value") as caught:
        generate(model, IDS, max_new_tokens=1)

    assert [("E741", "no_repeat_ngram_size"), ("E742", "pad_token_id")] == [
        (problem.code, problem.path) for problem in caught.value.problems
    ]
    assert (1, 4) == generate(model, IDS, max_new_tokens=1, no_repeat_ngram_size=0, pad_token_id=0).shape


PROMPTS: list[tuple[str, Any, Any, str]] = [
    ("E750", [[1, 2]], None, "input_ids should be an integer tensor (rows, length), found list"),
    ("E750", torch.tensor([1, 2]), None, "found torch.int64 of shape (2,)"),
    ("E750", torch.ones(1, 2), None, "found torch.float32 of shape (1, 2)"),
    ("E750", None, None, "found NoneType"),
    (
        "E751",
        torch.zeros(1, 0, dtype=torch.long),
        None,
        "the prompt is empty: input_ids has the shape (1, 0)",
    ),
    ("E752", one([1, 11]), None, "input_ids holds 11, but this model's ids go from 0 to 10"),
    ("E752", one([1, -100]), None, "input_ids holds -100, but"),
    (
        "E753",
        IDS,
        torch.ones(1, 2),
        "attention_mask should be a tensor of the shape of input_ids, (1, 3), found shape (1, 2)",
    ),
    ("E753", IDS, [[1, 1, 1]], "found list"),
    (
        "E753",
        IDS,
        one([1, 2, 1]),
        "attention_mask should hold 1 on tokens and 0 on padding, found other values",
    ),
    ("E754", IDS, one([1, 0, 1]), "row 0 of attention_mask has padding between tokens"),
    ("E754", TWO, torch.tensor([[1, 1, 1], [0, 0, 0]]), "row 1 of attention_mask has nothing but padding"),
    ("E755", one([1] * 8), None, "the prompt has 8 tokens, but a row may have 8 at most"),
]


@pytest.mark.parametrize(("code", "ids", "mask", "words"), PROMPTS, ids=lambda value: str(value)[:30])
def test_prompts(code: str, ids: Any, mask: Any, words: str) -> None:
    """What is wrong with ids and mask is said with what was found."""
    with pytest.raises(CallError) as caught:
        generate(Fixed(), ids, mask)

    assert code == caught.value.code
    assert words in str(caught.value)


def test_padding_that_cannot_be_inferred() -> None:
    """A pad token among the tokens of a row is no padding that can be guessed."""
    with pytest.raises(
        CallError, match="going by the pad token, row 0 of input_ids has padding between tokens"
    ):
        generate(Fixed(), IDS, pad_token_id=2)


def test_prompt_beyond_max_length() -> None:
    """`max_length` counts the prompt."""
    with pytest.raises(CallError, match="the prompt has 3 tokens, but a row may have 2 at most") as caught:
        generate(Fixed(), IDS, max_length=2)

    assert "E755" == caught.value.code


class Letters:
    """A tokenizer whose ids are letters."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(letter) - ord("a") for letter in text]

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        return "".join(chr(ord("a") + i) for i in ids)


def test_rows_that_end_need_a_filling() -> None:
    """Several rows of different lengths, and nothing to fill them with."""
    with pytest.raises(CallError, match="there is no token to fill the shorter ones with") as caught:
        generate(Fixed(), TWO, tokenizer=Letters(), stop_strings="a")

    assert "E746" == caught.value.code


def test_filling_is_in_the_vocabulary() -> None:
    """The pad token of a tokenizer that has more tokens than the model."""
    with pytest.raises(
        CallError, match="ended rows would be filled with 11, but this model's ids go from 0 to 10"
    ):
        generate(Fixed(), TWO, eos_token_id=1, pad_token_id=11)


def test_head_gives_scores() -> None:
    """A model without a language head cannot generate."""
    model = Fixed()
    model.plan.head.kind = "base"
    with pytest.raises(
        CallError, match="a model with the head 'base' gives no scores of next tokens"
    ) as caught:
        generate(model, IDS)

    assert "E747" == caught.value.code


def test_stream_takes_one_row() -> None:
    """Several texts at once cannot be one stream."""
    with pytest.raises(CallError, match="stream continues one text, found input_ids of 2 rows") as caught:
        stream(Fixed(), Letters(), TWO)

    assert "E748" == caught.value.code


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_no_numbers(bad: float) -> None:
    """Drawing from broken scores says so instead of failing in a kernel."""
    with pytest.raises(
        CallError, match="the scores of the next token are no finite numbers to draw from"
    ) as caught:
        generate(Fixed(bad), IDS, do_sample=True)

    assert "E756" == caught.value.code


def test_direct_options_are_checked_alike() -> None:
    """The class itself raises the same errors."""
    with pytest.raises(CallError, match="did you mean 'top_k'"):
        GenerationOptions(topk=3)
