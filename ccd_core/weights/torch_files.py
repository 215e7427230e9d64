"""Tensors of files that torch wrote, read without torch's loaders: nothing in a file is run.

| file | written by | layout |
|---|---|---|
| zip archive | `torch.save` since 1.6 | `data.pkl` describes the tensors; a storage is a record `data/KEY` |
| TorchScript archive | `torch.jit.save` (OpenAI's CLIP) | the same, and code |
| old file | `torch.save` before 1.6 | pickles one after another, then the storages |

`torch.jit.load` runs the code of an archive and is not used. Of that code only the names of parameters and
buffers are read, as text. Names of nested dictionaries and of modules are
joined with dots: `{"state_dict": {"conv.weight": ...}}` gives `state_dict.conv.weight`.
"""

from __future__ import annotations

import itertools
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from ccd_core.errors import first_line
from ccd_core.weights.pickles import BadPickle, StoredTensor, Unknown, read_pickle

ZIP = b"PK\x03\x04"
OLD_MAGIC = 0x1950A86A20F9469CFC6C
OLD_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of OLD_MAGIC
MAX_PICKLE = 64 * 2**20  # bytes; that of a large training checkpoint has a few hundred thousand
MAX_CODE = 16 * 2**20  # bytes of a TorchScript archive's code
MAX_DEPTH = 64  # modules within modules
MAX_NAMES = 50_000
MAX_NAME = 1000  # letters
MAX_GROWTH = 8  # tensors may share numbers, but no good file describes many times what it holds

# What Python's zipfile raises for an archive that is none.
BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError)

KINDS: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in KINDS.values()} | {
    name: getattr(torch, name)
    for name in ("float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64")
    if hasattr(torch, name)
}


UNSAFE = "is not a checkpoint that can be read safely (safetensors, or tensors that torch saved)"


class BadFile(ValueError):
    """Why a file cannot be read: the end of a sentence that begins with its path."""


def read_torch_file(path: Path) -> dict[str, Tensor]:
    """All named tensors of a file that torch wrote. They share its pages until somebody writes to them.

    Raises BadFile where the file is cut off, damaged, or holds no named tensors.
    """
    with open(path, "rb") as file:
        is_zip = file.read(4) == ZIP
        file.seek(0)
        try:
            content, places = _read_zip(file) if is_zip else _read_old(file)
            stored = dict(_named(content))
        except BadPickle as error:
            raise BadFile(f"is cut off or damaged ({error}); download it again") from None
        except BROKEN as error:
            raise BadFile(f"is damaged ({first_line(error)}); download it again") from None
    if not stored:
        raise BadFile(f"{UNSAFE}: it holds no tensors by name but {_described(content)}")
    size = path.stat().st_size
    described = sum(_bytes(tensor) for tensor in stored.values())
    if described > MAX_GROWTH * size + 2**20:
        raise BadFile(
            f"is damaged: it describes {described / 2**20:,.0f} MB of weights and has {size / 2**20:,.1f} MB"
        )
    pages = torch.from_numpy(np.memmap(path, np.uint8, mode="c"))
    return {name: _tensor(tensor, pages, places) for name, tensor in stored.items()}


def _read_zip(file: IO[bytes]) -> tuple[Any, Mapping[str, slice]]:
    """What `data.pkl` describes, and where in the file each storage lies."""
    try:
        archive = zipfile.ZipFile(file)
    except (*BROKEN, ValueError):
        raise BadFile("is cut off: a zip archive without its end; download it again") from None
    records = {record.filename: record for record in archive.infolist()}
    heads = [name for name in records if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(heads) != 1:
        raise BadFile(_other_archive(list(records)))
    folder = heads[0].removesuffix("/data.pkl")
    if f"{folder}/byteorder" in records and _record(archive, records[f"{folder}/byteorder"]) != b"little":
        raise BadFile("was written on a big-endian machine; save it again on a common one")
    places = {
        name.removeprefix(f"{folder}/data/"): _place(file, record)
        for name, record in records.items()
        if name.startswith(f"{folder}/data/")
    }
    with _opened(archive, records[heads[0]]) as pickled:
        content = read_pickle(pickled)
    if f"{folder}/constants.pkl" in records:
        _keep_declared(content, _declared(archive, f"{folder}/code/"))
    return content, places


def _other_archive(names: list[str]) -> str:
    if names and all(name.endswith(".npy") for name in names):
        return "is a file of numpy arrays (.npz); save the weights as safetensors or with torch.save"
    if any(name.endswith(("model.json", "/models/model.json", "archive_format")) for name in names):
        return "is a program that torch exported, without a state dict; save the weights with torch.save"
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"is a zip archive of other files ({shown}); unpack it and give the file of weights inside"


def _opened(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> IO[bytes]:
    _refuse_compressed(record)
    if record.file_size > MAX_PICKLE:
        raise BadFile(f"is damaged: its description of the tensors has {record.file_size / 2**20:,.0f} MB")
    return archive.open(record)


def _record(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> bytes:
    with _opened(archive, record) as file:
        return file.read(MAX_PICKLE)


def _refuse_compressed(record: zipfile.ZipInfo) -> None:
    if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 1:
        raise BadFile(
            f"is compressed: {record.filename} of {record.compress_size / 2**20:,.1f} MB unpacks to "
            f"{record.file_size / 2**20:,.1f} MB. torch stores weights as they are; write it with torch.save"
        )


def _place(file: IO[bytes], record: zipfile.ZipInfo) -> slice:
    """Where the bytes of a record lie in the file."""
    _refuse_compressed(record)
    file.seek(record.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != ZIP:
        raise BadFile("is damaged: a record is not where the archive says; download it again")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    begin = record.header_offset + 30 + name_length + extra_length
    if record.CRC and _checksum(file, begin, record.file_size) != record.CRC:
        raise BadFile(f"is damaged: the checksum of {record.filename} is not its own; download it again")
    return slice(begin, begin + record.file_size)


def _checksum(file: IO[bytes], begin: int, size: int) -> int:
    """CRC-32 of a part of the file; a gigabyte takes about a second."""
    file.seek(begin)
    value = 0
    while size > 0 and (part := file.read(min(size, 1 << 20))):
        value = zlib.crc32(part, value)
        size -= len(part)
    return value


def _declared(archive: zipfile.ZipFile, folder: str) -> dict[str, set[str]]:
    """Class of a TorchScript archive -> its parameters and buffers, which the text of its code lists."""
    records = [
        record
        for record in archive.infolist()
        if record.filename.startswith(folder) and record.filename.endswith(".py")
    ]
    if sum(record.file_size for record in records) > MAX_CODE:
        raise BadFile("is damaged: a TorchScript archive with more code than any network has")
    found: dict[str, set[str]] = {}
    for record in records:
        text = archive.read(record).decode(errors="replace")
        module = record.filename.removeprefix(folder).removesuffix(".py").replace("/", ".")
        for name, lists in re.findall(r"^class (\w+)\(Module\):\n((?:  __\w+__ = \[.*\]\n)+)", text, re.M):
            declared = re.findall(r"^  __(?:parameters|buffers)__ = \[(.*)\]$", lists, re.M)
            found[f"{module}.{name}"] = set(re.findall(r'"([^"]*)"', " ".join(declared)))
    return found


def _keep_declared(content: Any, declared: Mapping[str, set[str]]) -> None:
    """Take away the tensors of TorchScript's objects that are neither parameter nor buffer."""
    waiting = [content]
    seen = set()
    while waiting:
        made = waiting.pop()
        if not isinstance(made, Unknown) or id(made) in seen:
            continue
        seen.add(id(made))
        names = declared.get(made.name)
        for name, value in list(made.attributes.items()):
            if names is not None and isinstance(value, StoredTensor) and name not in names:
                del made.attributes[name]
            waiting.append(value)


def _read_old(file: IO[bytes]) -> tuple[Any, Mapping[str, slice]]:
    """What the pickle of a file from before torch 1.6 describes, and where in the file each storage lies."""
    if read_pickle(file) != OLD_MAGIC:
        raise BadFile(f"{UNSAFE}: it is a pickle that torch did not write")
    read_pickle(file)  # the version of this layout
    machine = read_pickle(file)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise BadFile("was written on a big-endian machine; save it again on a common one")
    content = read_pickle(file)
    keys = read_pickle(file)
    kinds = {tensor.storage.key: tensor.storage.kind for tensor in _all_stored(content)}
    places: dict[str, slice] = {}
    if not isinstance(keys, list):
        raise BadPickle("its list of storages is none")
    for key in map(str, keys):
        length = file.read(8)
        if len(length) < 8 or key not in kinds:
            raise BadPickle("a storage is missing")
        begin = file.tell()
        size = struct.unpack("<q", length)[0] * _kind(kinds[key]).itemsize
        if not 0 <= size < 2**62:
            raise BadPickle("a storage has an impossible length")
        places[key] = slice(begin, begin + size)
        file.seek(begin + size)
    return content, places


def _all_stored(content: Any) -> Iterator[StoredTensor]:
    """Every tensor that is described anywhere, named or not."""
    waiting = [content]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, StoredTensor):
            yield value
        elif isinstance(value, (dict, list, tuple, Unknown)) and id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, dict):
                waiting += value.values()
            elif isinstance(value, Unknown):
                waiting += [*value.attributes.values(), *value.entries.values(), *value.arguments]
            else:
                waiting += value


def _named(
    content: Any, prefix: str = "", depth: int = 0, steps: Iterator[int] | None = None
) -> Iterator[tuple[str, StoredTensor]]:
    """(name, tensor) of dictionaries in dictionaries and of modules in modules. What is in a list has none.

    A part may lie at many places, so a small file can describe more names than anybody can count. `steps`
    counts them over all depths.
    """
    steps = itertools.count() if steps is None else steps
    for name, value in _parts(content):
        if next(steps) > MAX_NAMES or depth > MAX_DEPTH or len(prefix) + len(name) > MAX_NAME:
            raise BadPickle("it has more parts than any network")
        if isinstance(value, StoredTensor):
            yield prefix + name, value
        elif isinstance(value, (dict, Unknown)):
            yield from _named(value, f"{prefix}{name}.", depth + 1, steps)


def _parts(content: Any) -> Iterator[tuple[str, Any]]:
    """The named entries of a dictionary, or of a module: its parameters, buffers and modules."""
    groups: list[Any] = [content]
    skipped: Any = ()
    if isinstance(content, Unknown):
        attributes = content.attributes
        groups = [content.entries]
        if content.name.startswith("__torch__"):
            groups = [attributes]
        elif "_parameters" in attributes and "_modules" in attributes:  # torch.save(network)
            groups = [attributes[key] for key in ("_parameters", "_buffers", "_modules") if key in attributes]
            skipped = attributes.get("_non_persistent_buffers_set", ())
    for group in groups:
        if isinstance(group, dict):
            for name, value in group.items():
                if isinstance(name, str) and name not in skipped:
                    yield name, value


def _described(content: Any) -> str:
    """What a file without named tensors holds, in a few words."""
    if isinstance(content, StoredTensor):
        return "one tensor without a name"
    if isinstance(content, (list, tuple)):
        return f"a list of {len(content)}, not tensors by name"
    if isinstance(content, Unknown):
        return f"an object of class {content.name[:80]}"
    if not isinstance(content, dict):
        return "one value"
    if "state_dict" in content and not content["state_dict"]:
        return "a checkpoint whose state_dict is empty"
    words = ", ".join(name[:40] for name in content if isinstance(name, str)) or "numbers, not names"
    return f"a dictionary with the keys {words[:120]}" if content else "an empty dictionary"


def _kind(name: str) -> torch.dtype:
    if name not in KINDS:
        raise BadFile(
            f"holds numbers of a kind that cannot be used ({name[:40]}); save the weights as float32"
        )
    return KINDS[name]


def _bytes(stored: StoredTensor) -> int:
    return math.prod(stored.shape) * _dtype(stored).itemsize


def _dtype(stored: StoredTensor) -> torch.dtype:
    if stored.dtype is None:
        return _kind(stored.storage.kind)
    if stored.dtype not in DTYPES:
        raise BadFile(
            f"holds numbers of a kind that cannot be used ({stored.dtype[:40]}); save it as float32"
        )
    return DTYPES[stored.dtype]


def _tensor(stored: StoredTensor, pages: Tensor, places: Mapping[str, slice]) -> Tensor:
    """The tensor that `stored` describes, after its place was compared with what the file holds."""
    storage, offset, shape, stride, _ = stored
    dtype = _dtype(stored)
    place = places.get(storage.key)
    size = storage.length * _kind(storage.kind).itemsize
    if place is None or place.stop > len(pages) or not 0 <= size <= place.stop - place.start:
        raise BadFile("is cut off: the numbers of a tensor are missing; download it again")
    if len(shape) != len(stride) or min((offset, *shape, *stride)) < 0:
        raise BadFile("is damaged: a tensor has an impossible shape")
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if (last + 1) * dtype.itemsize > size:
        raise BadFile("is damaged: a tensor reaches beyond its numbers")
    raw = pages[place.start : place.start + size // dtype.itemsize * dtype.itemsize]
    if place.start % dtype.itemsize:
        raw = raw.clone()  # numbers at odd addresses are slow, or refused, on some processors
    numbers = raw.view(dtype)
    return numbers.as_strided(shape, stride, numbers.storage_offset() + offset)
