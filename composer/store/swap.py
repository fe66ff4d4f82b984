"""A folder that changes all at once: a kill at any moment leaves the old one or the new one, never a mix."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no advisory locks; leftovers there stay until a person removes them
    fcntl = None  # type: ignore[assignment]  # the module is absent on this system

_SAVING = ".saving-"


@contextlib.contextmanager
def replaced(folder: Path, stale: Callable[[str], bool]) -> Iterator[Path]:
    """A new, empty folder to write into, that takes the place of `folder` when the block ends well.

    Files of an existing folder that are not `stale` (by name) and not written anew are carried over.  When
    the block raises, `folder` stays as it was and nothing is left behind.  Raises OSError.
    """
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}{_SAVING}", dir=target.parent))
    lock = None
    try:
        lock = _lock(fresh)
        os.chmod(fresh, target.stat().st_mode & 0o7777 if target.is_dir() else 0o777 & ~_umask())
        yield fresh
        if target.is_dir():
            _carry_over(target, fresh, stale)
        _sync_folder(fresh)
        _swap(fresh, target)
        with contextlib.suppress(
            OSError
        ):  # the new folder stands; an error now would say that the old one does
            _sync_folder(target.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_leftovers(target: Path) -> None:
    """Remove what killed saves of `target` left beside it; a save that is still running holds its lock."""
    if fcntl is None:
        return
    for left in target.parent.glob(f".{_escaped(target.name)}{_SAVING}*"):
        with contextlib.suppress(OSError):
            lock = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _lock(folder: Path) -> int | None:
    if fcntl is None:
        return None
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _carry_over(old: Path, new: Path, stale: Callable[[str], bool]) -> None:
    """Everything else that lives in the folder, without copying its bytes where links are possible."""
    for entry in os.scandir(old):
        goal = new / entry.name
        if os.path.lexists(goal) or stale(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.copytree(entry.path, goal, symlinks=True, copy_function=_link_or_copy)
        else:
            _link_or_copy(entry.path, goal)


def _link_or_copy(source: str, goal: str | Path) -> None:
    try:
        os.link(source, goal, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, goal, follow_symlinks=False)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut (systems that cannot open folders have no such call)."""
    with contextlib.suppress(PermissionError, IsADirectoryError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _swap(fresh: Path, target: Path) -> None:
    """Put `fresh` at `target`; what was there ends up at `fresh`."""
    if not os.path.lexists(target):
        os.rename(fresh, target)
    elif not _exchange(fresh, target):
        aside = fresh.with_name(fresh.name + "-old")
        os.rename(target, aside)
        os.rename(fresh, target)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system or its file system cannot."""
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        failed = library.renameat2(here, names[0], here, names[1], exchange)
    elif hasattr(library, "renamex_np"):
        failed = library.renamex_np(*names, 2)  # RENAME_SWAP
    else:
        return False
    if failed and (code := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(code, os.strerror(code), str(other))
    return not failed
