"""Which plugins load: what the process says, what the environment says, and what a call says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import composer
from composer import plugins
from composer.plugins.checks import missed

from .installing import GOOD, SPEC, Site, site_in


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_in(tmp_path, monkeypatch) as made:
        made.install("echo", GOOD)
        yield made


def test_what_is_left_out_is_never_imported(site: Site) -> None:
    """A limit is a matter of trust: no line of the others runs."""
    found = composer.catalog(only=["mlp", "attention"])

    assert {"mlp", "attention"} == set(found.offers)
    assert ("echo", "mamba2") == found.left_out
    assert "echo" not in sys.modules


def test_the_process_wins_over_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of a command is nearer than a variable; afterwards the variable holds again."""
    monkeypatch.setenv(plugins.LIMIT, "mlp")
    with plugins.using(only="echo, attention"):
        assert {"echo", "attention"} == set(composer.catalog().offers)
        with plugins.using(only=""):
            assert set() == set(composer.catalog().offers)
        assert {"echo", "attention"} == set(composer.catalog().offers)
    assert {"mlp"} == set(composer.catalog().offers)


def test_the_process_is_restored_after_an_error(site: Site) -> None:
    """Whatever happens inside."""
    with pytest.raises(ZeroDivisionError), plugins.using(only=""):
        raise ZeroDivisionError
    assert "echo" in composer.catalog()


@pytest.mark.parametrize(("only", "where"), [("ecko", "only"), (None, "--only-plugins")])
def test_who_named_what_is_not_there(site: Site, only: str | None, where: str) -> None:
    """The problem says where the name stands."""
    with plugins.using(only="ecko"):
        (problem,) = composer.catalog(only=only).problems

    assert ("E409", "did you mean 'echo'?") == (problem.code, problem.hint)
    assert f"{where} names the plugin 'ecko', which is not installed" == problem.message


def test_everything_honours_it(site: Site) -> None:
    """Resolving asks for the catalog of the process."""
    with (
        plugins.using(only="mlp"),
        pytest.raises(composer.ComposerError, match="left out by what limits plugins"),
    ):
        composer.resolve(composer.read_spec(SPEC))
    assert composer.resolve(composer.read_spec(SPEC)).parameter_count


def test_the_host_without_any_plugin(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """It reads, lists, and says which plugin would bring what a spec needs."""
    with plugins.using(only=""), pytest.raises(composer.ComposerError) as caught:
        composer.resolve(composer.read_spec("zamba2-1.2b"))

    hints = {problem.hint.split(" is ")[0] for problem in caught.value.problems}
    assert {f"the plugin {name!r}" for name in ("attention", "mamba2", "mlp")} == hints


@pytest.mark.parametrize("name", ["attention", "mamba2", "mlp"])
def test_the_host_without_one_of_ours(site: Site, name: str) -> None:
    """What does not need it works; what does says which plugin is missing."""
    needs = {"attention": "llama-3.2-1b", "mamba2": "mamba2-130m", "mlp": "llama-3.2-1b"}
    others = {"attention": "mamba2-130m", "mamba2": "llama-3.2-1b", "mlp": "mamba2-130m"}
    rest = {"attention", "mamba2", "mlp"} - {name}
    with plugins.using(only=rest):
        assert composer.resolve(composer.read_spec(others[name])).parameter_count
        with pytest.raises(composer.ComposerError, match=f"the plugin '{name}' is installed and left out"):
            composer.resolve(composer.read_spec(needs[name]))


@pytest.mark.parametrize(
    ("asked", "running", "unmet"),
    [("arch-composer>=0.1", "0.1.0", None), ("arch_composer >= 0.1.0", "0.1", None),
     ("arch-composer>=0.2", "0.1.0", ">=0.2"), ("arch-composer>=0.10", "0.9", ">=0.10"),
     ("arch-composer<1,>=0.1", "0.1.0", None), ("arch-composer~=1.4", "2.0", "~=1.4"),
     ("arch-composer>=0.2", "0.2.0.dev3", ">=0.2"), ("arch-composer>=0.1", "0.2.0.dev3", None),
     ("arch-composer", "0.1", None), ("arch-composer>=9; extra == 'test'", "0.1", None),
     ("arch-composer>=9; python_version > '3'", "0.1", ">=9"), ("arch-composer ?", "0.1", None)],
)  # fmt: skip
def test_versions_of_the_host(asked: str, running: str, unmet: str | None) -> None:
    """As installers read them."""
    assert unmet == missed(asked, running)
