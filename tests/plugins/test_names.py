"""What names code, and what does not: entry points and paths do; specs, checkpoints and families never."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import composer
from composer.errors import ComposerError
from composer.layout.family import Family, families
from composer.layout.importing import import_config
from composer.shipped import shipped_weights, specs_folder
from composer.source import read_document

from .. import prove

ROOT = Path(__file__).parents[2]
EVIL = [
    "evil_module",
    "evil_module.Evil",
    "evil_module:Evil",
    "!!python/name:evil_module.Evil",
    "__import__('evil_module')",
    "= __import__('evil_module')",
    "= evil_module.Evil",
    "{{ cycler.__init__.__globals__.os.system('touch evil') }}",
]
DOORS = ("composer", "composer.nn", "composer.testing")


@pytest.fixture(autouse=True)
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module that waits to be imported, and was not when the test ends."""
    (tmp_path / "evil_module.py").write_text("class Evil: pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    assert sys.modules.pop("evil_module", None) is None
    assert not (tmp_path / "evil").exists()


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The key path of every scalar."""
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from leaves(data[key], (*path, key))
    else:
        yield path


def spoiled(data: Any) -> Iterator[Any]:
    """The data with one scalar that looks like code: every other scalar in turn, and all with all when proving."""
    for number, path in enumerate([*leaves(data)][:: 1 if prove.FULL else 2]):
        for turn in range(len(EVIL) if prove.FULL else 1):
            yield changed(data, path, EVIL[(number + turn) % len(EVIL)])


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The data with another value at a key path."""
    if not path:
        return value
    copy: Any = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(data[path[0]], path[1:], value)
    return copy


def tried(work: Callable[[], Any]) -> None:
    """A mistake is told as one; nothing else comes out."""
    try:
        work()
    except ComposerError:
        return


def test_no_string_of_a_spec_is_imported() -> None:
    """Whatever stands where: kinds, names, options, patterns."""
    data = yaml.safe_load((specs_folder() / "pocket-zamba2.yaml").read_text(encoding="utf-8"))
    for each in spoiled(data):
        spec = yaml.safe_dump(each, sort_keys=False)
        tried(lambda spec=spec: composer.resolve(composer.read_spec(spec)))
    for text in EVIL:
        tried(lambda text=text: composer.read_spec(text))
        kind = f"blocks.{next(iter(data['blocks']))}.kind={text}"
        tried(lambda kind=kind: composer.resolve(composer.read_spec("pocket-zamba2", set=[kind])))


def test_no_string_of_a_configuration_is_imported() -> None:
    """Neither a field, nor what other libraries load classes by."""
    folder = shipped_weights("pocket-mistral")
    assert folder
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for each in spoiled({**config, "auto_map": {"AutoModel": "x"}, "custom_pipelines": "x"}):
        tried(lambda each=each: composer.resolve(import_config(each, "x")))


@pytest.mark.parametrize("text", EVIL[:3])
@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "generation_config.json", "tokenizer.json"]
)
def test_no_string_of_a_checkpoint_is_imported(tmp_path: Path, text: str, name: str) -> None:
    """Not when the folder is loaded, and no file of it that is code is run."""
    shipped = shipped_weights("pocket-mistral")
    assert shipped
    folder = Path(shutil.copytree(shipped, tmp_path / "model"))
    (folder / "modeling_evil.py").write_text("import evil_module\n", encoding="utf-8")
    file = folder / name
    data = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    added = {"auto_map": {"AutoModelForCausalLM": text}, "tokenizer_class": text, "architectures": [text]}
    file.write_text(json.dumps({**data, **added, "trust_remote_code": True}), encoding="utf-8")

    tried(lambda: composer.load(folder))
    tried(lambda: composer.load_tokenizer(folder))


def test_no_string_of_a_family_is_imported() -> None:
    """A plugin may ship families, and they are data too."""
    folder = specs_folder() / "families"
    data = yaml.safe_load((folder / "gpt2.yaml").read_text(encoding="utf-8"))
    shared = {name: read_document(f"weights: {{}}\n# {name}\n", name) for name in ("config-keys", "heads")}
    config = {"model_type": "gpt2", **families()["gpt2"].file.defaults}
    for each in spoiled(data):
        written = yaml.safe_dump(each, sort_keys=False)
        tried(lambda written=written: used(Family(read_document(written, "f.yaml"), shared), config))


def used(family: Family, config: dict[str, Any]) -> None:
    """Whether it fits is asked, which evaluates its condition, and its templates are there."""
    family.fits(config)
    assert family.weights
    assert family.spec


CALLS = re.compile(
    r"import_module|spec_from_file_location|__import__|exec|eval|exec_module|(importlib|PathFinder|util)\..*find_spec|run_path|run_module"
    r"|importlib\.util\..*|importlib\.import_module|pydoc\.locate|pickle\.loads?|torch\.load"
)
# Each with what it imports or runs, which no file decides.
KNOWN = {
    "composer/__init__.py": "names of the door",
    "composer/cli/scaffold/naming.py": "asks whether a name is free, and imports nothing",
    "composer/cli/verbs.py": "verbs of a closed list",
    "composer/generate/__init__.py": "names of the room",
    "composer/nn/kernels.py": "flash_attn",
    "composer/plugins/local.py": "a path that the user named",
    "composer/store/pickled.py": "weights, after a check that their pickle names nothing but tensors",
    "composer/testing/module.py": "options that were pickled a moment before",
    "composer/testing/verify_other.py": "transformers",
}


def test_nothing_else_imports_by_name() -> None:
    """Every place of the host that imports or runs what a string says is known, with the reason why it may."""
    found = set()
    for path in sorted((ROOT / "composer").rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(isinstance(node, ast.Call) and CALLS.fullmatch(ast.unparse(node.func)) for node in nodes):
            found.add(path.relative_to(ROOT).as_posix())

    assert set() == found - {*KNOWN}
    assert {"composer/plugins/local.py", "composer/nn/kernels.py"} <= found


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "plugins").rglob("*.py")),
    ids=lambda path: path.relative_to(ROOT / "plugins").as_posix(),
)
def test_first_party_plugins_use_public_names(path: Path) -> None:
    """Whatever they import from a door is promised to everybody: it stands in the door's `__all__`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module in DOORS:
            door = importlib.import_module(node.module)
            assert set() == {alias.name for alias in node.names} - {*door.__all__}
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in DOORS:
            assert node.attr in {*importlib.import_module(ast.unparse(node.value)).__all__, "nn", "testing"}


def test_private_attributes_of_the_host_are_not_used() -> None:
    """What begins with an underscore is the host's own, also on objects that it hands out."""
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        own |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert set() == {name for name in read - own if name.startswith("_") and not name.startswith("__")}
