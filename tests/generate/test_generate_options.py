"""Generation options: transformers' names and defaults, checked by name and value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GenerationConfig

from composer.errors import CallError
from composer.generate import (
    GenerationOptions,
    from_generation_config,
    read_generation_config,
    to_generation_config,
)
from composer.generate.names import NOT_TAKEN, NOTES

FIELDS = GenerationOptions.model_fields


def test_every_option_of_transformers_is_placed() -> None:
    """Each is taken, refused by name, or a note in a file; none is unknown."""
    known = {*FIELDS, *NOT_TAKEN, *NOTES}

    assert set() == set(vars(GenerationConfig())) - known
    assert set() == set(FIELDS) & {*NOT_TAKEN, *NOTES}


def test_defaults_are_those_of_transformers() -> None:
    """What both have stands at the same value; the unset max_length means 20 new tokens in both."""
    theirs = GenerationConfig._get_default_generation_params()
    ours = {name: field.default for name, field in FIELDS.items()}

    assert {k: v for k, v in theirs.items() if k in ours and k != "max_length"} == {
        name: ours[name] for name in ours if name in theirs and name != "max_length"
    }
    assert {name: theirs[name] for name in NOT_TAKEN if name in theirs} == {
        name: neutral for name, neutral in NOT_TAKEN.items() if name in theirs
    }


@pytest.mark.parametrize("name", sorted(NOT_TAKEN))
def test_what_does_nothing_is_let_through(name: str) -> None:
    """An option that is not taken is fine at the value where it does nothing, and at null."""
    assert (
        GenerationOptions()
        == GenerationOptions(**{name: NOT_TAKEN[name]})
        == GenerationOptions(**{name: None})
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, (2,)),
        ([2, 7], (2, 7)),
        ((2,), (2,)),
        (torch.tensor([2, 7]), (2, 7)),
        (np.int64(2), (2,)),
        (None, None),
    ],
)
def test_end_tokens_are_one_or_several(value: Any, expected: tuple[int, ...] | None) -> None:
    """An int, a sequence or an array of ids."""
    assert expected == GenerationOptions(eos_token_id=value).eos_token_id


def test_null_is_off() -> None:
    """As in a call of transformers: null turns an option off, `top_k` included."""
    options = GenerationOptions(
        top_k=None, top_p=None, temperature=None, repetition_penalty=None, do_sample=None
    )

    assert (None, 1.0, 1.0, 1.0, False) == (
        options.top_k, options.top_p, options.temperature, options.repetition_penalty, options.do_sample
    )  # fmt: skip


def test_later_options_win() -> None:
    """Defaults < what the model brings < the call."""
    brought = from_generation_config(
        {"temperature": 0.6, "top_p": 0.9, "do_sample": True, "eos_token_id": [1, 2]}
    )
    merged = brought.merged({"top_p": 0.5, "max_new_tokens": 3})

    assert (0.6, 0.5, 50, (1, 2), 3) == (
        merged.temperature, merged.top_p, merged.top_k, merged.eos_token_id, merged.max_new_tokens
    )  # fmt: skip


def test_all_problems_at_once() -> None:
    """One error holds every misspelt, refused and impossible option."""
    with pytest.raises(CallError) as caught:
        GenerationOptions(max_new_token=3, num_beams=4, top_p=1.5, temperature="hot")

    assert ["E740", "E741", "E742", "E742"] == sorted(problem.code for problem in caught.value.problems)


PUBLISHED = [
    {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2, "transformers_version": "4.34.0.dev0"},
    {
        "bos_token_id": 128000,
        "do_sample": True,
        "eos_token_id": [128001, 128008, 128009],
        "temperature": 0.6,
        "top_p": 0.9,
        "transformers_version": "4.42.3",
    },
    {"max_length": 4096, "num_beams": 1, "pad_token_id": 0, "top_k": None, "repetition_penalty": 1.05},
    {"stop_strings": ["\n\n", "User:"], "min_new_tokens": 2, "use_cache": False, "min_p": 0.1},
]


@pytest.mark.parametrize("data", PUBLISHED)
def test_published_files_come_back(data: dict[str, Any]) -> None:
    """File to options to file keeps what was said, and transformers reads the result alike."""
    written = json.loads(json.dumps(to_generation_config(from_generation_config(data))))
    kept = {k: v for k, v in data.items() if k in FIELDS and v is not None}

    assert kept == written
    assert from_generation_config(data) == from_generation_config(written)
    assert GenerationConfig(**kept).to_diff_dict() == GenerationConfig(**written).to_diff_dict()


def test_top_k_off_survives_a_file() -> None:
    """In a file null means the default, so "off" is written as 0."""
    assert 0 == from_generation_config(to_generation_config(GenerationOptions(top_k=None, seed=3))).top_k


def test_reading_a_file_reports_and_goes_on() -> None:
    """What cannot be taken is a problem each, and the rest is usable."""
    options, problems = read_generation_config(
        {"pad_token_id": -1, "num_beams": 4, "top_p.x": 1, "top_p": 0.8, "eos_token_id": 7}
    )

    assert (None, 0.8, (7,)) == (options.pad_token_id, options.top_p, options.eos_token_id)
    assert {"pad_token_id", "num_beams", "top_p.x"} == {problem.path for problem in problems}


ODD = [10**12, -1, 0, 1, 1.0, 2.5, float("nan"), float("inf"), {}, b"x", object()]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers() | st.text(), max_size=3),
    st.sampled_from(ODD),
)
NAMES = st.sampled_from([*FIELDS, *NOT_TAKEN, *NOTES, "top_p.x"]) | st.text(max_size=8)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_options_are_valid_or_a_clear_error(options: dict[str, Any]) -> None:
    """No value makes anything but options or a CallError whose problems each name the option."""
    try:
        GenerationOptions(**options)
    except CallError as error:
        named = {problem.path for problem in error.problems}
        assert set() == {p for p in named if not {p, p.split(".")[0]} & {*options}}


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_file_is_read(data: dict[str, Any]) -> None:
    """Whatever a generation config holds, usable options come out."""
    assert isinstance(read_generation_config(data)[0], GenerationOptions)
