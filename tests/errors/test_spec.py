"""What people hear about mistakes in a spec: each once, where it was written, and what to write instead."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import composer
from composer.errors import CallError, Problem, SpecError
from composer.spec import INIT

TINY = Path(__file__).with_name("spec_right.yaml").read_text(encoding="utf-8")
TABLE = Path(__file__).with_name("spec_mistakes.yaml")
REWRITE = os.environ.get("COMPOSER_GOLDEN") == "1"
MISTAKES = yaml.safe_load(TABLE.read_text(encoding="utf-8"))


def refused(action: Callable[[], Any], kind: type[Exception] = SpecError) -> tuple[Problem, ...]:
    with pytest.raises(kind) as caught:
        action()
    problems: tuple[Problem, ...] = caught.value.problems  # type: ignore[attr-defined]  # every kind has them
    return problems


def line(problem: Problem) -> str:
    """A problem on one line: where, the stretch above the carets, the sentence, the hint."""
    place, at = problem.place, ""
    if place:
        at = f"{place.line}: {place.text[place.column - 1 : place.column - 1 + place.width]} | "
    hint = f" ({problem.hint})" if problem.hint else ""
    return f"{at}{problem.path}: {problem.message} [{problem.code}]{hint}"


def told(mistake: dict[str, Any], folder: Path) -> list[str]:
    text = TINY
    for old, new in mistake.get("write", ()):
        assert old in text
        text = text.replace(old, new, 1)
    file = folder / "s.yaml"
    file.write_text(text, encoding="utf-8")
    assignments = [mistake["set"]] if "set" in mistake else []
    return [line(p) for p in refused(lambda: composer.resolve(composer.read_spec(file, set=assignments)))]


@pytest.fixture(scope="module", autouse=True)
def _write_the_table() -> Iterator[None]:
    """With COMPOSER_GOLDEN=1 what is said now becomes what is expected; to be read before it is committed."""
    yield
    if REWRITE:
        head, _, _ = TABLE.read_text(encoding="utf-8").partition("\n\n")
        entries = (
            yaml.safe_dump([each], sort_keys=False, allow_unicode=True, width=9999) for each in MISTAKES
        )
        TABLE.write_text("\n".join([f"{head}\n", *entries]), encoding="utf-8")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each["mistake"])
def test_mistakes(mistake: dict[str, Any], tmp_path: Path) -> None:
    """Every mistake of the table is told with exactly these words, at these places, and nothing else is."""
    said = told(mistake, tmp_path)
    if REWRITE:
        mistake["says"] = said

    assert mistake["says"] == said


def test_the_spec_without_mistakes() -> None:
    """The table changes one thing in a spec that is right."""
    assert 8 == len(composer.resolve(composer.read_spec(TINY)).layers)


def test_the_whole_message() -> None:
    """File, line, column, key path, sentence, code, the line with carets under what is meant, and a hint."""
    text = TINY.replace("pattern: full, swa×3", "pattern: swax3, full")
    (problem,) = refused(lambda: composer.resolve(composer.read_spec(text)))

    assert str(problem) == (
        "<text>:10:10: pattern: unknown block 'swax3' [E320]\n"
        "   10 | pattern: swax3, full\n"
        "      |          ^^^^^\n"
        "   hint: write swa×3, swa*3 or 'swa x3'"
    )


def files(folder: Path, **texts: str) -> Path:
    """Specs in a folder; returns the path of the first."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{next(iter(texts))}.yaml"


def test_specs_in_a_circle(tmp_path: Path) -> None:
    """The circle is named, at the line that closes it."""
    first = files(tmp_path, a="extends: b.yaml\n", b="name: b\nextends: ./a.yaml\n")
    a, b = tmp_path / "a.yaml", tmp_path / "b.yaml"
    hint = "one of them has to be complete by itself"
    circle = f"the specs extend each other in a circle: {a} extends {b} extends {a}"

    assert [f"2: ./a.yaml | extends: {circle} [E311] ({hint})"] == [
        line(p) for p in refused(lambda: composer.read_spec(first))
    ]


def test_too_many_ancestors(tmp_path: Path) -> None:
    """A chain of specs ends somewhere."""
    first = files(tmp_path, **{f"s{n}": f"extends: s{n + 1}.yaml\n" for n in range(20)})
    hint = "extend one that is nearer to the base"

    assert [f"1: s16.yaml | extends: more than 16 specs extend one another [E312] ({hint})"] == [
        line(p) for p in refused(lambda: composer.read_spec(first))
    ]


NOT_FOUND = [
    ("3", "expected the name of a spec, found 3 [E313] "
     "(write a shipped name, or a file beside this one such as base.yaml)"),
    ("bse.yaml", "there is no file 'bse.yaml' beside this spec [E315] (did you mean 'base.yaml'?)"),
    ("/etc/x.yaml", "'/etc/x.yaml' leads out of the folder of this spec [E314] (write a relative path without '..')"),
    ("c:x.yaml", "'c:x.yaml' leads out of the folder of this spec [E314] (write a relative path without '..')"),
    ("sub/../../x.yaml", "'sub/../../x.yaml' leads out of the folder of this spec [E314] "
     "(write a relative path without '..')"),
    ("nothing", "no shipped spec is called 'nothing' [E310] (the name of a file ends in .yaml)"),
]  # fmt: skip


@pytest.mark.parametrize(("parent", "message"), NOT_FOUND)
def test_extends_what_is_not_there(parent: str, message: str, tmp_path: Path) -> None:
    """A parent is a shipped name or a file in the folder of the spec."""
    first = files(tmp_path, child=f"extends: {parent}\n", base=TINY)

    assert [f"1: {parent} | extends: {message}"] == [
        line(p) for p in refused(lambda: composer.read_spec(first))
    ]


def test_no_mapping() -> None:
    """A file that is something else than a spec is told how a spec begins."""
    expected = "1: a | : a spec is a mapping of keys to values [E316] (begin with `composer: 1`)"

    assert [expected] == [line(p) for p in refused(lambda: composer.read_spec("- a\n- b\n"))]


def test_no_mapping_for_a_wide_colon() -> None:
    """One line that looks like a key and a value."""
    expected = "1: name：tiny | : a spec is a mapping of keys to values [E316] (write ':' for '：')"

    assert [expected] == [line(p) for p in refused(lambda: composer.read_spec("name：tiny\n"))]


def test_unknown_name() -> None:
    """A spec that is nowhere: the nearest shipped name."""
    expected = (
        ": there is no file and no shipped spec 'pocket-mistal' [E310] (did you mean 'pocket-mistral'?)"
    )

    assert [expected] == [line(p) for p in refused(lambda: composer.read_spec("pocket-mistal"))]


def test_mistakes_of_a_parent_are_told_there(tmp_path: Path) -> None:
    """What the parent got wrong stands in the parent's file, what the child got wrong in the child's."""
    wrong = TINY.replace("sliding_window: 16", "sliding_window: 0")
    child = files(tmp_path, child="extends: base.yaml\nblocks: {full: {head_dim: -8}}\n", base=wrong)
    problems = refused(lambda: composer.resolve(composer.read_spec(child)))

    assert {
        (f"{child}:2:27", "must be at least 1, found -8"),
        (f"{tmp_path / 'base.yaml'}:21:21", "must be at least 1, found 0"),
    } == {(str(problem.place), problem.message) for problem in problems}


def test_kind_of_tensor_that_nothing_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor whose kind neither the spec nor the host knows to draw is told by its kind."""
    monkeypatch.delitem(INIT, "norm")
    expected = (
        "31: init | init: nothing says how tensors of the kind 'norm' (layers.0.norms.mixer.weight) are drawn "
        "[E335] (add to init, for example: norm: {distribution: normal, spread: 0.02})"
    )

    assert [expected] == [line(p) for p in refused(lambda: composer.resolve(composer.read_spec(TINY)))]


def test_kinds_of_a_block_that_nothing_draws() -> None:
    """All at once, in order, each with the parameter that needs it; what the hint says can be pasted."""
    text = "\n".join(
        ["composer: 1", "name: bare", "vocab_size: 20", "hidden_size: 8", "norm: {kind: rms, eps: 1.0e-5}"]
        + ["pattern: scan×2", "blocks:"]
        + ["  scan: {kind: mamba2, num_heads: 2, head_dim: 8, state_size: 4}"]
    )
    (problem,) = refused(lambda: composer.resolve(composer.read_spec(text)))
    expected = (
        "nothing says how tensors of the kinds 'A_log' (scan.A_log), 'D' (scan.D), 'conv' (scan.conv.x.weight), "
        "'dt_bias' (scan.dt_bias) are drawn"
    )

    assert ("E335", expected, "blocks.scan") == (problem.code, problem.message, problem.path)
    init = problem.hint.removeprefix("for example ")
    assert ["A_log", "D", "conv", "dt_bias"] == list(yaml.safe_load(init)["init"])
    composer.resolve(composer.read_spec(f"{text}\n{init}"))


def test_unknown_head() -> None:
    """The head is an argument, so no place is given."""
    problems = refused(lambda: composer.resolve(composer.read_spec(TINY), head="causal_lm"), CallError)  # type: ignore[arg-type]  # the mistake

    assert [": no head is called 'causal_lm' [E702] (did you mean 'causal-lm'?)"] == [
        line(p) for p in problems
    ]


def test_json() -> None:
    """The same facts as plain data."""
    (problem,) = refused(lambda: composer.read_spec(TINY.replace("tied: false", "tied: 'yes'")))

    assert {
        "code": "E303",
        "message": "expected true or false, found 'yes'",
        "file": "<text>",
        "line": 30,
        "column": 14,
        "width": 5,
        "path": "head.tied",
        "expected": "true or false",
        "found": "'yes'",
        "hint": "write true or false",
    } == problem.to_json()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda plan: plan.flops(-3), "context must be a whole number from 0, found -3"),
        (lambda plan: plan.cache_bytes(8, batch=-1), "batch must be a whole number from 0, found -1"),
        (lambda plan: plan.cache_bytes(8.5), "context must be a whole number from 0, found 8.5"),
        (lambda plan: plan.cache_bytes(8, rollback=-1), "rollback must be a whole number from 0, found -1"),
    ],
)
def test_costs_of_nothing(ask: Callable[[Any], Any], message: str) -> None:
    """Costs are those of a number of tokens and rows, which cannot be negative."""
    (problem,) = refused(lambda: ask(composer.resolve(composer.read_spec(TINY))), CallError)

    assert ("E715", message) == (problem.code, problem.message)
