"""Local files: plugins that are named by a path, and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import composer
from composer import plugins

from .installing import FILE, GOOD, SPEC, Site, site_in


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_in(tmp_path, monkeypatch) as made:
        yield made


def write(folder: Path, text: str = FILE, name: str = "mine.py") -> Path:
    """A file of that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", [FILE, GOOD], ids=["classes", "hook"])
def test_a_file_is_a_plugin(site: Site, text: str) -> None:
    """Its classes are offered, with a hook and without, and shown as local."""
    file = write(site.folder, text)
    found = composer.catalog(files=[file])
    offer = found.offers["echo"]

    assert ((), ("local", f"local ({file})", str(file))) == (
        found.problems,
        (offer.origin, offer.where, offer.plugin),
    )
    assert ["installed", "local"] == sorted({plugin.origin for plugin in found.plugins})
    assert "echo" not in composer.catalog()


def test_only_what_the_file_defines(site: Site) -> None:
    """Classes that it imports are another's; a base without a kind is none to offer."""
    text = FILE + "class Base(composer.Block):\n    pass\nclass Loud(Echo):\n    kind = 'loud'\n"
    other = write(site.folder, FILE.replace("echo", "other").replace("Echo", "Other"), "somewhere.py")
    file = write(site.folder, f"from {other.stem} import Other\n{text}")

    assert {"echo", "loud"} == set(composer.catalog(files=[file], only="").offers)


def test_by_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """COMPOSER_PLUGIN_FILES holds paths as PATH does; what the process says adds to it."""
    one, two = write(site.folder), write(site.folder, FILE.replace('"echo"', '"two"'), "two.py")
    monkeypatch.setenv(plugins.FILES, f"{one}{os.pathsep}")

    assert composer.resolve(composer.read_spec(SPEC)).parameter_count
    with plugins.using(files=[two]):
        assert {"echo", "two"} <= set(composer.catalog().offers)
    assert "two" not in composer.catalog()


def test_a_file_named_twice_is_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its path is written."""
    file = write(site.folder)
    monkeypatch.chdir(site.folder)

    assert () == composer.catalog(files=[file, "mine.py", "./mine.py"]).problems


def test_a_changed_file_is_read_again(site: Site) -> None:
    """So that a notebook need not be restarted."""
    file = write(site.folder)
    assert "echo" in composer.catalog(files=[file])
    write(site.folder, FILE.replace('"echo"', '"shout"'))

    assert {"shout"} == set(composer.catalog(files=[file], only="").offers)


def test_two_files_of_one_name(site: Site) -> None:
    """Modules of local files do not meet, and no import statement finds them by the file's name."""
    (site.folder / "other").mkdir()
    files = [write(site.folder), write(site.folder / "other", FILE.replace('"echo"', '"other"'))]

    assert {"echo", "other"} == set(composer.catalog(files=files, only="").offers)
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [("x = 1", "E402", "it implements no hook of this host"),
     ("1 / 0", "E401", "its import failed: ZeroDivisionError: division by zero"),
     ("def", "E401", "its import failed: SyntaxError: invalid syntax")],
)  # fmt: skip
def test_a_file_that_is_no_plugin(site: Site, text: str, code: str, message: str) -> None:
    """It is named by its path."""
    file = write(site.folder, text)
    (problem,) = composer.catalog(files=[file]).problems

    assert (code, str(file)) == (problem.code, problem.path)
    assert problem.message.startswith(f"local plugin {file}: {message}")


def test_what_is_no_python_file(site: Site) -> None:
    """A folder, or a file with another ending."""
    folder = site.folder / "folder.py"
    folder.mkdir()
    for path in (folder, write(site.folder, "{}", "data.json")):
        (problem,) = composer.catalog(files=[path]).problems
        assert "E401" == problem.code


def test_a_local_file_wants_another_interface(site: Site) -> None:
    """Versions are checked as those of an installed plugin; the file is what is to be changed."""
    file = write(site.folder, FILE.replace('kind = "echo"', 'kind = "echo"; api = "2.0"'))
    (problem,) = composer.catalog(files=[file]).problems

    assert ("E405", f"install a newer arch-composer, or an older {file}") == (problem.code, problem.hint)


def test_one_file_in_two_catalogs(site: Site) -> None:
    """Its classes are the same, so that plans can be compared."""
    file = write(site.folder)
    kinds = {composer.catalog(files=[file], only=only)["echo"] for only in ("", "mlp", None)}

    assert 1 == len(kinds)


def test_a_file_that_is_saved_twice_in_a_second(site: Site) -> None:
    """Compiled files are not asked: they take two states of one size for the same."""
    file = write(site.folder, FILE.replace('"echo"', '"one_"'))
    assert ["one_"] == list(composer.catalog(files=[file], only="").offers)
    before = file.stat()
    write(site.folder, FILE.replace('"echo"', '"two_"'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns // 10**9 * 10**9 + 999))

    assert ["two_"] == list(composer.catalog(files=[file], only="").offers)
    assert not (site.folder / "__pycache__").exists()
