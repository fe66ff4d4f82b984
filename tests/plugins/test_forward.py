"""Faults of a block that is run: which block, of which plugin, in which layer."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import composer
from composer.cli import main
from composer.errors import PluginError, Problem

from .installing import Site, site_in
from .odd import IDS, REPORT, SPEC, plan


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_in(tmp_path, monkeypatch) as made:
        yield made


def test_an_error_in_a_call_keeps_its_type(site: Site) -> None:
    """Whoever catches it catches it as before; the note says where it was."""
    model = composer.build(plan(site, forward="raise KeyError('x')"))

    with pytest.raises(KeyError) as caught:
        model(IDS)
    assert ["plugin 'odd' of odd: forward() of kind 'echo' for 'e' in layer 2"] == caught.value.__notes__


def test_a_call_that_would_end_the_process(site: Site) -> None:
    """SystemExit in a layer is no wish of the user."""
    model = composer.build(plan(site, forward="raise SystemExit(3)"))
    message = "plugin 'odd' of odd: forward() of kind 'echo' for 'e' in layer 2 failed: SystemExit: 3"

    with pytest.raises(PluginError) as caught:
        model(IDS)
    assert (Problem("E424", message, hint=REPORT),) == caught.value.problems


def test_an_error_below_a_block(site: Site) -> None:
    """What torch raises in a block's call is the block's, and the cache that it was writing to says so."""
    model = composer.build(plan(site, forward="x @ torch.ones(3)"))
    cache = model.new_cache(1)

    with pytest.raises(RuntimeError) as caught, torch.no_grad():
        model(IDS, past_key_values=cache)
    assert ["plugin 'odd' of odd: forward() of kind 'echo' for 'e' in layer 2"] == caught.value.__notes__
    with pytest.raises(composer.ComposerError, match="E8"):
        model(IDS, past_key_values=cache)


def test_a_shared_block_is_told_with_its_layer(site: Site) -> None:
    """One module, and the use that failed."""
    spec = SPEC.replace("e: {kind: echo, size: 7}", "e: {kind: echo, size: 7, share: {copies: 1}}")
    model = composer.build(plan(site, forward="raise KeyError('x')", spec=spec))

    with pytest.raises(KeyError) as caught:
        model(IDS)
    assert ["plugin 'odd' of odd: forward() of kind 'echo' for 'e' in layer 2"] == caught.value.__notes__


def test_an_interrupt_in_a_call(site: Site) -> None:
    """Ctrl-C during a layer that hangs says which."""
    model = composer.build(plan(site, forward="time.sleep(30)"))
    main_thread = threading.get_ident()
    threading.Timer(0.3, lambda: signal.pthread_kill(main_thread, signal.SIGINT)).start()
    began = time.monotonic()

    with pytest.raises(KeyboardInterrupt) as caught:
        model(IDS)
    assert time.monotonic() - began < 10
    assert ["plugin 'odd' of odd: forward() of kind 'echo' for 'e' in layer 2"] == caught.value.__notes__


def test_the_host_s_own_errors_are_its_own(site: Site) -> None:
    """A mistake in the call is told as ever."""
    model = composer.build(plan(site))

    with pytest.raises(composer.ComposerError) as caught:
        model(IDS + 100)
    assert not hasattr(caught.value, "__notes__")


def test_on_the_command_line(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """One problem that names the plugin and where it was, no traceback, and exit code 1."""
    spec = SPEC.replace("vocab_size: 8", "vocab_size: 2048")
    model = composer.build(plan(site, forward="raise OSError('odd')", spec=spec))
    composer.save(
        model, site.folder / "out", layout="composer", tokenizer=composer.load_tokenizer("pocket-mistral")
    )

    assert 1 == main(["generate", str(site.folder / "out"), "def"])
    problem, hint = capsys.readouterr().err.strip().splitlines()[-2:]
    assert "odd: plugin 'odd' of odd: Echo.build.Same.forward() failed: OSError: odd [E422]" == problem
    assert f"hint: plugin 'odd' of odd: forward() of kind 'echo' for 'e' in layer 2; {REPORT}" == hint.strip()
