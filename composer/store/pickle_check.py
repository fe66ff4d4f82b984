"""What is inside a file of torch.save, seen without opening it: nothing in it is called, allocated or unpacked."""

from __future__ import annotations

import io
import pickletools
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from ..errors import WeightsError, fail
from .files import contained, open_regular, reason

ZIP = b"PK\x03\x04"
OLD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files begin: since torch 1.6 with the mark of an archive, before that with a number in a pickle."""

MOST_PICKLE_BYTES = 8 << 20  # some hundred bytes describe a tensor
MOST_STEPS = 1_000_000  # some 30 describe a tensor
MOST_RECORDS = 200_000
_OLD_PICKLES = 5  # that number, a version, the system, the tensors, the keys of their storages
_CALLED = frozenset(
    {
        "collections.OrderedDict",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch.nn.parameter.Parameter",
        "torch.Size",
        "torch.storage.UntypedStorage",
    }
)
_KINDS = frozenset(
    {"bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16"}
    | {"float32", "float64", "float8_e5m2", "float8_e4m3fn"}
)
_STORAGES = frozenset(
    f"{kind}Storage"
    for kind in ("Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double")
)


def check_pickled(path: Path) -> bool:
    """Whether the file is an archive, which can be memory-mapped, and not of the form before torch 1.6.

    Raises `WeightsError`: E502 unreadable, E541 damaged or no file of torch.save, E542 a file that wants more
    than tensors.
    """
    with open(open_regular(path), "rb") as file:
        begin = file.read(len(OLD))
        file.seek(0)
        if begin.startswith(ZIP):
            _check_globals(_pickle_of(file, path), path)
            return True
        if begin != OLD:
            what = "is empty" if not begin else "is no file that torch.save wrote"
            fail(WeightsError, "E541", f"{path} {what}", hint="download it again")
        for _ in range(_OLD_PICKLES):
            _check_globals(file, path)
        return False


def _pickle_of(file: BinaryIO, path: Path) -> io.BytesIO:
    """The one pickle of an archive whose records are what torch writes: plain bytes in one folder."""
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
            _check_records(records, path)
            pickle = next(each for each in records if each.filename.endswith("/data.pkl"))
            return io.BytesIO(archive.read(pickle))
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, ValueError, RuntimeError) as error:
        _damaged(path, reason(error))


def _check_records(records: list[zipfile.ZipInfo], path: Path) -> None:
    names = [record.filename for record in records]
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1 or len(set(names)) < len(names) or len(names) > MOST_RECORDS:
        _damaged(path, "it is an archive without the one data.pkl that torch writes")
    folder = pickles[0].split("/")[0]
    for record in records:
        name = record.filename
        if not contained(name) or not name.startswith(f"{folder}/") or _is_link(record):
            _hostile(path, f"holds {name!r}, which leads out of the archive")
        if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
            _hostile(path, f"holds {name!r} compressed, which torch never does")
        if name == pickles[0] and record.file_size > MOST_PICKLE_BYTES:
            _hostile(
                path,
                f"describes its tensors in {record.file_size:,} bytes; {MOST_PICKLE_BYTES:,} are allowed",
            )


def _is_link(record: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(record.external_attr >> 16)


def _check_globals(pickle: BinaryIO, path: Path) -> None:
    """Refuse a pickle that names anything but the few functions that make tensors."""
    for name in _globals(pickle, path):
        module, _, last = name.rpartition(".")
        if name not in _CALLED and not (module == "torch" and last in (_KINDS | _STORAGES)):
            _hostile(path, f"wants to call {name} when it is opened; only tensors are read")


def _globals(pickle: BinaryIO, path: Path) -> Iterator[str]:
    try:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
            if step > MOST_STEPS:
                _hostile(path, f"describes its tensors in more than {MOST_STEPS:,} steps")
            if opcode.name in ("GLOBAL", "INST"):
                yield str(argument).replace(" ", ".")
            elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
                _hostile(path, f"uses {opcode.name}, which torch.save never writes")
    except (ValueError, OverflowError, MemoryError, UnicodeError) as error:
        _damaged(path, str(error))


def _damaged(path: Path, why: str) -> NoReturn:
    fail(WeightsError, "E541", f"{path} is damaged or cut off: {why}", hint="download it again")


def _hostile(path: Path, what: str) -> NoReturn:
    hint = "nothing of it was run; take safetensors, or ask where this file comes from"
    fail(WeightsError, "E542", f"{path} {what}", hint=hint)
