"""Generation options: transformers' names, meanings and defaults, checked before anything runs.

Order of precedence: the defaults below < a model's own defaults (`generation` of its spec, or the
`generation_config.json` of its checkpoint) < the arguments of the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from composer.errors import CallError, Problem
from composer.generate.names import check_names

MOST = 2**31 - 1
Count = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[int, Field(ge=1, le=MOST)]

_SAMPLING_ONLY = ("temperature", "top_k", "top_p", "min_p")


class GenerationOptions(BaseModel):
    """What `generate` and `stream` take. Lengths are in tokens; a length that counts the prompt says so.

    Raises `CallError` with every problem at once: an unknown name, one that transformers has and we
    do not take, a value of the wrong type or out of range, options that contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    max_new_tokens: Positive | None = Field(None, description="Most tokens to add; wins over max_length.")
    max_length: Positive | None = Field(None, description="Most tokens in a row, the prompt included.")
    min_new_tokens: Count | None = Field(None, description="Tokens to add before an end token may come.")
    min_length: Count = Field(
        0, description="Tokens in a row, prompt included, before an end token may come."
    )
    do_sample: bool = Field(False, description="Draw a token instead of taking the best one.")
    temperature: Annotated[float, Field(ge=0)] = Field(1.0, description="Divides the scores (do_sample).")
    top_k: Count | None = Field(50, description="Keep the k best tokens, 0 or null all (do_sample).")
    top_p: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="Keep the smallest set of best tokens with this much probability (do_sample)."
    )
    min_p: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Keep tokens at least this likely relative to the best one (do_sample)."
    )
    repetition_penalty: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Above 1 makes tokens that already occur less likely, prompt included."
    )
    eos_token_id: tuple[Count, ...] | None = Field(None, description="End tokens: one id or several.")
    pad_token_id: Count | None = Field(None, description="Fills finished rows; the first end token if unset.")
    bos_token_id: Count | None = Field(None, description="The prompt, where none is given.")
    stop_strings: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None, description="End a row once its text contains one of these; needs a tokenizer."
    )
    use_cache: bool = Field(True, description="Keep keys, values and states between steps.")
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        None, description="Seed of the draws; torch's global generator if unset."
    )

    def __init__(self, **options: Any) -> None:
        given, problems = check_names(options, tuple(type(self).model_fields))
        try:
            super().__init__(**{name: _plain(name, value) for name, value in given.items()})
        except ValidationError as error:
            raise CallError(*problems, *(_problem(e) for e in error.errors())) from None
        if self.do_sample and self.temperature == 0:
            problems.append(
                Problem(
                    "E743",
                    "nothing can be sampled at temperature 0",
                    path="temperature",
                    hint="do_sample=False takes the most likely token",
                )
            )
        if problems:
            raise CallError(*problems)

    @field_validator("eos_token_id", "stop_strings")
    @classmethod
    def _not_empty(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if value == ():
            raise ValueError("should hold at least one entry, or be left out")
        return value

    def given(self) -> dict[str, Any]:
        """The options that were set, by name; the others stand at their defaults."""
        return {
            name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set
        }

    def merged(self, options: Mapping[str, Any]) -> GenerationOptions:
        """These options with `options` on top."""
        return GenerationOptions(**{**self.given(), **options}) if options else self

    def unused(self) -> tuple[str, ...]:
        """Names of options that were set to something, yet only matter with `do_sample`."""
        if self.do_sample:
            return ()
        fields = type(self).model_fields
        return tuple(name for name in _SAMPLING_ONLY if getattr(self, name) != fields[name].default)


def _plain(name: str, value: Any) -> Any:
    """`value` as the field stores it: arrays as numbers, one entry as a tuple, null as the default."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if name in ("eos_token_id", "stop_strings"):
        if isinstance(value, int | str) and not isinstance(value, bool):
            return (value,)
        return tuple(value) if isinstance(value, list) else value
    if value is None and name != "top_k":
        return GenerationOptions.model_fields[name].default
    return value


def _problem(error: Any) -> Problem:
    """One finding of pydantic as a sentence of ours."""
    rule = error["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    return Problem(
        "E742",
        f"{rule}, found {_short(error['input'])}",
        path=".".join(map(str, error["loc"])),
        expected=rule.removeprefix("should be "),
        found=_short(error["input"]),
    )


def _short(value: Any, most: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"
