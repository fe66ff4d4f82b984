"""The rooms of the house: which module may import which, and where torch begins."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# In import order: a room imports itself and rooms above it, never below.
ROOMS = [
    "errors",
    "source",
    "pattern",
    "block options",
    "plugins",
    "spec shipped origins assignments reading",
    "plan heads chain entries overrides selectors adapting sharing drawing layering resolving diagnosis",
    "layout",
    "describe",
    "nn",
    "store",
    "text",
    "generate",
    "train",
    "testing",
    "cli",
]
LEVEL = {module: level for level, room in enumerate(ROOMS) for module in room.split()}
TORCH_STARTS = LEVEL["nn"]

# What a plugin may import: the host's public doors. A stranger has no other either.
DOORS = {"composer", "composer.nn", "composer.testing"}

# `Model.generate` and `stream`, a cache's `save` and `load` are the public ways into later rooms, opened when called.
METHODS = {("nn/model.py", "composer.generate"), ("nn/cache.py", "composer.store")}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def modules_used(path: Path, package: str) -> Iterator[str]:
    """Absolute names of what a file imports, inside functions too; imports for type checkers do not count.

    `package` is the package that relative imports start from.
    """
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            room = source == "composer"  # `from composer import store` imports a room, not the door
            yield from (f"{source}.{n.name}" if room and n.name in LEVEL else source for n in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def package_of(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).parent.parts)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "composer").with_suffix("").parts[0]


INSIDE = [path for path in files("composer") if path.parent != ROOT / "composer" or path.stem in LEVEL]


def test_every_module_has_a_room() -> None:
    """A new file or folder of the host is placed in the import order before anything uses it."""
    doors = {"__init__", "__main__"}

    assert set() == {room_of(path) for path in files("composer")} - set(LEVEL) - doors


@pytest.mark.parametrize("path", INSIDE, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    """A room imports itself and earlier rooms; nobody inside goes through the front door."""
    used = [name for name in modules_used(path, package_of(path, ROOT)) if name.split(".")[0] == "composer"]
    later = {name for name in used if LEVEL.get((name + ".").split(".")[1], 99) > LEVEL[room_of(path)]}
    allowed = {name for file, name in METHODS if path == ROOT / "composer" / file}

    assert set() == later - allowed


@pytest.mark.parametrize(
    "path",
    [path for path in INSIDE if LEVEL[room_of(path)] < TORCH_STARTS],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_torch_begins_at_nn(path: Path) -> None:
    """No room before nn names torch, not even inside a function."""
    used = {name.split(".")[0] for name in modules_used(path, package_of(path, ROOT))}

    assert "torch" not in used


@pytest.mark.parametrize("path", files("plugins"), ids=lambda p: p.relative_to(ROOT / "plugins").as_posix())
def test_plugins_are_strangers(path: Path) -> None:
    """Our plugins use the public doors of the host and know neither each other nor private modules."""
    own = path.relative_to(ROOT / "plugins").parts[0]
    used = set(modules_used(path, package_of(path, ROOT / "plugins")))
    host = {name for name in used if name.split(".")[0] == "composer"}
    siblings = {name for name in used if name.startswith("composer_") and name.split(".")[0] != own}

    assert set() == host - DOORS
    assert set() == siblings


def test_nobody_imports_by_checkout_folder() -> None:
    """`plugins.` and `tests.` exist only in a checkout; no import may count on it."""
    every = [path for folder in ("composer", "plugins", "tests", "benchmarks") for path in files(folder)]
    relative = "here.here.here.here"  # relative imports stay in here, however many dots they have
    used = {name.split(".")[0] for path in every for name in modules_used(path, relative)}

    assert set() == used & {"plugins", "tests", "specs"}


def test_no_python_knows_a_model_family() -> None:
    """Families are data. (A published rope type is called after one, and so is the model that we ship.)"""
    family = re.compile(
        r"(?<!pocket-)mistral|mixtral|zamba|llama(?!3)|gemma|qwen|nemotron|jamba|deepseek|gpt", re.IGNORECASE
    )
    lines = {
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [*files("composer"), *files("plugins")]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if family.search(line)
    }

    assert set() == lines


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert "" == done.stderr
    return done.stdout


def test_describing_never_imports_torch() -> None:
    """Reading, resolving, counting and every room before nn leave torch, numpy and tokenizers unloaded."""
    rooms = [f"composer.{module}" for module, level in LEVEL.items() if level < TORCH_STARTS]
    code = f"""
import importlib, sys
import composer
for room in {rooms!r}: importlib.import_module(room)
plan = composer.resolve(composer.read_spec("mistral-7b-v0.1"))
print(plan.parameter_count, sorted({{"torch", "numpy", "tokenizers", "transformers"}} & set(sys.modules)))
"""

    assert "7241732096 []\n" == run_python(code)


def test_importing_the_command_line_imports_no_torch() -> None:
    """The command line loads what its verb needs, when it needs it."""
    code = "import sys, composer.cli; print('torch' in sys.modules)"

    assert "False\n" == run_python(code)


def test_no_module_hides_a_public_name() -> None:
    """Importing a module of ours sets its name on the package, which must not be that of something public."""
    modules = {path.stem for path in (ROOT / "composer").iterdir() if path.name != "__pycache__"}
    public = set(__import__("composer").__all__) - {"testing"}

    assert set() == modules & public
