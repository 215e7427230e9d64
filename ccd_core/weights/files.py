"""Any file of weights: what it is, told by its content, and the tensors in it by name.

The name of a file says little: a `.ckpt` may be safetensors and a `.pt` a web page. So the first bytes
decide. What is no file of weights gets a sentence that says what it is instead.
"""

from __future__ import annotations

import json
import logging
import re
import struct
from pathlib import Path
from typing import Any

from torch import Tensor

from ccd_core.errors import UserError, first_line
from ccd_core.weights.torch_files import OLD_START, UNSAFE, ZIP, BadFile, read_torch_file

log = logging.getLogger("ccd")
HEAD = 512  # bytes that decide what a file is
MAX_HEADER = 100 * 2**20  # bytes; safetensors' own limit
MAX_INDEX = 50 * 2**20  # bytes of an index of shards
MAX_SHARDS = 1000
SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})(\.\w+)")
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".index.json")  # of files that people offer
FOREIGN = {  # first bytes -> what such a file is
    b"\x1f\x8b": "is compressed (gzip); unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd); unpack it first",
    b"BZh": "is compressed (bzip2); unpack it first",
    b"\xfd7zXZ": "is compressed (xz); unpack it first",
    b"7z\xbc\xaf": "is compressed (7z); unpack it first",
    b"Rar!": "is compressed (rar); unpack it first",
    b"\x93NUMPY": "is a numpy array (.npy), without names of weights; use safetensors or torch.save",
    b"\x89HDF": "is an HDF5 file, as Keras writes; only weights of PyTorch can be used",
    b"GGUF": "is a GGUF file of a quantised language model; only weights of PyTorch can be used",
    b"\x89PNG": "is a picture (PNG), not weights",
    b"\xff\xd8\xff": "is a picture (JPEG), not weights",
    b"%PDF": "is a PDF, not weights",
}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU; nothing in the file is run.

    path: safetensors, what `torch.save` or `torch.jit.save` wrote, or the `.index.json` of a sharded file.
    Names of nested dictionaries are joined with dots ("state_dict.conv.weight"); `weights.fitting` takes such
    wrappings off. Raises UserError, one sentence, where there is no such file or it cannot be read.
    """
    try:
        return _read(path)
    except BadFile as error:
        raise UserError(f"{path} {error}.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or first_line(error)}.") from None


def _read(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        raise BadFile(_folder(path))
    if not path.is_file():
        raise UserError(f"There is no file of weights {path}.")
    with open(path, "rb") as file:
        head = file.read(HEAD)
    shard = SHARD.fullmatch(path.name)
    if path.name.endswith(".json"):
        return _read_shards(path)
    if _is_safetensors(head):
        _refuse_one_shard(path, shard)
        return _read_safetensors(path, head)
    if head.startswith((ZIP, OLD_START, b"\x80")):
        _refuse_one_shard(path, shard)
        return _read_torch(path)
    raise BadFile(_no_weights(head))


def _read_torch(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        log.info("%s is a file of torch in spite of its name, and is read as one", path)
    return read_torch_file(path)


def _is_safetensors(head: bytes) -> bool:
    """Such a file begins with the length of its JSON header, then the header."""
    return len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= MAX_HEADER


def _read_safetensors(path: Path, head: bytes) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        log.info("%s is a safetensors file in spite of its name, and is read as one", path)
    try:
        return load_file(path)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        expected = _safetensors_size(path, struct.unpack("<Q", head[:8])[0])
        size = path.stat().st_size
        if expected > size:
            raise BadFile(
                f"is cut off: {size:,} of {expected:,} bytes are there; download it again"
            ) from None
        raise BadFile(f"is a damaged safetensors file ({first_line(error)}); download it again") from None


def _safetensors_size(path: Path, header_length: int) -> int:
    """How many bytes the file should have by its header; 0 where the header says nothing."""
    if path.stat().st_size < 8 + header_length:
        return 8 + header_length
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(8 + header_length)[8:])
        return (
            8
            + header_length
            + max(
                (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"),
                default=0,
            )
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return 0


def _refuse_one_shard(path: Path, shard: re.Match[str] | None) -> None:
    """Raises BadFile where the name says that the file is one of the shards of a larger one."""
    if shard and int(shard[2]) > 1:
        index = path.with_name(f"{shard[1]}{shard[3]}.index.json")
        there = (
            f"give its index {index.name}" if index.is_file() else f"its index {index.name} is missing here"
        )
        raise BadFile(f"is one of {int(shard[2])} shards and holds a part of the weights; {there}")


def _read_shards(path: Path) -> dict[str, Tensor]:
    """The tensors of all files that an index (`model.safetensors.index.json`) names; they lie beside it."""
    if path.stat().st_size > MAX_INDEX:
        raise BadFile("is too large for an index of shards")
    try:
        index: Any = json.loads(path.read_text(encoding="utf-8"))
        places = index["weight_map"]
        names = sorted(set(places.values()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadFile(
            "is no index of shards: a JSON file whose weight_map names a file for each weight"
        ) from None
    if len(names) > MAX_SHARDS or not all(_is_plain_name(name) for name in names):
        raise BadFile("names shards that do not lie beside it")
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        shown = ", ".join(missing[:3])
        raise BadFile(f"names {len(names)} shards, of which {len(missing)} are missing beside it: {shown}")
    found: dict[str, Tensor] = {}
    for name in names:
        found |= _read_shard(path.parent / name)
    lost = [name for name in places if name not in found]
    if lost:
        raise BadFile(f"names {len(lost)} weights that are in none of its shards: {', '.join(lost[:3])}")
    return found


def _read_shard(path: Path) -> dict[str, Tensor]:
    with open(path, "rb") as file:
        head = file.read(HEAD)
    try:
        if _is_safetensors(head):
            return _read_safetensors(path, head)
        if head.startswith((ZIP, OLD_START)):
            return read_torch_file(path)
        raise BadFile(_no_weights(head))
    except BadFile as error:
        raise BadFile(f"names a shard {path.name} that {error}") from None


def _is_plain_name(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name and not name.endswith(".json")


def _folder(path: Path) -> str:
    """What to give instead of a folder."""
    names = sorted(child.name for child in path.iterdir() if child.name.endswith(SUFFIXES))
    if (path / "open_clip_config.json").is_file():
        return f"is a folder; write clip.model=local-dir:{path}, or give the file of weights in it"
    if not names:
        return "is a folder without a file of weights; give a file"
    first = next((name for name in names if name.endswith(".index.json")), names[0])
    return f"is a folder; give a file in it, such as {path / first}"


def _no_weights(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "is empty; download it again"
    if not head.strip(b"\0"):
        return (
            "is empty: it begins with zeros only, as a download that was interrupted does; download it again"
        )
    if text.startswith(b"version https://git-lfs"):
        return "is a git-LFS pointer, not the weights themselves; fetch them with `git lfs pull`"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<error")):
        return "is a web page, not weights: the download went wrong; download it again"
    for start, sentence in FOREIGN.items():
        if head.startswith(start):
            return sentence
    if len(head) > 262 and head[257:262] == b"ustar":
        return "is a tar archive; unpack it and give the file of weights inside"
    return UNSAFE
