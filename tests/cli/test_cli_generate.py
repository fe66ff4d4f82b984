"""`generate` and `train`."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers

import composer
from composer.cli.generate import sampled
from composer.cli.train import verb
from composer.generate import GenerationOptions

from .conftest import ROOT, TINY, Run

PROMPT = "w5 w7"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights and a vocabulary of 64 words."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    plan = composer.resolve(
        composer.read_spec(TINY.replace("pattern: full, swa×3", "pattern: swa"), set=["layers=2"])
    )
    model = composer.build(plan, seed=0)
    composer.save(model, folder, layout="composer")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"w{n}": n for n in range(64)}, unk_token="w0"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    return folder


def expected(folder: Path, prompt: str = PROMPT, **options: Any) -> str:
    """What the Python face gives."""
    pieces = composer.load(folder).stream(composer.load_tokenizer(folder), prompt, **options)
    return "".join(pieces)


def test_streams_what_python_streams(run: Run, checkpoint: Path) -> None:
    """The new text on stdout, the prompt and the speed on stderr."""
    done = run("generate", str(checkpoint), PROMPT, "--max-new-tokens", "6")
    prompt, figures = done.err.splitlines()

    assert (0, expected(checkpoint, max_new_tokens=6) + "\n") == (done.code, done.out)
    assert (PROMPT, "6 tokens, the first after ") == (prompt, figures[:26])


def test_prepared(run: Run, checkpoint: Path) -> None:
    """Packed weights give the same text."""
    done = run("generate", str(checkpoint), PROMPT, "--max-new-tokens", "6", "--quiet", "--prepare")

    assert (0, expected(checkpoint, max_new_tokens=6) + "\n") == (done.code, done.out)


def test_several_prompts_and_quiet(run: Run, checkpoint: Path) -> None:
    """Each prompt on its own; --quiet leaves nothing but the text."""
    done = run("generate", str(checkpoint), "w1", "w2 w3", "--max-new-tokens", "3", "--quiet")

    assert [expected(checkpoint, p, max_new_tokens=3) for p in ("w1", "w2 w3")] == done.out.splitlines()
    assert "" == done.err


def test_prompt_from_stdin(run: Run, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a prompt, or where it is -, the text comes through the pipe."""
    for words in ((), ("-",)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(PROMPT))
        done = run("generate", str(checkpoint), *words, "--max-new-tokens", "4", "--quiet")

        assert expected(checkpoint, max_new_tokens=4) + "\n" == done.out


def test_json(run: Run, checkpoint: Path) -> None:
    """One object a prompt with its text and its figures; nothing else anywhere."""
    done = run("generate", str(checkpoint), PROMPT, "w9", "--max-new-tokens", "5", "--json")
    first, second = json.loads(done.out)

    assert "" == done.err
    assert [PROMPT, "w9"] == [first["prompt"], second["prompt"]]
    assert expected(checkpoint, max_new_tokens=5) == first["text"]
    assert (5, True) == (first["tokens"], first["tokens_per_second"] > 0)


def test_seeds(run: Run, checkpoint: Path) -> None:
    """A seed means sampling, and the same seed the same text."""
    words = ("generate", str(checkpoint), PROMPT, "--max-new-tokens", "12", "--quiet", "--temperature", "3")
    one, again, other = (run(*words, "--seed", seed).out for seed in ("1", "1", "2"))
    wanted = expected(checkpoint, max_new_tokens=12, do_sample=True, temperature=3.0, seed=1)

    assert (wanted + "\n", True) == (one, one == again != other)


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ({}, {}),
        ({"max_new_tokens": 3}, {"max_new_tokens": 3}),
        ({"top_p": 0.5}, {"do_sample": True, "top_p": 0.5}),
        ({"seed": 0}, {"do_sample": True, "seed": 0}),
        ({"temperature": 0.0}, {"do_sample": False}),
        ({"temperature": 0.0, "top_k": 3}, {"do_sample": False, "top_k": 3}),
        ({"top_k": 3, "do_sample": False}, {"do_sample": False, "top_k": 3}),
        ({"temperature": 0.0, "do_sample": True}, {"do_sample": True, "temperature": 0.0}),
    ],
)
def test_who_wants_to_sample(given: dict[str, Any], result: dict[str, Any]) -> None:
    """An option of sampling asks for it, temperature 0 asks for the most likely token, what is said wins."""
    assert result == sampled(given)


def test_warnings_are_a_line(run: Run, checkpoint: Path) -> None:
    """An option that does nothing is told as talk."""
    words = ("--top-k", "3", "--no-do-sample", "--max-new-tokens", "1")
    done = run("generate", str(checkpoint), PROMPT, *words)

    assert (0, "warning: top_k has no effect without do_sample=True") == (done.code, done.err.splitlines()[0])


def test_every_option_of_generation(run: Run) -> None:
    """The command line has all options of generation under their names."""
    shown = run("generate", "--help").out

    assert [] == [
        name for name in GenerationOptions.model_fields if f"--{name.replace('_', '-')} " not in shown + " "
    ]


def test_a_reader_that_goes_away(checkpoint: Path) -> None:
    """`generate … | head` ends with the reader."""
    command = [
        sys.executable,
        "-m",
        "composer",
        "generate",
        str(checkpoint),
        PROMPT,
        "--max-new-tokens",
        "5000",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as child:
        for stream in (child.stdout, child.stderr):
            assert stream is not None
        child.stdout.read(8)  # type: ignore[union-attr]  # asserted
        child.stdout.close()  # type: ignore[union-attr]  # asserted
        err = child.stderr.read()  # type: ignore[union-attr]  # asserted

    assert (0, PROMPT + "\n") == (child.returncode, err.decode())


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of text and a spec, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(
            "a walk in the old town, and back again. " * 40, encoding="utf-8"
        )
    (tmp_path / "s.yaml").write_text(TINY.replace("vocab_size: 64", "vocab_size: 370"), encoding="utf-8")
    return folder


def test_examples_of_train_follow_each_other(run: Run, texts: Path) -> None:
    """Line after line as the help prints them, made small; what resumes needs nothing more."""
    texts.rename(texts.with_name("corpus"))
    Path("s.yaml").rename("my-model.yaml")
    small = ("--steps", "1", "--context", "32", "--set", "layers=1", "--set", "vocab_size=370")
    extra = {"pocket-mistral": small, "swa×3, full": small[:4]}
    lines = [shlex.split(example) for example in verb.examples]

    assert [0, 0, 0] == [run(*line, *(() if "--resume" in line else extra[line[1]])).code for line in lines]


TRAIN = ("train", "s.yaml", "--text", "texts", "--out", "run", "--batch-size", "2", "--context", "32",
         "--warmup-steps", "1", "--log-every", "1", "--set", "layers=4")  # fmt: skip


def test_train(run: Run, texts: Path) -> None:
    """A run ends with a checkpoint that `generate` takes; its path is the data, the rest is talk."""
    done = run(*TRAIN, "--steps", "2", "--save-every", "2", "--held-out-percent", "50")
    lines = [json.loads(line) for line in Path("run/loss.jsonl").read_text(encoding="utf-8").splitlines()]
    words = run("generate", done.out.strip(), "a walk", "--max-new-tokens", "3", "--quiet")

    assert (0, f"{Path('run/checkpoint')}\n") == (done.code, done.out)
    assert "2 steps, 128 tokens; held-out text takes " in done.err
    assert [1, 2] == [line["step"] for line in lines if "loss" in line]
    assert (0, 4) == (words.code, len(composer.read_spec("run/checkpoint/composer.yaml").blocks) + 1)


def test_train_json_and_resume(run: Run, texts: Path) -> None:
    """A run that is there is not begun again unasked; a finished one is resumed to the same report."""
    words = (*TRAIN, "--steps", "1", "--held-out-percent", "0", "--clip", "null", "--json")
    first, unasked, resumed = run(*words), run(*words), run(*words, "--resume")

    assert {"checkpoint": os.path.join("run", "checkpoint"), "steps": 1, "tokens": 64,
            "held_out_bits_per_byte": None} == json.loads(first.out)  # fmt: skip
    assert (2, "E958") == (unasked.code, json.loads(unasked.out)["problems"][0]["code"])
    assert (0, first.out) == (resumed.code, resumed.out)
    assert None is json.loads(Path("run/run.json").read_text(encoding="utf-8"))["clip"]
