"""Lists of class names, as people and programs write them: one name a line, and some other forms.

Understood are also one line of names between commas, numbers before the names, columns of numbers beside
them, bullets, quotes, and a list in JSON. What was understood is said in a note. What could mean two things
raises UserError, and is never taken as one odd class.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ccd_core.data.listing.names import shown, some
from ccd_core.data.listing.text_files import clean, read_text
from ccd_core.errors import UserError

LARGEST_BYTES = 50_000_000
QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“", "«": "»", "`": "`"}
NUMBERED = re.compile(r"(\d+)(?:\s*[:.,;)=]\s*|\s+)(\S.*)")
NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?%?")
WORDNET_NUMBER = re.compile(r"n\d{8}")
HEADER_WORDS = {
    "class", "classes", "class_id", "class_name", "classname", "count", "counts", "id", "images", "index",
    "label", "labels", "n", "name", "names", "number", "synset", "",
}  # fmt: skip


def read_classes(path: Path) -> tuple[str, ...]:
    """The class names in a file. Raises UserError if it is missing, or if its names cannot be understood."""
    return read_class_list(path)[0]


def read_class_list(path: Path) -> tuple[tuple[str, ...], list[str]]:
    """The class names in a file, and a sentence for each thing that is not as one name a line would be."""
    if not path.exists() and not path.is_symlink():
        raise UserError(
            f"There is no list of class names {shown(path)}; write one name a line into it, or give another "
            "file with --classes."
        )
    text, encoding = read_text(path, LARGEST_BYTES)
    # Only \n ends a line here. Other characters that Unicode calls line ends come from pasted text.
    lines = [line.strip(" ") for line in text.split("\n")]
    lines = [line for line in lines if clean(line) and not line.lstrip().startswith("#")]
    if not lines:
        raise UserError(f"{shown(path)} has no class names; write one a line.")
    notes = [f"{shown(path)} was read as {encoding}."] if encoding else []
    names, how = _understand(lines, path)
    if how:
        notes.append(f"{shown(path)} was read as {how}: {len(names):,} classes, such as {some(names[:2])}.")
    names = [_without_quotes(clean(name)) for name in names]
    names = [name for name in names if name]
    if not names:
        raise UserError(f"{shown(path)} has no class names; write one a line.")
    _check_unique(names, path)
    return tuple(names), notes


def _understand(lines: list[str], path: Path) -> tuple[list[str], str | None]:
    """The names, not yet cleaned, and in which form they are written; None for one name a line."""
    from_json = _json_names("\n".join(lines), path)
    if from_json is not None:
        return from_json, "a list in JSON"
    lines = [line.rstrip("\t ,;") for line in lines]
    lines = [line for line in lines if clean(line)]
    if not lines:
        return [], None
    if len(lines) == 1:
        names = _one_line(lines[0])
        if len(names) > 1:
            return names, "names on one line"
    forms: list[tuple[Callable[[list[str]], list[str] | None], str]] = [
        (_without_numbers, "numbered names"),
        (_from_columns, "a table with names in one column"),
        (_without_bullets, "names with bullets"),
    ]
    for read, how in forms:
        understood = read(lines)
        if understood is not None:
            return understood, how
    tabs = [line for line in lines if "\t" in line.strip()]
    if tabs:
        raise UserError(
            f"{shown(path)} has lines of several columns, such as {some(tabs[:1])}, and no column of numbers "
            "tells which of them is the name; write one name a line and nothing else."
        )
    return lines, None


def _json_names(text: str, path: Path) -> list[str] | None:
    """The names if the text is a list or object in JSON or Python, else None."""
    text = clean(text.replace("\n", " "))
    is_complete = text.startswith(("[", "{")) and text.endswith(("]", "}"))
    if not is_complete and not re.match(r"""[\[{]\s*["']""", text):
        return None
    value: Any = None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if value is None:
        if "," not in text and text.count("[") > 1:
            return None  # lines that begin and end with brackets
        raise UserError(
            f"{shown(path)} looks like a list in JSON and cannot be read as one; write one name a line."
        )
    names = names_in(value)
    if names is None:
        raise UserError(
            f"{shown(path)} is JSON, but neither a list of names nor an object of numbers and names; "
            "write one name a line."
        )
    return names


def names_in(value: Any) -> list[str] | None:
    """Class names in parsed JSON or YAML: a list of names, COCO's categories, or numbers with names."""
    if isinstance(value, dict):
        for key in ("names", "classes", "categories", "labels", "id2label"):
            if isinstance(value.get(key), (list, dict)):
                return names_in(value[key])
        if value and all(_is_number(key) for key in value):  # {"0": "dog"}
            by_number = sorted((int(number), name) for number, name in value.items())
        elif value and all(_is_number(number) for number in value.values()):  # {"dog": 0}
            by_number = sorted((int(number), name) for name, number in value.items())
        else:
            return None
        return names_in([name for _, name in by_number])
    if not isinstance(value, (list, tuple)) or not value:
        return None
    if all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in value):
        if all(_is_number(entry.get("id")) for entry in value):
            value = sorted(value, key=lambda entry: int(entry["id"]))
        return [entry["name"] for entry in value]
    return list(value) if all(isinstance(entry, str) for entry in value) else None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal())


def _one_line(line: str) -> list[str]:
    """The names of a single line, split at its commas, semicolons, bars or tabs."""
    for separator in ("\t", ";", "|", ","):
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
        if len(cells) > 1:
            return [cell for cell in cells if clean(cell)]
    return [line]


def _from_columns(lines: list[str]) -> list[str] | None:
    """The column of names where the other columns hold numbers only, between tabs, semicolons or commas."""
    for separator in ("\t", ";", ","):
        if not all(separator in line for line in lines[1:]) or separator not in lines[0]:
            continue
        rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
        rows = [[clean(cell) for cell in row] for row in rows]
        if all(cell.casefold() in HEADER_WORDS for cell in rows[0]) and len(rows) > 1:
            rows = rows[1:]
        width = len(rows[0])
        if any(len(row) != width for row in rows):
            continue
        columns = [list(column) for column in zip(*rows, strict=True)]
        names = [column for column in columns if not all(map(_is_no_name, column))]
        if len(names) == 1 and len(columns) > 1:
            return names[0]
    return None


def _is_no_name(cell: str) -> bool:
    return not cell or bool(NUMBER.fullmatch(cell) or WORDNET_NUMBER.fullmatch(cell))


def _without_numbers(lines: list[str]) -> list[str] | None:
    """The names without the numbers before them, if those count from 0 or 1 and the names stay different."""
    lines = [clean(line) for line in lines]
    if lines[0].casefold().rstrip() == "names:":  # a list copied from a data.yaml of YOLO
        lines = lines[1:]
    found = [NUMBERED.fullmatch(line) for line in lines]
    matches = [match for match in found if match]
    if not matches or len(matches) < len(lines):
        return None
    if len(matches) == 1 and not re.match(r"0\s*[:.,;)=\s]", lines[0]):
        return None  # one line such as "7 up" may be a name
    numbers = [int(match[1]) for match in matches]
    first = min(numbers)
    if first not in (0, 1) or sorted(numbers) != list(range(first, first + len(numbers))):
        return None
    names = [match[2] for _, match in sorted(zip(numbers, matches, strict=True), key=lambda pair: pair[0])]
    return names if len(set(names)) == len(names) else None


def _without_bullets(lines: list[str]) -> list[str] | None:
    lines = [clean(line) for line in lines]
    if lines[0].casefold() == "names:" and len(lines) > 1:
        lines = lines[1:]
    if all(re.match(r"[-*•]\s+\S", line) for line in lines):
        return [line[1:].strip() for line in lines]
    return None


def _without_quotes(name: str) -> str:
    name = name.rstrip(",; ")
    while len(name) > 2 and QUOTES.get(name[0]) == name[-1]:
        doubled = name[0] * 2
        name = name[1:-1].replace(doubled, name[0]).strip()
    return name


def _check_unique(names: list[str], path: Path) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        more_than_once = some(repeated, quoted=False)
        raise UserError(f"{shown(path)} names {more_than_once} more than once; every class has one name.")
    by_case: dict[str, list[str]] = {}
    for name in names:
        by_case.setdefault(name.casefold(), []).append(name)
    twins = [name for group in by_case.values() if len(group) > 1 for name in group]
    if twins:
        raise UserError(
            f"{shown(path)} has names that differ in capital letters only: {some(twins)}; "
            "keep one of them, or give them different names."
        )
