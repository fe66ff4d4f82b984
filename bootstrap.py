#!/usr/bin/env python3
"""From a fresh clone to a running Composer with nothing but Python 3.11 or newer and pip.

    python3 bootstrap.py demo     install, show a model as data, write some text
    python3 bootstrap.py test     install, run the tests (a seeded sample; further arguments go to pytest)
    python3 bootstrap.py prove    install, run the tests at their full counts

Everything goes into the folder .venv beside this file, or where COMPOSER_VENV points.
On a machine without an NVIDIA GPU the CPU build of torch is installed, never the CUDA one: from the
PyTorch CPU index, or the index that COMPOSER_TORCH_INDEX names, where that answers, else from whatever
pip is configured to offer.
Standard library only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, STDOUT

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("COMPOSER_VENV") or ROOT / ".venv").absolute()
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
LOG = VENV / "bootstrap.log"

TORCH_INDEX = os.environ.get("COMPOSER_TORCH_INDEX", "https://download.pytorch.org/whl/cpu")
TORCH = "torch==2.13.0"
# Only Linux needs the label: the default builds for macOS and Windows carry no CUDA.
TORCH_CPU = TORCH + "+cpu" if sys.platform == "linux" else TORCH
PROBE_SECONDS = 5


class Failure(Exception):
    """Something that the user has to know, in words; ends the run with exit code 1."""


def say(text: str) -> None:
    """Talk goes to stderr, so that stdout holds what the commands print."""
    print(text, file=sys.stderr, flush=True)


def has_nvidia_gpu() -> bool:
    """Whether the driver lists a GPU; a driver without one counts as none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    return listed.returncode == 0 and "GPU " in listed.stdout


def answers(index: str) -> bool:
    """Whether a package index lists torch within a few seconds."""
    if not index or index.startswith("file:"):
        return bool(index)
    try:
        trusted = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
        page = index.rstrip("/") + "/torch/"
        with urllib.request.urlopen(page, timeout=PROBE_SECONDS, context=trusted) as reply:
            return bool(reply.status == 200)
    except (OSError, ValueError):
        return False


def run_logged(command: list[str]) -> bool:
    """Run quietly: the last line on a terminal, every line in the log. True when it worked."""
    live = sys.stderr.isatty()
    width = shutil.get_terminal_size().columns - 4
    with (
        LOG.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command, cwd=ROOT, stdout=PIPE, stderr=STDOUT, text=True, errors="replace"
        ) as process,
    ):
        log.write("$ " + " ".join(command) + "\n")
        for line in process.stdout or ():
            log.write(line)
            if live and line.strip():
                print("\r\033[K  " + line.strip()[:width], end="", file=sys.stderr, flush=True)
    if live:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return process.returncode == 0


def pip(*arguments: str) -> bool:
    """pip inside the environment; the machine's own pip reaches in where the venv could not get one."""
    inside = any(BIN.glob("pip*"))
    command = [str(PYTHON), "-m", "pip"] if inside else [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    return run_logged([*command, "--disable-pip-version-check", *arguments])


def log_tail(lines: int = 15) -> str:
    """The end of the log, for an error message."""
    return "\n".join(LOG.read_text(encoding="utf-8").splitlines()[-lines:])


def make_environment() -> None:
    """Create the virtual environment, also on systems that ship Python without ensurepip."""
    if PYTHON.exists():
        return
    command = [sys.executable, "-m", "venv", str(VENV)]
    if importlib.util.find_spec("ensurepip") is None:
        command.append("--without-pip")
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise Failure(f"could not make {VENV}:\n{made.stdout}{made.stderr}")


def torch_inside() -> tuple[str, str] | None:
    """Version and CUDA version ("None" for a CPU build) of the environment's torch, or nothing."""
    question = "import torch; print(torch.__version__, torch.version.cuda or torch.version.hip)"
    command = [str(PYTHON), "-c", question]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=VENV)
    found = asked.stdout.split()
    return (found[0], found[1]) if asked.returncode == 0 and len(found) == 2 else None


def install_cpu_torch() -> None:
    """Install a build of torch without CUDA, or refuse before anything large is fetched."""
    if torch_inside() is None and not (torch_from_index() or pip("install", TORCH_CPU)):
        raise Failure(
            f"no CPU build of torch is on offer for Python {platform.python_version()} on "
            f"{platform.system()} {platform.machine()}.\n{log_tail(4)}\n"
            f"This machine has no NVIDIA GPU, and the default build of torch would fetch several GB of CUDA\n"
            f"packages, so nothing was fetched. What helps, any one of:\n"
            f"  - let this machine reach {TORCH_INDEX or 'the PyTorch CPU index'}\n"
            f"  - name a mirror of it:  COMPOSER_TORCH_INDEX=<address> python3 {' '.join(sys.argv)}\n"
            f"  - put a torch of your own into the environment:  {PYTHON} -m pip install <wheel>"
        )
    check_no_cuda()


def torch_from_index() -> bool:
    """Try the CPU index. Only torch itself: what it needs comes with the rest, from the usual place."""
    if not answers(TORCH_INDEX):
        say(f"{'':<12} {TORCH_INDEX or '(no index)'} does not answer; asking what pip is configured to offer")
        return False
    return pip("install", "--no-deps", "-i", TORCH_INDEX, TORCH_CPU)


def check_no_cuda() -> None:
    """Refuse an environment whose torch is broken or is a GPU build."""
    found = torch_inside()
    if found is None:
        # torch.whl alone cannot be imported before its own requirements are there.
        return
    version, gpu = found
    if gpu != "None":
        raise Failure(
            f"torch {version} in {VENV} is built for a GPU ({gpu}), and this machine has no NVIDIA GPU.\n"
            f"Remove that folder and run this again."
        )


def install(extra: str) -> None:
    """Install torch and then this checkout with `extra`, unless that was done for this very pyproject."""
    stamp = VENV / "bootstrap.stamp"
    wanted = fingerprint(extra)
    if stamp.exists() and stamp.read_text(encoding="utf-8") in (wanted, fingerprint("[test]")):
        say(f"environment  {VENV} is up to date")
        return
    step("environment", str(VENV), make_environment)
    LOG.write_text("", encoding="utf-8")
    gpu = has_nvidia_gpu()
    if not gpu:
        step("torch", "the CPU build, about 200 MB", install_cpu_torch)
    step("composer", "this checkout and what it needs", lambda: install_checkout(extra))
    if not gpu:
        check_no_cuda()
    found = torch_inside()
    if found is None:
        raise Failure(f"the torch in {VENV} cannot be imported; remove that folder and run this again")
    say(f"installed    torch {found[0]}, GPU support {found[1]}")
    stamp.write_text(wanted, encoding="utf-8")


def install_checkout(extra: str) -> None:
    """An editable install; a torch that is already there stays."""
    if not pip("install", "-e", "." + extra):
        raise Failure(f"pip could not install Composer; the end of {LOG}:\n{log_tail()}")


def step(name: str, about: str, action: Callable[[], None]) -> None:
    """Announce one step, do it, and say how long it took."""
    say(f"{name:<12} {about} ...")
    start = time.monotonic()
    action()
    say(f"{'':<12} done in {time.monotonic() - start:.0f} s")


def fingerprint(extra: str) -> str:
    """What an installation depends on: when this changes, pip runs again."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "bootstrap.py")]
    parts.append(f"{extra} {sys.version} {ROOT}".encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def show(*command: str) -> int:
    """Print a command as one would type it, run it, and return its exit code."""
    say(f"\n$ {shlex.join(command)}")
    return subprocess.run([str(BIN / command[0]), *command[1:]], check=False).returncode


def demo() -> int:
    """A published architecture as data, then text from the small model that comes with the package."""
    prompt = "def read_lines(path):"
    sampling = ("--max-new-tokens", "80", "--temperature", "0.6", "--seed", "2")
    return (
        show("arch-composer", "check", "mistral-7b-v0.1")
        or show("arch-composer", "show", "mistral-7b-v0.1")
        or show("arch-composer", "generate", "pocket-mistral", prompt, *sampling)
    )


def test(arguments: list[str], prove: bool) -> int:
    """The test suite: a seeded sample, or the full counts."""
    say("")
    command = [str(PYTHON), "-m", "pytest", "-q", *arguments]
    environment = {**os.environ, **({"COMPOSER_PROVE": "1"} if prove else {})}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def farewell() -> None:
    """How to go on by hand."""
    activate = f". {shlex.quote(str(BIN / 'activate'))}" if os.name != "nt" else str(BIN / "activate")
    sources = shlex.quote(str(ROOT / "composer"))
    say(
        f"\nActivate the environment with\n    {activate}\n"
        f"and try\n"
        f"    arch-composer show mistral-7b-v0.3 --set layers=8\n"
        f"    arch-composer generate pocket-mistral 'import os' --max-new-tokens 100 --temperature 0.8\n"
        f"    arch-composer train pocket-mistral --text {sources} --out first-run --steps 300"
    )


def main(arguments: list[str]) -> int:
    """Exit codes: 0 fine, 1 something failed, 2 wrong usage, 130 interrupted; pytest's own where it ran."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is the one that an older Python may meet
        say(f"Composer needs Python 3.11 or newer; this is {platform.python_version()}.")
        return 2
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb not in ("demo", "test", "prove") or (verb == "demo" and rest):
        say((__doc__ or "").strip())
        return 0 if verb in ("-h", "--help") else 2
    install("" if verb == "demo" else "[test]")
    code = demo() if verb == "demo" else test(rest, prove=verb == "prove")
    farewell()
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        say(f"\nerror: {failure}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("\ninterrupted; run the same command again to go on")
        sys.exit(130)
