"""`plugins list`, `show` and `test`, and the options that name plugins for any verb."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest

from composer.cli.verbs import VERBS, verbs
from composer.plugins import catalog

from .conftest import Run, process

OWN = '''
from composer import Block, Declared, Linears
from pydantic import Field

class Own(Block):
    """One map.

    And no more.
    """

    kind = "own"
    bias: bool = Field(default=False, description="Add a bias.")
    size: int | None = Field(default=None, ge=1, description="Unused.")

    @classmethod
    def samples(cls):
        return [cls(), cls(bias=True)]

    def sees(self, query, key):
        return key == query

    def declares(self, site):
        return Declared(linears={"out": Linears(reads=site.reads, parts={"o": site.writes}, bias=self.bias)})

    def build(self, site):
        from composer.nn import LinearGroup, Mixer

        class OwnModule(Mixer):
            def __init__(self, linears):
                super().__init__()
                self.out = LinearGroup(linears)

            def forward(self, x, at):
                return self.out(x, at)[0]

        return OwnModule(self.declares(site).linears["out"])
'''

SPEC = """
extends: pocket-mistral
name: own
blocks: {own: {kind: own}}
layer: [{norm: rms, mix: mixer}, {norm: rms, mix: own}]
weights: null
tokenizer: null
hidden_size: 32
"""


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPOSER_PLUGIN_FILES", raising=False)
    Path("own.py").write_text(OWN, encoding="utf-8")
    Path("wrong.py").write_text(
        OWN.replace("return self.out(x, at)[0]", "return self.out(x, at)[0].cumsum(1)"), "utf-8"
    )
    Path("own.yaml").write_text(SPEC, encoding="utf-8")


def test_list_says_where_from(run: Run) -> None:
    """A file is local, with its path; it is there once, however often it is named."""
    done = run("plugins", "--plugin", "own.py", "list", "--plugin", "./own.py", "--json")
    found = {each["plugin"]: each for each in json.loads(done.out)["plugins"]}
    path = str(Path("own.py").absolute())

    assert (0, "") == (done.code, done.err)
    assert ["attention", "mamba2", "mlp", path] == [*found]
    assert ("local", ["own"]) == (found[path]["origin"], found[path]["kinds"])
    assert ("installed", "arch-composer") == (found["mlp"]["origin"], found["mlp"]["distribution"])
    assert f"local ({path})" in run("plugins", "--plugin", "own.py").out


def test_list_says_what_is_limited(run: Run) -> None:
    """Who limits and what is left out; a local file is no installed plugin and comes along."""
    done = run("plugins", "--only-plugins", "mlp", "--plugin", "own.py")
    data = json.loads(run("plugins", "list", "--only-plugins", "", "--json").out)

    assert done.out.endswith("\n--only-plugins limits the installed plugins; left out: attention, mamba2\n")
    assert "own.py" in done.out
    assert ([], {"by": "--only-plugins", "only": []}) == (data["plugins"], data["limit"])


def test_bare_is_list(run: Run) -> None:
    """`plugins` without a verb, with and without --json."""
    assert run("plugins").out == run("plugins", "list").out
    assert (
        json.loads(run("plugins", "--json").out).keys()
        == json.loads(run("plugins", "list", "--json").out).keys()
    )


def test_show(run: Run) -> None:
    """Where it is from, what it says of itself, its options, what a sample declares."""
    done = run("plugins", "show", "own", "--plugin", "own.py")
    path = Path("own.py").absolute()

    assert 0 == done.code
    assert [
        f"own, of a local file ({path})",
        f"{path}:5, interface 1.0",
        "",
        "One map.",
        "",
        "And no more.",
        "",
        "option  takes                        default  is",
        "bias    true or false                false    Add a bias.",
        "size    whole number from 1 or null  null     Unused.",
        "",
        "sample own(), 32 wide: 1,024 parameters, remembers nothing, FLOPs unknown",
        "  parameter     shape  drawn as",
        "  out.o.weight  32×32  linear",
        "also own(bias=true), 32 wide: 1,056 parameters, remembers nothing, FLOPs unknown",
    ] == done.out.splitlines()


@pytest.mark.parametrize("kind", ["attention", "mamba2", "mlp"])
def test_show_as_data(kind: str, run: Run) -> None:
    """Options as a JSON Schema, and every sample with what it declares."""
    data = json.loads(run("plugins", "show", kind, "--json").out)
    block = catalog()[kind]

    assert [*block.model_fields] == [*data["options"]["properties"]]
    assert len(block.samples()) == len(data["samples"])
    assert all(sample["parameters"] > 0 for sample in data["samples"])


def test_a_block_that_keeps_the_contract(run: Run) -> None:
    """A column for each sample, and code 0."""
    done = run("plugins", "test", "own.py", "--check", "shape", "--check", "rows")

    assert 0 == done.code
    assert ["check  1   2", "shape  ok  ok", "rows   ok  ok"] == done.out.splitlines()[4:7]
    assert "4 of 4 checks passed, 0 failed, in " in done.out
    assert ["… 1 of 2: own()", "… 2 of 2: own(bias=true)"] == done.err.splitlines()


def test_a_block_that_does_not(run: Run) -> None:
    """The check that fails is named with what it found and what has to be done; code 1."""
    done = run(
        "plugins", "test", "own", "--plugin", "wrong.py", "--check", "shape", "--check", "sees_no_more"
    )
    data = json.loads(run("plugins", "test", "wrong.py", "--check", "sees_no_more", "--json").out)

    assert 1 == done.code
    assert "sees_no_more  FAILS  FAILS" in done.out
    assert "\nsample 1 fails sees_no_more: " in done.out
    assert "\n   hint: " in done.out
    assert "2 of 4 checks passed, 2 failed, in " in done.out
    assert ["failed", "failed"] == [outcome["result"] for outcome in data["outcomes"]]


def test_a_block_that_raises(run: Run) -> None:
    """The line of the file, once: what all checks stand on is told, whatever their order, and what it hides is not."""
    text = OWN.replace("return self.out(x, at)[0]", "return self.out(x, at)[0].view(3)")
    Path("bad.py").write_text(text, encoding="utf-8")
    line = 1 + text[: text.index(".view(3)")].count("\n")
    done = run("plugins", "test", "bad.py", "--check", "memory", "--check", "rows", "--check", "shape")

    assert f", at bad.py:{line}: return self.out(x, at)[0].view(3)\n" in done.out
    assert "sample 1 fails shape: it raised RuntimeError: " in done.out
    assert "fails memory" not in done.out
    assert "mend" not in done.out


@pytest.mark.parametrize(
    ("after", "says"), [("1 / 0", "failed: ZeroDivisionError"), ("[3]", "is no block at a site")]
)
def test_samples_that_are_none(after: str, says: str, run: Run) -> None:
    """A kind that fails to name its samples is named, and ends the verb with 1."""
    Path("bad.py").write_text(OWN.replace("[cls(), cls(bias=True)]", after), encoding="utf-8")
    done = run("plugins", "test", "bad.py", "--check", "shape")

    assert 1 == done.code
    assert f"local plugin {Path('bad.py').absolute()}: samples() of kind 'own' " in done.err
    assert says in done.err


def test_a_block_that_hangs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for once in each sample, and named."""
    monkeypatch.setenv("COMPOSER_PLUGIN_TIMEOUT", "0.5")
    Path("bad.py").write_text(
        OWN.replace("return self.out(x", "import time; time.sleep(60)  #"), encoding="utf-8"
    )
    done = run("plugins", "test", "bad.py", "--check", "shape", "--check", "rows")

    assert 1 == done.code
    assert "rows   FAILS" not in done.out
    assert str(Path("bad.py").absolute()) in done.out + done.err
    assert "took longer than 0.5 seconds" in done.out + done.err


def test_what_can_be_tested(run: Run) -> None:
    """A kind, a plugin, a package, a distribution however it is spelled: what it stands for."""
    one = json.loads(run("plugins", "test", "composer_mlp", "--check", "options", "--json").out)["outcomes"]
    every = json.loads(run("plugins", "test", "Arch.Composer", "--check", "options", "--json").out)[
        "outcomes"
    ]

    assert {"mlp"} == {outcome["kind"] for outcome in one}
    assert {"attention", "mamba2", "mlp"} == {outcome["kind"] for outcome in every}


READING = ("check", "export", "generate", "import", "init", "plugins", "schema", "show", "train", "verify")


def test_every_verb_that_reads_takes_them() -> None:
    """`fmt` alone changes nothing but text."""
    assert ("fmt",) == tuple(name for name in VERBS if name not in READING)
    for name in READING:
        verb = verbs.get_command(None, name)  # type: ignore[arg-type]  # no context is needed to find it
        assert verb is not None
        assert {"--plugin", "--only-plugins"} <= {option for p in verb.params for option in p.opts}, name
        assert isinstance(verb, click.Command)


def test_a_spec_over_a_file(run: Run) -> None:
    """A block in a file works wherever the file is named, and nowhere else; nothing of it stays behind."""
    file = ["--plugin", "own.py"]

    assert "ok: own, 4 layers" in run("check", "own.yaml", *file).out
    assert "own" in run("show", "own.yaml", *file).out
    assert '"block own"' in run("schema", *file).out
    assert 0 == run("init", "mine", "--like", "own.yaml", *file).code
    assert 0 == run("verify", "own.yaml", "--tokens", "8", "--limit", "1", *file).code
    assert 1 == run("check", "own.yaml").code
    assert '"block own"' not in run("schema").out


def test_a_checkpoint_over_a_file(run: Run) -> None:
    """Nothing in a checkpoint names code: without the file it says which kind it lacks."""
    Path("text").mkdir()
    Path("text/one.py").write_text(Path(__file__).read_text(encoding="utf-8") * 3, encoding="utf-8")
    Path("text/two.py").write_text(Path(os.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    quick = ["--set", "vocab_size=400", "--steps", "2", "--batch-size", "1", "--context", "16"]
    trained = run("train", "own.yaml", "--text", "text", "--out", "run", *quick, "--plugin", "own.py")
    words = ["generate", "run/checkpoint", "class", "--max-new-tokens", "3"]
    with_file, without = run(*words, "--plugin", "own.py"), run(*words)

    assert (0, 0, 1) == (trained.code, with_file.code, without.code)
    assert "no plugin offers a block of kind 'own' [E324]" in without.err


def test_the_environment_names_files_too() -> None:
    """COMPOSER_PLUGIN_FILES holds paths, separated as in PATH; one that is broken stops only who needs it."""
    paths = os.pathsep.join(str(Path(name).absolute()) for name in ("own.py", "nowhere.py"))
    listed = process("plugins", COMPOSER_PLUGIN_FILES=paths)
    checked = process("check", "pocket-mistral", COMPOSER_PLUGIN_FILES=paths)

    assert (1, 0) == (listed.code, checked.code)
    assert "local (" in listed.out
    assert "nowhere.py" in listed.err
