"""Plugins that cannot be used: each is reported by name and stops nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import composer
from composer import plugins
from composer.errors import PluginError, Problem
from composer.layout.family import family_named, unusable
from composer.plugins import blamed

from ..plugins.installing import FILE, GOOD, SPEC, Site, site_in

HINT = "the hooks are `composer_blocks()` and `composer_data()`, without arguments"
REPORT = "this is a fault of the plugin; report it to its authors"
LISTS = "composer_blocks() returns a list of classes, composer_data() one of folders"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_in(tmp_path, monkeypatch) as made:
        yield made


def problems() -> list[Problem]:
    return list(composer.catalog().problems)


def says(code: str, name: str, message: str, hint: str) -> Problem:
    return Problem(code, f"plugin '{name}' of {name}: {message}", path=name, hint=hint)


def with_data(answer: str) -> str:
    """The good plugin, which ships data besides."""
    return f"{GOOD}@composer.hookimpl\ndef composer_data():\n    return {answer}\n"


BROKEN = [
    ("a = 1 / 0", "E401", "its import failed: ZeroDivisionError: division by zero", ""),
    ("raise SystemExit('bye')", "E401", "its import failed: SystemExit: bye", ""),
    ("raise BaseException('odd')", "E401", "its import failed: BaseException: odd", ""),
    ("import nowhere_at_all", "E401", "its import failed: ModuleNotFoundError: No module named 'nowhere_at_all'", ""),
    ("class E(Exception):\n    def __str__(self): raise self\nraise E", "E401", "its import failed: E: no message", ""),
    (GOOD.replace("return [Echo]", "exit(3)"), "E401", "composer_blocks() failed: SystemExit: 3", ""),
    (GOOD.replace("return [Echo]", "return [1]"), "E403",
     "it offers 1, which is no subclass of composer.Block", "return classes, not instances"),
    (GOOD.replace("return [Echo]", "return []"), "E403", "it offers no block and no data", LISTS),
    (GOOD.replace("return [Echo]", "return 5"), "E403", "composer_blocks() returns 5", "return a list of classes"),
    (GOOD.replace("return [Echo]", "pass"), "E403", "composer_blocks() returns nothing", "return a list of classes"),
    (with_data("['data']"), "E403", "composer_data() returns a list with 'data'",
     "return absolute paths, as in Path(__file__).parent / 'data'"),
    (with_data("[__import__('pathlib').Path('/nowhere')]"), "E403", "it offers data in /nowhere, where there are none",
     "give a folder that holds a folder `specs` or `families`, and ship both in the package"),
    (GOOD.replace('"echo"', '"two words"'), "E404",
     "its block Echo has no usable kind", "set `kind: ClassVar[str]` to a name"),
    (GOOD.replace('kind = "echo"', 'kind = "echo"; api = "99.0"'), "E405",
     "its block 'echo' is written for plugin interface 99.0, this host speaks 1.0",
     "install a newer arch-composer, or an older bad-one"),
    (GOOD.replace('kind = "echo"', 'kind = "echo"; api = "1.7"'), "E405",
     "its block 'echo' is written for plugin interface 1.7, this host speaks 1.0",
     "install a newer arch-composer, or an older bad-one"),
    (GOOD.replace('kind = "echo"', 'kind = "echo"; api = "0.9"'), "E405",
     "its block 'echo' is written for plugin interface 0.9, this host speaks 1.0",
     "install a newer bad-one, or an older arch-composer"),
    (GOOD.replace('kind = "echo"', 'kind = "echo"; api = 1'), "E405",
     "its block 'echo' says that it is written for plugin interface 1",
     'write "major.minor", as in api: ClassVar[str] = "1.0"'),
    (GOOD.replace("size: int", "extends: int"), "E408",
     "its block 'echo' has an option 'extends', which every entry of a spec has already",
     "give the option another name"),
    (GOOD.replace("@composer.hookimpl", ""), "E402", "it implements no hook of this host",
     f"{HINT}; is it decorated with @composer.hookimpl?"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected", "message", "hint"), BROKEN)
def test_broken_plugins_are_named(site: Site, code: str, expected: str, message: str, hint: str) -> None:
    """The broken one is told with its distribution; the others work."""
    site.install("good", GOOD.replace('"echo"', '"fine"'))
    site.install("bad-one", code)

    assert [says(expected, "bad-one", message, hint)] == problems()
    assert ["attention", "fine", "mamba2", "mlp"] == list(composer.catalog().offers)


@pytest.mark.parametrize(
    ("code", "about"),
    [(GOOD.replace("composer_blocks()", "composer_block()"), "unknown hook 'composer_block'"),
     (GOOD.replace("composer_blocks()", "composer_blocks(site)"), "")],
)  # fmt: skip
def test_misfitting_hooks(site: Site, code: str, about: str) -> None:
    """A misspelt hook and one with arguments are told apart from a plugin without hooks."""
    site.install("odd", code)
    (problem,) = problems()

    assert ("E402", HINT) == (problem.code, problem.hint)
    assert problem.message.startswith(f"plugin 'odd' of odd: it does not fit the hooks of this host: {about}")


def test_two_plugins_with_one_kind(site: Site) -> None:
    """Neither is used, and both distributions are named."""
    site.install("one", GOOD)
    site.install("two", GOOD)
    message = "the kind 'echo' is offered by 'one' of one and 'two' of two; none of them is used"
    hint = "uninstall one, or name the plugins to load in COMPOSER_PLUGINS"

    assert [Problem("E406", message, path="one", hint=hint)] == problems()
    assert "echo" not in composer.catalog()


def test_limit_names_what_is_not_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in COMPOSER_PLUGINS that no plugin has is a mistake; an empty list is none."""
    monkeypatch.setenv(plugins.LIMIT, "atention, mlp")
    message = "COMPOSER_PLUGINS names the plugin 'atention', which is not installed"

    assert [Problem("E409", message, path="atention", hint="did you mean 'attention'?")] == problems()
    assert ["mlp"] == list(composer.catalog().offers)
    monkeypatch.setenv(plugins.LIMIT, "")
    assert ([], []) == (problems(), list(composer.catalog().offers))


def refused(text: str) -> list[tuple[str, Any]]:
    with pytest.raises(composer.ComposerError) as caught:
        composer.resolve(composer.read_spec(text))
    return [(problem.code, problem.message, problem.hint) for problem in caught.value.problems]


def test_a_kind_whose_plugin_is_broken(site: Site) -> None:
    """Who asks for a kind hears what kept a plugin out, since that may be why it is missing."""
    site.install("bad", "a = 1 / 0")
    hint = (
        "installed kinds: attention, mamba2, mlp; if it is in a file: --plugin FILE.py; "
        "unusable plugins: bad: plugin 'bad' of bad: its import failed: ZeroDivisionError: division by zero"
    )

    assert [("E324", "no plugin offers a block of kind 'echo'", hint)] == refused(SPEC)


def test_a_kind_whose_plugin_is_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What limits plugins may be why a kind is missing."""
    site.install("echo", GOOD)
    monkeypatch.setenv(plugins.LIMIT, "mlp")
    hint = "the plugin 'echo' is installed and left out by what limits plugins; name it there too"

    assert [("E324", "no plugin offers a block of kind 'echo'", hint)] == refused(SPEC)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("return composer.Declared()", "return {}[site.reads]", "declares() of kind 'echo' failed: KeyError: 4"),
        ("return composer.Declared()", "exit()", "declares() of kind 'echo' failed: SystemExit: None"),
        ("return composer.Declared()", "return 3", "declares() of kind 'echo' returned 3, which is no Declared"),
        ("    def declares", "    def settle(self, site): pass\n    def declares",
         "settle() of kind 'echo' returned None, which is no Block"),
        ("    def declares", "    def model_post_init(self, context): raise SystemExit(0)\n    def declares",
         "a check of options of kind 'echo' failed: SystemExit: 0"),
    ],
)  # fmt: skip
def test_a_plugin_that_fails_while_it_describes_itself(
    site: Site, before: str, after: str, message: str
) -> None:
    """A fault in a plugin's own code is told as such, at the entry that asked for it."""
    site.install("faulty", GOOD.replace(before, after))

    assert [("E410", f"plugin 'faulty' of faulty: {message}", REPORT)] == refused(SPEC)


def test_a_plugin_that_cannot_count(site: Site) -> None:
    """FLOPs are whole numbers, or unknown."""
    site.install("faulty", GOOD + "Echo.flops = lambda self, site, context: 1 / context\n")
    plan = composer.resolve(composer.read_spec(SPEC))
    message = "plugin 'faulty' of faulty: flops() of kind 'echo' returned 0.5, which is no int"

    with pytest.raises(PluginError) as caught:
        plan.flops(2)
    assert [Problem("E410", message, hint=REPORT)] == list(caught.value.problems)


def test_working_plugin(site: Site) -> None:
    """The same plugin without a fault resolves."""
    site.install("good", GOOD)

    assert 8 * 4 * 2 + 4 + 4 == composer.resolve(composer.read_spec(SPEC)).parameter_count


def test_a_distribution_for_another_host(site: Site) -> None:
    """What a distribution asks of the host is checked before it is imported; other extras do not count."""
    site.install("late", "raise SystemExit", requires="arch_composer>=7.5")
    site.install("fine", GOOD, requires='arch-composer<0; extra == "test"')
    running = __import__("importlib.metadata").metadata.version("arch-composer")
    message = f"its version 1.0 asks for arch-composer>=7.5, and {running} is running"
    hint = "install arch-composer>=7.5, or another version of late"

    assert [says("E418", "late", message, hint)] == problems()
    assert "echo" in composer.catalog()


@pytest.mark.parametrize(
    ("code", "doing"),
    [
        ("import time\ntime.sleep(20)", "its import"),
        ("while True:\n    try:\n        while True: pass\n    except Exception: pass", "its import"),
        (GOOD.replace("return [Echo]", "import time; time.sleep(20)"), "composer_blocks()"),
    ],
)
def test_a_plugin_that_hangs(site: Site, monkeypatch: pytest.MonkeyPatch, code: str, doing: str) -> None:
    """It is stopped after a time and named; the others work."""
    monkeypatch.setenv(plugins.TIMEOUT, "0.2")
    site.install("slow", code)
    hint = "set COMPOSER_PLUGIN_TIMEOUT to more seconds, or to 0 for no limit, if it needs them"

    assert [says("E419", "slow", f"{doing} took longer than 0.2 seconds", hint)] == problems()
    assert ["attention", "mamba2", "mlp"] == list(composer.catalog().offers)


def test_a_time_that_is_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable holds seconds."""
    monkeypatch.setenv(plugins.TIMEOUT, "soon")
    expected = "COMPOSER_PLUGIN_TIMEOUT: COMPOSER_PLUGIN_TIMEOUT is 'soon', which is no time [E416]\n"

    with pytest.raises(composer.ComposerError) as caught:
        problems()
    assert expected + "   hint: write seconds, as in 30; 0 sets no limit" == str(caught.value)


def test_a_local_file_that_is_not_there(site: Site) -> None:
    """The nearest file of the folder is offered."""
    (site.folder / "echo.py").write_text(FILE, encoding="utf-8")
    absent = site.folder / "ecko.py"
    problem = Problem(
        "E417", f"there is no plugin file {absent}", path=str(absent), hint="did you mean 'echo.py'?"
    )

    assert (problem,) == composer.catalog(files=[absent]).problems


def test_a_local_file_and_a_plugin_with_one_kind(site: Site) -> None:
    """Neither wins in silence."""
    file = site.folder / "mine.py"
    file.write_text(FILE.replace('"echo"', '"mlp"'), encoding="utf-8")
    message = f"the kind 'mlp' is offered by 'mlp' of arch-composer and the file {file}; none of them is used"

    (problem,) = composer.catalog(files=[file]).problems

    assert ["E406", message] == [problem.code, problem.message]
    assert problem.hint.startswith("leave out --plugin, or change the kind in the file")


def test_a_spec_of_one_name_twice(site: Site) -> None:
    """Both who ship it are named, and neither is used; every other spec is."""
    site.install("echo", with_data(f"[__import__('pathlib').Path({str(site.folder / 'data')!r})]"))
    file = site.folder / "data" / "specs" / "gpt2.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SPEC, encoding="utf-8")
    ours = composer.plugins.data.specs_folder() / "gpt2.yaml"
    message = (
        f"the spec 'gpt2' is shipped by arch-composer ({ours}) and by plugin 'echo' of echo ({file}); "
        "none of them is used"
    )

    assert [("E420", message)] == [(problem.code, problem.message) for problem in problems()]
    with pytest.raises(PluginError) as caught:
        composer.read_spec("gpt2")
    assert message == caught.value.problems[0].message
    assert "opt-125m" == composer.read_spec("opt-125m").name


def test_a_family_that_is_none(site: Site) -> None:
    """A file that a plugin ships and that nobody can use."""
    site.install("echo", with_data(f"[__import__('pathlib').Path({str(site.folder / 'data')!r})]"))
    file = site.folder / "data" / "families" / "bad.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("family: bad\nmatch: c.x ==\ndefaults: {}\nspec: {}\nconfig: {}\n", encoding="utf-8")
    message = f"plugin 'echo' of echo: its family in {file}:2:14: expected a value before the end"

    assert [("E421", message)] == [(problem.code, problem.message) for problem in unusable()]
    with pytest.raises(composer.ComposerError) as caught:
        family_named("bad")
    assert message == caught.value.problems[0].hint


BUILT = """
Echo.declares = lambda self, site: composer.Declared(params={"gain": composer.Param(shape=(3,), init="norm")})
def build(self, site):
    import torch
    module = torch.nn.Module()
    BODY
    return module
Echo.build = build
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "no parameter 'gain', which it declares"),
        ("module.gain = torch.nn.Parameter(torch.ones(4))",
         "the parameter 'gain' of shape (4,), and declares (3,)"),
        ("module.gain = module.more = torch.nn.Parameter(torch.ones(3))",
         "a parameter 'more' that it does not declare"),
        ("module.gain = torch.nn.Parameter(torch.ones(3)); module.register_buffer('table', torch.ones(2))",
         "a buffer 'table', which a model without memory cannot compute: make it in forward()"),
    ],
)  # fmt: skip
def test_a_module_that_is_not_as_declared(site: Site, body: str, message: str) -> None:
    """It is told of the block when the model is built, not of a tensor when it runs."""
    site.install("odd", GOOD + BUILT.replace("BODY", body))
    plan = composer.resolve(composer.read_spec(SPEC))
    expected = f"plugin 'odd' of odd: build() of kind 'echo' makes {message}"

    with pytest.raises(PluginError) as caught:
        composer.build(plan, device="meta")
    assert [Problem("E423", expected, path="e", hint="the contract kit finds such faults")] == [
        *caught.value.problems
    ]


def test_a_fault_that_nobody_expected(site: Site) -> None:
    """An error out of a plugin's code is told as the plugin's, wherever the host was; no other is."""
    site.install("odd", GOOD + "class Odd:\n    def out(self): return [].index(3)\n")
    module = sys.modules[composer.catalog()["echo"].__module__]

    with pytest.raises(ValueError, match="not in list") as caught:
        module.Odd().out()
    assert Problem(
        "E422",
        "plugin 'odd' of odd: Odd.out() failed: ValueError: 3 is not in list",
        path="odd",
        hint=REPORT,
    ) == blamed(caught.value)
    assert blamed(ValueError("mine")) is None


def test_a_block_that_cannot_be_built(site: Site) -> None:
    """The block, what was asked of it, and where it would stand."""
    site.install("odd", GOOD + "Echo.build = lambda self, site: 1 // 0\n")
    message = (
        "plugin 'odd' of odd: build() of kind 'echo' for 'e' in layer 0 failed: "
        "ZeroDivisionError: integer division or modulo by zero"
    )

    with pytest.raises(PluginError) as caught:
        composer.build(composer.resolve(composer.read_spec(SPEC)), device="meta")
    assert [Problem("E424", message, hint=REPORT)] == [*caught.value.problems]
