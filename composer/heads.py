"""What sits on the stream: from the arguments of a call to the head of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypedDict, get_args

from .errors import CallError, did_you_mean, fail
from .plan import HeadKind, HeadPlan, ProblemType
from .source.invalid import shown
from .spec import Spec

MOST_LABELS = 1_000_000
DROPOUT = 0.1
"""Of a head over tokens, where nothing else is said."""


class HeadOptions(TypedDict, total=False):
    """Numbers of a head, as the transformers library calls them; None is as good as not given."""

    num_labels: int | None
    id2label: Mapping[int, str] | Mapping[str, str] | None
    label2id: Mapping[str, int] | None
    problem_type: ProblemType | None
    pad_token_id: int | None
    classifier_dropout: float | None
    token_classification_bias: bool | None


LABELS = ("num_labels", "id2label", "label2id")
TAKES: Mapping[str, tuple[str, ...]] = {
    "base": (),
    "causal-lm": (),
    "sequence-classification": (*LABELS, "problem_type", "pad_token_id"),
    "token-classification": (*LABELS, "classifier_dropout", "token_classification_bias"),
    "question-answering": (),
}
"""The options of each kind of head."""


def head_plan(spec: Spec, kind: str, options: Mapping[str, Any]) -> HeadPlan:
    """The head of a plan.  Raises CallError: E702 an unknown kind, E720 an option it has not, E721 a wrong one."""
    if kind not in tuple(TAKES):
        hint = did_you_mean(str(kind), TAKES) or f"one of: {', '.join(TAKES)}"
        fail(CallError, "E702", f"no head is called {kind!r}", hint=hint)
    known: HeadKind = next(each for each in get_args(HeadKind) if each == kind)
    given = {name: value for name, value in options.items() if value is not None}
    _check_names(kind, given)
    plain = HeadPlan(known, spec.head.tied, spec.head.bias, spec.head.softcap)
    if kind == "question-answering":
        return HeadPlan(known, plain.tied, bias=True)
    if kind == "sequence-classification":
        labels = labels_of(given)
        return HeadPlan(
            known, plain.tied, False, labels=labels, problem_type=_problem(given, len(labels)),
            pad_token_id=_pad(spec, given),
        )  # fmt: skip
    if kind == "token-classification":
        labels = labels_of(given)
        return HeadPlan(known, plain.tied, _bias(given), labels=labels, dropout=_share(given))
    return plain


def labels_of(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the classes: two, called LABEL_0 and LABEL_1, where nothing else is said."""
    named = {}
    if "id2label" in given:
        named["id2label"] = _names(given["id2label"], "id2label")
    if "label2id" in given:
        turned = _mapping(given["label2id"], "label2id")
        if len(set(turned.values())) < len(turned):
            _wrong("label2id", "one number has several names")
        named["label2id"] = _names({number: name for name, number in turned.items()}, "label2id")
    found = list(dict.fromkeys(named.values()))
    if len(found) > 1:
        _wrong("label2id", "must lead back from the names of id2label to their numbers")
    count = _count(given, found[0] if found else None)
    return found[0] if found else tuple(f"LABEL_{index}" for index in range(count))


def _count(given: Mapping[str, Any], named: tuple[str, ...] | None) -> int:
    count = given.get("num_labels", 2 if named is None else len(named))
    if type(count) is not int or not 1 <= count <= MOST_LABELS:
        _wrong("num_labels", f"must be a whole number from 1 to {MOST_LABELS:,}, found {shown(count)}")
    if named is not None and count != len(named):
        _wrong("num_labels", f"it is {count}, and {len(named)} classes have names")
    return count


def _mapping(value: Any, name: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= MOST_LABELS:
        _wrong(name, f"must map numbers and names of classes, found {shown(value)}")
    return value


def _names(given: Any, option: str) -> tuple[str, ...]:
    """Names by number; the numbers may be texts, as JSON writes them."""
    found: dict[Any, Any] = {}
    for key, name in _mapping(given, option).items():
        number = int(key) if isinstance(key, str) and key.isdecimal() and len(key) < 10 else key
        if type(number) is not int or not isinstance(name, str) or number in found:
            _wrong(
                option, f"holds {shown(key)} and {shown(name)}, expected a number and the name of its class"
            )
        found[number] = name
    if sorted(found) != list(range(len(found))):
        _wrong(option, f"must number its {len(found)} classes from 0 to {len(found) - 1}")
    return tuple(found[number] for number in range(len(found)))


def _problem(given: Mapping[str, Any], count: int) -> ProblemType | None:
    problem: ProblemType | None = given.get("problem_type")
    if problem is None:
        return None
    if problem not in get_args(ProblemType):
        _wrong("problem_type", f"must be one of {', '.join(get_args(ProblemType))}, found {shown(problem)}")
    if problem == "single_label_classification" and count == 1:
        _wrong("problem_type", "single_label_classification needs two classes; one is a regression")
    return problem


def _pad(spec: Spec, given: Mapping[str, Any]) -> int | None:
    pad = given.get("pad_token_id")
    if pad is None:
        return spec.generation.get("pad_token_id")
    if type(pad) is not int or not 0 <= pad < spec.vocab_size:
        _wrong("pad_token_id", f"must be a token id from 0 to {spec.vocab_size - 1}, found {shown(pad)}")
    return pad


def _share(given: Mapping[str, Any]) -> float:
    share = given.get("classifier_dropout", DROPOUT)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        _wrong("classifier_dropout", f"must be from 0 to below 1, found {shown(share)}")
    return float(share)


def _bias(given: Mapping[str, Any]) -> bool:
    bias = given.get("token_classification_bias", True)
    if not isinstance(bias, bool):
        _wrong("token_classification_bias", f"must be true or false, found {shown(bias)}")
    return bias


def _check_names(kind: str, given: Mapping[str, Any]) -> None:
    known = dict.fromkeys(name for names in TAKES.values() for name in names)
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"the options of heads are {', '.join(known)}"
            fail(CallError, "E720", f"no option of a head is called {name!r}", path=name, hint=hint)
        if name not in TAKES[kind]:
            takes = f"it takes {', '.join(TAKES[kind])}" if TAKES[kind] else "it takes none"
            fail(CallError, "E720", f"the head {kind!r} takes no {name}", path=name, hint=takes)


def _wrong(name: str, message: str) -> NoReturn:
    fail(CallError, "E721", message, path=name)
