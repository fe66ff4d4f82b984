"""Faulty plugins and every verb that describes: the plugin is named, everything else works as without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import composer
from composer import plugins
from composer.cli import main

from .. import prove
from .installing import GOOD, Site, site_in

CLASS = GOOD.split("@composer.hookimpl")[0]


def offering(text: str) -> str:
    """A plugin whose hook ends with a statement."""
    return f"{CLASS}@composer.hookimpl\ndef composer_blocks():\n    {text}\n"


FAULTS = {
    "raises": "1 / 0",
    "exits": "exit()",
    "exits with 0": "raise SystemExit(0)",
    "raises BaseException": "raise BaseException",
    "GeneratorExit": "raise GeneratorExit",
    "StopIteration": "raise StopIteration",
    "MemoryError": "raise MemoryError",
    "recursion": "def f(): f()\nf()",
    "syntax": "def",
    "NUL": "x = '\0'",
    "missing import": "import torch_that_is_not_there",
    "hangs": "import time\ntime.sleep(30)",
    "spins": "while True: pass",
    "error without text": "class E(Exception):\n    def __str__(self): raise self\nraise E",
    "error with control characters": "raise ValueError('\\x1b[31m\\n\\x00red')",
    "module without attributes": "def __getattr__(name): raise RuntimeError(name)\n" + CLASS,
    "hook raises": offering("raise KeyError"),
    "hook exits": offering("exit(1)"),
    "hook hangs": offering("import time; time.sleep(30)"),
    "hook never ends": offering("import itertools; return itertools.count()"),
    "hook yields": offering("yield Echo"),
    "hook returns text": offering("return 'Echo'"),
    "hook returns a name": offering("return ['Echo']"),
    "hook returns what has no repr": offering("return [type('R', (), {'__repr__': lambda self: 1 / 0})()]"),
    "hook returns nothing": offering("return None"),
    "hook with an argument": offering("return [Echo]").replace(
        "composer_blocks()", "composer_blocks(config)"
    ),
    "unknown hook": offering("return [Echo]").replace("composer_blocks", "composer_block"),
    "no hook": CLASS,
    "no block": offering("return [int]"),
    "an instance": offering("return [Echo()]"),
    "no kind": offering("return [Echo]").replace('    kind = "echo"\n', ""),
    "kind is no name": offering("return [Echo]").replace('"echo"', '"a b"'),
    "kind is no text": offering("return [Echo]").replace('"echo"', "3"),
    "kind has no text": offering("return [Echo]").replace(
        '"echo"', "type('K', (), {'__str__': lambda self: 1 / 0})()"
    ),
    "another interface": offering("return [Echo]").replace('kind = "echo"', 'kind = "echo"; api = "3.1"'),
    "no interface": offering("return [Echo]").replace('kind = "echo"', 'kind = "echo"; api = None'),
    "reserved option": offering("return [Echo]").replace("size:", "share:"),
    "no field": CLASS.replace("size: int", "size: undefined_name"),
    "kind of another": offering("return [Echo]").replace('"echo"', '"mlp"'),
    "data that is nowhere": GOOD.replace("return [Echo]", "return []").replace(
        "composer_blocks", "composer_data"
    ),
}
VERBS = (["show", "mamba2-130m"], ["check", "mamba2-130m"], ["schema"], ["plugins", "list", "--json"])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_in(tmp_path, monkeypatch) as made:
        monkeypatch.setenv(plugins.TIMEOUT, "0.3")
        made.install("fine", GOOD.replace('"echo"', '"fine"'))
        yield made


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault(site: Site, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named with its distribution, all others are there, and verbs end as they would without it."""
    site.install("faulty-one", FAULTS[fault])
    problems = [problem.message for problem in composer.catalog().problems]

    assert 1 == len(problems)
    assert "'faulty-one' of faulty-one" in problems[0]
    lost = {"mlp"} if fault == "kind of another" else set()
    assert {"attention", "fine", "mamba2", "mlp"} - lost == set(composer.catalog().offers)
    for words in VERBS:
        assert ("list" in words) == main(words)
        out, err = capsys.readouterr()
        assert out
        assert "internal error" not in err
        assert "Traceback" not in err
        prove.counted("verbs beside a faulty plugin")


def test_all_at_once(site: Site) -> None:
    """Forty of them, one good: each is named, and the good ones resolve."""
    for number, text in enumerate(FAULTS.values()):
        site.install(f"faulty-{number}", text.replace('"mlp"', '"echo-2"'))
    found = composer.catalog()

    named = {problem.path for problem in found.problems}
    assert {f"faulty-{number}" for number, name in enumerate(FAULTS) if name != "kind of another"} <= named
    assert {"attention", "fine", "mamba2", "mlp"} <= set(found.offers)
    assert composer.resolve(composer.read_spec("zamba2-1.2b")).parameter_count


HOST, PLUGIN = (1, 3), [(0, 9), (1, 0), (1, 2), (1, 3), (1, 4), (2, 0)]


@pytest.mark.parametrize("api", PLUGIN)
def test_versions(site: Site, monkeypatch: pytest.MonkeyPatch, api: tuple[int, int]) -> None:
    """A host of 1.3 takes 1.0 to 1.3, and says of any other what to install."""
    monkeypatch.setattr("composer.plugins.checks.API", "{}.{}".format(*HOST))
    site.install("v", GOOD.replace('kind = "echo"', 'kind = "echo"; api = "{}.{}"'.format(*api)))
    found = composer.catalog()

    assert (api[0] == 1 and api[1] <= 3) == ("echo" in found)
    hints = [problem.hint for problem in found.problems]
    newer = ["install a newer arch-composer, or an older v"]
    assert hints == (
        [] if "echo" in found else newer if api > HOST else ["install a newer v, or an older arch-composer"]
    )
