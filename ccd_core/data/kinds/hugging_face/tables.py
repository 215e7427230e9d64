"""Tables of Hugging Face's library `datasets`: which files hold them, what their columns are, their rows.

Files of Parquet and Arrow are read with pyarrow, as data. Nothing in such a folder is run: no loading script,
no pickled column. Only the columns that are asked for are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ccd_core.data.kinds.layouts import WORDS, words_of
from ccd_core.data.listing.names import shown, some
from ccd_core.errors import UserError
from ccd_core.files import PARSER_ERRORS
from ccd_core.yaml_files import NotYaml, parse_yaml

SUFFIXES = (".parquet", ".arrow")
NOT_SHARDS = ("cache-", "indices", "tmp")  # beginnings of the names of the library's own temporary files
MOST_FOLDERS = 10_000
LARGEST_DOCUMENT = 20_000_000  # bytes of dataset_info.json, state.json and README.md
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Shards:
    """The files of a split, in the order of their rows. word: what the files call the split."""

    word: str
    files: tuple[Path, ...]


# -- which files -------------------------------------------------------------------------------------


def find_shards(root: Path) -> tuple[dict[str, Shards], list[str]]:
    """{"train" or "val": its files}, and sentences about what is not read.

    Raises UserError if there are no tables, or those of several configurations.
    """
    listed = _splits_of_a_dictionary(root)
    found: dict[str, dict[Path, list[Path]]] = {}  # {word: {folder: files}}
    if listed is not None:
        for word in listed:
            found[word] = {root / word: _files_of(root / word)}
    else:
        for folder in _folders(root):
            for path in _files_of(folder):
                word = _split_word(path, root)
                found.setdefault(word, {}).setdefault(_configuration(path, word), []).append(path)
    found = {word: places for word, places in found.items() if any(places.values())}
    if not found:
        raise UserError(
            f"{shown(root)} has no files of Parquet or Arrow; hf:ROOT is a folder that `save_to_disk` wrote, "
            "or one from the Hugging Face hub with its Parquet files."
        )
    for word, places in found.items():
        if len(places) > 1:
            folders = [os.path.relpath(folder, root) for folder in sorted(places)]
            raise UserError(
                f"{shown(root)} has several tables for {shown(word)}, in {some(folders)}; name the folder of "
                f"one, such as hf:{shown(root / folders[0])}."
            )
    splits = {}
    for split, words in WORDS.items():
        taken = next((word for word in words if word in found), None)
        if taken is not None:
            splits[split] = Shards(taken, tuple(next(iter(found.pop(taken).values()))))
    notes = []
    if not splits:  # none of the words is known, as in the split "all"
        word = sorted(found)[0]
        splits["train"] = Shards(word, tuple(next(iter(found.pop(word).values()))))
    if found:
        notes.append(f"Not read: the tables of {some(sorted(found))}.")
    return splits, notes


def _splits_of_a_dictionary(root: Path) -> list[str] | None:
    """The splits that a folder of a `DatasetDict` names; None for any other folder."""
    path = root / "dataset_dict.json"
    if not path.is_file():
        return None
    value = read_json(path)
    splits = value.get("splits") if isinstance(value, dict) else None
    if not isinstance(splits, list) or not all(_is_plain_name(name) for name in splits):
        raise UserError(f"{shown(path)} is damaged: it does not name the folders of the splits.")
    return splits


def _is_plain_name(name: Any) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}


def _folders(root: Path) -> list[Path]:
    """`root` and the folders in it. Hidden ones and linked ones are left out."""
    folders = []
    for folder, names, _ in os.walk(root):
        folders.append(Path(folder))
        names[:] = sorted(name for name in names if not name.startswith((".", "__")))
        if len(folders) > MOST_FOLDERS:
            raise UserError(
                f"{shown(root)} has more than {MOST_FOLDERS:,} folders; name the one with the tables."
            )
    return folders


def _files_of(folder: Path) -> list[Path]:
    """The tables in a folder, in the order of their rows."""
    state = folder / "state.json"
    if state.is_file():
        return _files_of_state(folder, state)
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        raise UserError(f"The folder {shown(folder)} of a split is not there.") from None
    return [
        folder / name
        for name in names
        if name.endswith(SUFFIXES) and not name.startswith((".", *NOT_SHARDS)) and (folder / name).is_file()
    ]


def _files_of_state(folder: Path, state: Path) -> list[Path]:
    value = read_json(state)
    entries = value.get("_data_files") if isinstance(value, dict) else None
    names = [entry.get("filename") for entry in entries or [] if isinstance(entry, dict)]
    if not names or not all(_is_plain_name(name) for name in names):
        raise UserError(f"{shown(state)} is damaged: it does not name the files of the data set.")
    if value.get("_indices_data_files"):
        raise UserError(
            f"{shown(folder)} was written by an old version of `datasets` and chooses its rows by a second "
            "table; open it with that library and write it again with save_to_disk."
        )
    gone = [str(name) for name in names if not (folder / str(name)).is_file()]
    if gone:
        raise UserError(f"{shown(folder)} lacks {some(gone)}, which state.json names; copy it again.")
    return [folder / str(name) for name in names]


def _split_word(path: Path, root: Path) -> str:
    """The word for a file's split, in its name or in that of a folder; "train" where nothing tells."""
    known = {word for words in WORDS.values() for word in words}
    parts = [path.stem, *reversed(path.parent.relative_to(root).parts)]
    for part in parts:
        for word in sorted(words_of(part) & known):
            return word
    first = path.stem.split("-")[0]
    return first if "-of-" in path.stem and first != "data" else "train"


def _configuration(path: Path, word: str) -> Path:
    """A file's folder, without a last part that only names the split, as in default/train/0000.parquet."""
    folder = path.parent
    return folder.parent if word in words_of(folder.name) else folder


# -- what the columns are ----------------------------------------------------------------------------


def features_of(root: Path, shards: Shards) -> dict[str, Any]:
    """{column: its type as the library `datasets` writes it in JSON}; an empty dictionary if nothing tells.

    It stands in the table itself, in dataset_info.json, or in the head of README.md.
    """
    first = shards.files[0]
    metadata = schema_of(first).metadata or {}
    if b"huggingface" in metadata:
        try:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
        except (ValueError, LookupError, TypeError, RecursionError):
            features = None
        if isinstance(features, dict):
            return features
    for folder in dict.fromkeys((first.parent, root)):
        path = folder / "dataset_info.json"
        value = read_json(path) if path.is_file() else None
        if isinstance(value, dict) and isinstance(value.get("features"), dict):
            return value["features"]
    return _features_of_card(root / "README.md")


def _features_of_card(path: Path) -> dict[str, Any]:
    """The features in the head of a data set's README.md, between two lines of dashes."""
    if not path.is_file() or path.stat().st_size > LARGEST_DOCUMENT:
        return {}
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    parts = text.split("\n---", 1)
    if not text.startswith("---") or len(parts) < 2:
        return {}
    try:
        head = parse_yaml(parts[0].removeprefix("---"), LARGEST_DOCUMENT)
    except NotYaml as error:
        raise UserError(f"The head of {shown(path)} cannot be read: {error}") from None
    info = head.get("dataset_info") if isinstance(head, dict) else None
    infos = info if isinstance(info, list) else [info]
    all_features = [entry.get("features") for entry in infos if isinstance(entry, dict)]
    # Those of several configurations are used only where they agree.
    if not all_features or any(features != all_features[0] for features in all_features):
        return {}
    return _named_features(all_features[0])


def _named_features(entries: Any) -> dict[str, Any]:
    known = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {str(entry.get("name")): _feature_of_card(entry) for entry in known}


def _feature_of_card(entry: Any) -> dict[str, Any]:
    """A feature as README.md writes it, in the form of dataset_info.json."""
    if isinstance(entry, str):
        return {"_type": "Image"} if entry == "image" else {"_type": "Value", "dtype": entry}
    if not isinstance(entry, dict):
        return {}
    for key in ("list", "sequence", "large_list"):
        if isinstance(entry.get(key), list):
            return {"_type": "List", "feature": _named_features(entry[key])}
        if key in entry:
            return {"_type": "List", "feature": _feature_of_card(entry[key])}
    if isinstance(entry.get("struct"), list):
        return _named_features(entry["struct"])
    inner = entry.get("dtype", entry)
    if isinstance(inner, dict) and isinstance(inner.get("class_label"), dict):
        names = inner["class_label"].get("names")
        if isinstance(names, dict):
            names = list(names.values())
        return {"_type": "ClassLabel", "names": names}
    return _feature_of_card(inner) if inner is not entry else {}


# -- rows --------------------------------------------------------------------------------------------


def schema_of(path: Path) -> pa.Schema:
    """The columns of a table, as its file says."""
    with _opening(path), pa.memory_map(str(path)) as file:
        return pq.read_schema(file) if path.suffix == ".parquet" else _arrow_reader(file).schema


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a table, a few at once, with `columns` only. Raises UserError if the file is damaged."""
    with _opening(path):
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as table:
                for batch in table.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(columns)):
                    yield batch.select(columns)
            return
        with pa.memory_map(str(path)) as file:
            reader = _arrow_reader(file)
            batches = (
                reader
                if isinstance(reader, pa.RecordBatchStreamReader)
                else (reader.get_batch(number) for number in range(reader.num_record_batches))
            )
            for batch in batches:
                chosen = batch.select(columns)
                chosen.validate(full=True)  # offsets in a damaged file may point anywhere
                for begin in range(0, chosen.num_rows, ROWS_AT_ONCE):
                    yield chosen.slice(begin, ROWS_AT_ONCE)


def _arrow_reader(file: pa.NativeFile) -> Any:
    """A reader of an Arrow stream, which `datasets` writes, or of an Arrow file."""
    try:
        return pa.ipc.open_stream(file)
    except pa.ArrowInvalid:
        file.seek(0)
        return pa.ipc.open_file(file)


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Raises UserError for whatever a parser of tables raises in the block."""
    try:
        yield
    except (PermissionError, UserError):
        raise
    except (*PARSER_ERRORS, pa.ArrowException) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(f"{shown(path)} is damaged or no table: {said}.") from None


def read_json(path: Path) -> Any:
    """The value in a JSON file of the library. Raises UserError if it is none."""
    try:
        if path.stat().st_size > LARGEST_DOCUMENT:
            raise UserError(f"{shown(path)} is larger than {LARGEST_DOCUMENT // 10**6} MB.")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        raise UserError(f"{shown(path)} is damaged: it is not JSON.") from None
