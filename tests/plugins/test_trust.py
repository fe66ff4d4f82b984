"""What plugins do to the process they run in: nothing is printed, stopped or left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import composer
from composer import plugins
from composer.cli import main
from composer.describe.schema import describable, spec_schema
from composer.errors import PluginError
from composer.plugins.holding import held
from composer.plugins.timing import TimeLimitError, can_limit, time_limit

from .installing import FILE, GOOD, SPEC, Site, site_in

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_in(tmp_path, monkeypatch) as made:
        yield made


NOISY = f"""
import os, subprocess, sys
print("noise")
os.write(1, b"noise")
subprocess.run([sys.executable, "-c", "print('noise')"])
{GOOD}
Echo.settle = lambda self, site: print("noise") or self
"""


def test_what_a_plugin_prints_is_no_data(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """Data on stdout stays whole, whoever writes to it while plugins describe; it goes to stderr."""
    site.install("noisy", NOISY)
    (site.folder / "s.yaml").write_text(SPEC, encoding="utf-8")

    assert 0 == main(["show", str(site.folder / "s.yaml"), "--json"])
    out, err = capfd.readouterr()
    assert "tiny" == json.loads(out)["name"]
    assert err.count("noise") >= 4


def test_the_alarm_is_as_before(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit leaves no handler and no timer, neither when it passes nor when it comes too late."""
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeLimitError), time_limit(0.05):
        time.sleep(5)
    with time_limit(5):
        pass

    assert (before, (0.0, 0.0)) == (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL))


def test_the_alarm_of_another_goes_on() -> None:
    """A limit that a program has set itself comes when it would have come."""
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *given: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        with time_limit(5):  # ends first: the other stays in charge
            pass
        with pytest.raises(TimeLimitError), time_limit(0.05):
            time.sleep(5)
        assert [] == rung
        time.sleep(0.3)
        assert [1] == rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_nearer_of_two_limits() -> None:
    """An inner limit that would come later changes nothing."""
    began = time.monotonic()
    with pytest.raises(TimeLimitError, match=r"longer than 0\.1 seconds"), time_limit(0.1), time_limit(5):
        time.sleep(5)

    assert time.monotonic() - began < 2


def test_no_limit_in_other_threads(site: Site) -> None:
    """Signals are for the main thread; elsewhere plugins load as well, without one."""
    site.install("echo", GOOD)
    found: list[object] = []
    work = threading.Thread(target=lambda: found.extend([can_limit(), "echo" in composer.catalog()]))
    work.start()
    work.join()

    assert [False, True] == found


def test_no_limit_by_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 is for authors who hold a debugger."""
    monkeypatch.setenv(plugins.TIMEOUT, "0")
    site.install(
        "echo", GOOD.replace("return [Echo]", "import signal\n    return [Echo][signal.getitimer(0)[0] > 0:]")
    )

    assert "echo" in composer.catalog()


def test_a_plugin_that_swallows_the_limit_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """It cannot be stopped; who looks at the terminal reads whom to stop it for."""
    rounds: list[BaseException] = []
    said = "plugin 'x' of y: its import does not stop, whatever it is told; end this process\n"
    with pytest.raises(PluginError, match="took longer"), held("plugin 'x' of y", "its import", 0.05):
        deaf(rounds)

    assert [3, said] == [len(rounds), capsys.readouterr().err]


def deaf(rounds: list[BaseException]) -> None:
    """Swallow whatever comes, three times."""
    while True:
        try:
            time.sleep(5)
        except BaseException as error:
            if len(rounds) == 3:
                raise
            rounds.append(error)


def test_an_interrupt_says_what_was_running() -> None:
    """Ctrl-C is the user's: it goes through, with a note."""
    with pytest.raises(KeyboardInterrupt) as caught, held("plugin 'x' of y", "settle() of kind 'z'", 0):
        raise KeyboardInterrupt

    assert ["plugin 'x' of y: settle() of kind 'z' was running"] == caught.value.__notes__


def test_an_interrupt_on_the_command_line(site: Site) -> None:
    """The note is printed, and the exit code is that of an interrupt."""
    file = site.folder / "slow.py"
    file.write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass\n", encoding="utf-8"
    )
    code = "import sys; from composer.cli import main; sys.exit(main(['plugins']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"COMPOSER_PLUGIN_FILES": str(file)},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert (130, "") == (done.returncode, done.stdout)
    assert f"interrupted\n   local plugin {file}: its import was running\n" == done.stderr.lstrip()


def test_a_kind_without_a_schema_is_left_out(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are described, and the problem is told."""
    site.install(
        "odd", GOOD + "def no(*given, **named): raise RuntimeError('no')\nEcho.model_json_schema = no\n"
    )
    found = describable(composer.catalog())

    assert ["attention", "mamba2", "mlp"] == list(found.offers)
    assert ["plugin 'odd' of odd: the schema of kind 'echo' failed: RuntimeError: no"] == [
        problem.message for problem in found.problems
    ]
    assert "block mlp" in spec_schema(composer.catalog())["$defs"]


def test_a_plugin_is_imported_once(site: Site) -> None:
    """The catalog is kept, and so are the classes: plans of one process can be compared."""
    file = site.folder / "count.py"
    file.write_text(FILE, encoding="utf-8")

    first, again = (composer.catalog(files=[file])["echo"] for _ in range(2))
    assert first is again


def test_distributions_that_are_damaged(site: Site) -> None:
    """Lists of entry points that cannot be read, values that are none, metadata that are missing: the others load."""
    site.install("echo", GOOD)
    for name, points in (
        ("torn", b"[arch_composer]\nno value\n"),
        ("bytes", b"[arch_composer]\nx = \xff\xfe\n"),
    ):
        folder = site.folder / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "entry_points.txt").write_bytes(points)
    bare = site.folder / "bare-1.0.dist-info"
    bare.mkdir()
    (bare / "entry_points.txt").write_text(
        "[arch_composer]\nbare = echo\nodd = not a module\n", encoding="utf-8"
    )

    assert "attention" in composer.catalog()
    assert {"odd"} <= {problem.path for problem in composer.catalog().problems}


def test_a_plugin_that_asks_for_the_catalog_while_it_is_loaded(site: Site) -> None:
    """It sees the others, does not load itself for ever, and is offered once."""
    site.install("curious", "import composer\nseen = list(composer.catalog().offers)\n" + GOOD)

    assert ((), True) == (composer.catalog().problems, "echo" in composer.catalog())
    assert ["attention", "mamba2", "mlp"] == sys.modules["curious"].seen


def test_a_function_that_hangs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a spec is resolved, and told where the block stands."""
    monkeypatch.setenv(plugins.TIMEOUT, "0.2")
    site.install("slow", GOOD.replace("return composer.Declared()", "\n        while True: pass"))

    with pytest.raises(composer.ComposerError) as caught:
        composer.resolve(composer.read_spec(SPEC))
    (problem,) = caught.value.problems
    message = "plugin 'slow' of slow: declares() of kind 'echo' took longer than 0.2 seconds"
    assert ("E419", "blocks.e.kind", message) == (problem.code, problem.path, problem.message)


@pytest.mark.parametrize(
    "text",
    ["sys.stdout.close()", "sys.stdout = io.StringIO()", "os.close(1)", "sys.stdout.buffer.write(b'x')",
     "signal.signal(signal.SIGALRM, print); signal.setitimer(signal.ITIMER_REAL, 90)"],
)  # fmt: skip
def test_what_a_plugin_does_to_the_process_is_undone(site: Site, text: str) -> None:
    """Streams and the alarm are as they were, also for what comes after the plugin."""
    file = site.folder / "rough.py"
    file.write_text(f"import io, os, signal, sys\n{text}\n{FILE}", encoding="utf-8")
    code = """
import signal, sys
import composer
before = signal.getsignal(signal.SIGALRM)
print(list(composer.catalog(only="").offers))
print(before is signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL))
print("talk", file=sys.stderr)
"""
    environment = {"COMPOSER_PLUGIN_FILES": str(file)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT
    )

    assert ["['echo']", "True (0.0, 0.0)"] == done.stdout.splitlines()
    assert "talk" == done.stderr.splitlines()[-1][-4:]
