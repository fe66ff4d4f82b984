"""Every error of families and weight maps: its code, and its words as users read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import composer
from composer.errors import ComposerError
from composer.layout import family as families
from composer.layout.exporting import export_config
from composer.layout.family import Family, family_named, originals
from composer.layout.importing import family_of, import_config, read_config
from composer.layout.rows import Row, WeightMap, expand_rows
from composer.source import read_document

GOOD = """\
family: one
match: "c.model_type == 'one'"
includes: keys
defaults: {width: 8}
let: {r: "c.rope ?? {}"}
checks: {"c.width % 2 == 0": the width must be even}
spec: {hidden_size: "= c.width // r.share"}
config: {width: "= p.hidden_size"}
weights: {embed.weight: table}
"""
KEYS = "ignored: {model_type: tells families apart}\nonly: {scale: [null, 1]}\n"


def said(work: Callable[[], Any]) -> str:
    """The whole message."""
    with pytest.raises(ComposerError) as caught:
        work()
    return str(caught.value)


def family(text: str = GOOD, keys: str = KEYS) -> Family:
    """A family of that text."""
    return Family(read_document(text, "one.yaml"), {"keys": read_document(keys, "keys.yaml")})


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only family there is."""
    known(monkeypatch, "one")


def known(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """The family under these names, and no other."""
    found = {name: family() for name in names}
    monkeypatch.setattr("composer.layout.importing.families", lambda: found)
    monkeypatch.setattr(
        "composer.layout.importing.matching", lambda config: [f for f in found.values() if f.fits(config)]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b'{"a": 1,}',
            "config.json:1:9: config.json is not JSON: Illegal trailing comma before end of object [E530]",
        ),
        (b"[1]", "config.json is not a JSON object [E530]"),
        (b'{"a": 1, "a": 2}', "config.json has the key 'a' twice [E530]"),
    ],
)
def test_a_configuration_that_is_none(text: bytes, message: str) -> None:
    """E530, with the place where the reader of JSON knows one (whose own words differ between versions)."""
    words = said(lambda: read_config(text, "config.json"))
    if "Illegal" in message:
        assert words.startswith("config.json:1:")
        assert words.endswith("[E530]")
    else:
        assert message == words


def test_no_family(one: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """E531: none, with the nearest name; without a model_type; or more than one."""
    lead = "model_type: config.json: no family reads model_type"
    assert f"{lead} 'two' [E531]\n   hint: families: one" == said(lambda: family_of({"model_type": "two"}))
    assert f"{lead} 'ones' [E531]\n   hint: did you mean 'one'?" == said(
        lambda: family_of({"model_type": "ones"})
    )
    assert "model_type: config.json has no model_type [E531]\n   hint: families: one" == said(
        lambda: family_of({})
    )
    known(monkeypatch, "ones")
    rule = f"   hint: the family ones reads it only where {family().match.text}"
    assert f"{lead} 'ones' [E531]\n{rule}" == said(lambda: family_of({"model_type": "ones"}))
    known(monkeypatch, "one", "two")
    assert "config.json fits several families: one, one [E531]" == said(
        lambda: family_of({"model_type": "one"})
    )


def test_a_parameter_without_a_row() -> None:
    """E532 folds layers."""
    weights = WeightMap((Row("embed", ("e",)),))
    expected = (
        "the weight map has no row for layers.{0..1}.w [E532]\n"
        "   hint: save with layout='composer', which has a name for everything"
    )
    assert expected == said(lambda: expand_rows(weights, ["embed", "layers.0.w", "layers.1.w"]))
    many = said(lambda: expand_rows(weights, [f"w{at}" for at in range(30)])).splitlines()
    assert (21, "the weight map has no row for 11 more [E532]") == (len(many), many[-1])


def test_keys_that_nobody_knows(one: None) -> None:
    """E533: an unknown key, a known one with a value that matters, a key inside a mapping; all at once."""
    config = {"model_type": "one", "widht": 8, "scale": 2, "rope": {"shaer": 1}}
    assert said(lambda: import_config(config, "x")).splitlines() == [
        "widht: config.json: the key 'widht' is not known and may change the numbers [E533]",
        "   hint: did you mean 'width'?",
        "scale: config.json: scale is 2; only null or 1 is known [E533]",
        "shaer: config.json: the key 'shaer' inside rope is not known and may change the numbers [E533]",
        "   hint: did you mean 'share'?",
    ]
    lone = said(lambda: import_config({"model_type": "one", "zzz": 1}, "x")).splitlines()
    assert "   hint: give a spec of your own with spec=" == lone[1]


def test_values_that_do_not_compute(one: None) -> None:
    """E534 says what is missing or wrong, and what for."""
    expected = [
        "spec.hidden_size: config.json: r.share is not there [E534]",
        "   hint: the family one computes spec.hidden_size as c.width // r.share",
    ]
    assert expected == said(lambda: import_config({"model_type": "one"}, "x")).splitlines()
    config = {"model_type": "one", "width": "wide"}
    expected = [
        "checks: config.json: c.width % 2: % cannot be applied to 'wide', 2 [E534]",
        "   hint: the family one computes checks as c.width % 2 == 0",
    ]
    assert expected == said(lambda: import_config(config, "x")).splitlines()


def test_checks(one: None) -> None:
    """E535 is the family's own sentence."""
    assert "config.json: the width must be even [E535]" == said(
        lambda: import_config({"model_type": "one", "width": 3}, "x")
    )


def test_values_that_no_spec_takes() -> None:
    """What the spec itself refuses is told as of any spec, at the configuration."""
    config = {"model_type": "mistral", "hidden_size": 32, "vocab_size": 0}
    expected = "config.json:1:1: vocab_size: must be at least 1, found 0 [E304]"
    assert expected == said(lambda: import_config(config, "x")).splitlines()[0]


def pocket(tmp_path: Path, text: str) -> Any:
    """The pocket model, changed."""
    (tmp_path / "changed.yaml").write_text(f"extends: pocket-mistral\n{text}\n")
    return composer.resolve(composer.read_spec(tmp_path / "changed.yaml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "overrides: [{at: 1, set: {sliding_window: null}}]",
            ["layers.1.mixer.sliding_window: a configuration of mistral cannot say this: "
             "it is null, and would be read back as 64 [E536]"],
        ),
        (
            "overrides: [{at: '2..3', set: {bias: true}}]",
            ["init.bias: a configuration of mistral cannot say this: "
             "it is there, and would be read back as not there [E536]",
             "layers.{2..3}.mixer.bias: a configuration of mistral cannot say this: "
             "it is true, and would be read back as false [E536]"],
        ),
        (
            "blocks: {swa: {rope: null}}",
            [f"rope_parameters.{key}: a configuration of mistral cannot say this: {what} [E536]"
             for key, what in (("rope_type", "t.type is not there"), ("rope_theta", "t.theta is not there"),
                               ("partial_rotary_factor", "t.partial_rotary_factor is not there"))],
        ),
        (
            "blocks: {swa: {scale: 0.5}}",
            ["layers.{0..3}.mixer.scale: a configuration of mistral cannot say this: "
             "it is 0.5, and would be read back as 0.1767766952966369 [E536]"],
        ),
        (
            "init: {embedding: {distribution: normal, spread: 0.5}}",
            ["init.embedding.spread: a configuration of mistral cannot say this: "
             "it is 0.5, and would be read back as 0.02 [E536]"],
        ),
    ],
)  # fmt: skip
def test_models_that_do_not_fit(text: str, expected: list[str], tmp_path: Path) -> None:
    """E536 names every field that a configuration of the family cannot say."""
    plan = pocket(tmp_path, text)
    *lines, hint = said(lambda: export_config(plan, family_named("mistral"))).splitlines()

    assert "   hint: save with layout='composer', which can say everything" == hint
    assert expected == lines


def test_what_only_follows_is_not_told() -> None:
    """Names of the way back that have no value for want of another one are no lines of their own."""
    plan = composer.resolve(composer.read_spec("mamba2-130m"))
    family = next(each for each in originals().values() if each.file.layout)
    *lines, _ = said(lambda: export_config(plan, family)).splitlines()

    assert all(" is not there [E536]" in line for line in lines)
    assert "sizes" == lines[0].split(":")[0]


def test_family_files_that_are_wrong() -> None:
    """E537 a file that is not there, E538 an expression, with its place; several expressions at once."""
    text = GOOD.replace("includes: keys", "includes: kesy")
    assert said(lambda: family(text)).splitlines() == [
        "one.yaml:3:11: there is no kesy.yaml beside this file [E537]",
        "    3 | includes: kesy",
        "      |           ^^^^",
        "   hint: did you mean 'keys'?",
    ]
    text = GOOD.replace("c.width // r.share", "c.width // ").replace("c.rope ?? {}", "c.rope ? {}")
    assert said(lambda: family(text)).splitlines() == [
        "one.yaml:5:18: let.r: '?' means nothing here [E538]",
        '    5 | let: {r: "c.rope ? {}"}',
        "      |                  ^",
        "one.yaml:7:35: spec.hidden_size: expected a value before the end [E538]",
        '    7 | spec: {hidden_size: "= c.width // "}',
        "      |                                   ^",
    ]


def test_family_files_of_another_form() -> None:
    """Unknown and missing keys are told as in a spec."""
    words = said(lambda: family(GOOD.replace("match:", "mtach:")))
    assert "one.yaml:2:1: mtach: unknown option 'mtach' [E301]" in words
    assert "'match'" in words


def test_a_family_that_nobody_wrote() -> None:
    """E539: `weights` of a spec names a family."""
    expected = "weights: no family is called 'mistrla' [E539]\n   hint: did you mean 'mistral'?"
    assert expected == said(lambda: family_named("mistrla"))
    assert "weights: no family is called 'q' [E539]" == said(lambda: family_named("q")).splitlines()[0]
    assert "mistral" in families.families()
