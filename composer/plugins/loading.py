"""One plugin, loaded: imported, its hooks checked and called, its blocks and folders looked at."""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import pluggy

from ..block import Block
from ..errors import PluginError, Problem
from .checks import check_block_class, check_host
from .holding import held, quiet_processes
from .hooks import HOOKS, Hooks
from .placing import place_in
from .problems import first_line, refused
from .sources import Source
from .timing import IMPORT, allowed

HINT = f"the hooks are {' and '.join(f'`{name}()`' for name in HOOKS)}, without arguments"


@dataclass
class Loaded:
    """What came of a plugin: its blocks and folders, or why it cannot be used; `seconds` it took."""

    source: Source
    blocks: list[type[Block]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0


def load(source: Source) -> Loaded:
    """A plugin, with its problems in place of an error."""
    found, began = Loaded(source), perf_counter()
    try:
        check_host(source)
        fill(found)
    except PluginError as error:
        found = Loaded(source, problems=placed(source, error))
    found.seconds = perf_counter() - began
    return found


def placed(source: Source, error: PluginError) -> tuple[Problem, ...]:
    """The problems of a plugin, those of a local file with their place in it."""
    cause = error.__cause__
    if source.origin != "local" or cause is None:
        return error.problems
    place = place_in(Path(source.name), cause)
    return tuple(replace(problem, place=problem.place or place) for problem in error.problems)


def fill(found: Loaded) -> None:
    """Import a plugin and take what it offers.  Raises PluginError that names it."""
    source = found.source
    with quiet_processes(), held_for(source, "its import", "E401"):
        module = source.load()
    hooks = registered(source, module)
    if "composer_blocks" in hooks:
        found.blocks = called(source, hooks["composer_blocks"], "composer_blocks", "classes")
    if "composer_data" in hooks:
        found.folders = called(source, hooks["composer_data"], "composer_data", "paths of folders")
    with held_for(source, "a look at what it offers", "E403"):
        if not hooks and source.origin == "local":
            found.blocks = defined_in(module)
        check(found, bool(hooks))


def check(found: Loaded, hooks: bool) -> None:
    """Refuse a plugin that offers nothing, or something that is none."""
    source = found.source
    if not hooks and not found.blocks:
        hint = f"{HINT}; is it decorated with @composer.hookimpl?"
        raise refused(source, "E402", "it implements no hook of this host", hint)
    if not found.blocks and not found.folders:
        said = "composer_blocks() returns a list of classes, composer_data() one of folders"
        raise refused(source, "E403", "it offers no block and no data", said)
    for block in found.blocks:
        check_block_class(source, block)
    for folder in found.folders:
        check_folder(source, folder)


def held_for(source: Source, doing: str, code: str) -> AbstractContextManager[None]:
    """Hold what this plugin does while it is loaded."""
    return held(source.called, doing, allowed(IMPORT), code, "", source.name, passes=(PluginError,))


def registered(source: Source, module: Any) -> dict[str, Any]:
    """The hooks that a plugin implements, by name."""
    manager = pluggy.PluginManager("composer")
    manager.add_hookspecs(Hooks)
    with held_for(source, "the look for its hooks", "E401"):
        try:
            manager.register(module)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            said = f"it does not fit the hooks of this host: {first_line(error)}"
            raise refused(source, "E402", said, HINT) from error
    return {name: caller for name in HOOKS if (caller := getattr(manager.hook, name)).get_hookimpls()}


def called(source: Source, hook: Any, name: str, items: str) -> list[Any]:
    """What one hook of a plugin returns: a list."""
    with quiet_processes(), held_for(source, f"{name}()", "E401"):
        answers = hook()  # no answer where it is None
        listed = [each for each in answers if isinstance(each, list | tuple)]
        if not answers or len(listed) < len(answers):
            what = "nothing" if not answers else repr(answers[0])[:200]
            raise refused(source, "E403", f"{name}() returns {what}", f"return a list of {items}")
    return [item for each in listed for item in each]


def defined_in(module: Any) -> list[type[Block]]:
    """The blocks of a file without hooks: the classes that it defines, apart from bases that have no kind."""
    classes = [each for each in vars(module).values() if inspect.isclass(each) and issubclass(each, Block)]
    return [each for each in classes if each.__module__ == module.__name__ and hasattr(each, "kind")]


def check_folder(source: Source, folder: Any) -> None:
    """Refuse what is no folder of specs or families."""
    if not isinstance(folder, Path) or not folder.is_absolute():
        hint = "return absolute paths, as in Path(__file__).parent / 'data'"
        raise refused(source, "E403", f"composer_data() returns a list with {folder!r}", hint)
    if not any((folder / name).is_dir() for name in ("specs", "families")):
        hint = "give a folder that holds a folder `specs` or `families`, and ship both in the package"
        raise refused(source, "E403", f"it offers data in {folder}, where there are none", hint)
