"""The columns of a table of labels: which one has files, labels, splits, confidences, or a class."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ccd_core.data.listing.label_cells import ClassFinder, class_key
from ccd_core.data.listing.names import shown, some
from ccd_core.data.listing.text_files import clean, read_text
from ccd_core.errors import UserError

DELIMITERS = (",", ";", "\t", "|")
FILE_WORDS = (
    "file", "filename", "file name", "filepath", "file path", "image", "image name", "imagename", "image id",
    "imageid", "image path", "imagepath", "img", "img path", "img name", "path", "picture", "photo",
)  # fmt: skip
INDEX_WORDS = ("", "unnamed: 0", "index", "id", "no", "nr", "number", "row")
LABEL_WORDS = (
    "labels", "label", "tags", "tag", "classes", "class", "categories", "category", "label name", "labelname",
    "class name", "classname", "class names", "label names",
)  # fmt: skip
SPLIT_WORDS = ("split", "subset", "set", "partition", "usage")
CONFIDENCE = "confidence"  # Open Images gives a label that a person denied the confidence 0


@dataclass
class Table:
    """Cells of a table, and which column is what. A row is (line number in the file, cells)."""

    path: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]
    file: int
    labels: int | None
    split: int | None
    confidence: int | None
    classes: dict[int, int]  # column -> index of the class
    notes: list[str]

    @classmethod
    def read(cls, path: Path, finder: ClassFinder, names_image: Callable[[str], bool]) -> Table:
        text, encoding = read_text(path)
        notes = [f"{shown(path)} was read as {encoding}."] if encoding else []
        lines, delimiter = _cells(text, finder, names_image, path)
        if not lines:
            raise UserError(
                f"{shown(path)} is empty; its first line names the columns, for example file,labels,split."
            )
        header = [clean(cell) for cell in lines[0][1]]
        rows = [(number, row) for number, row in lines[1:] if any(row)]
        words = {*FILE_WORDS, *INDEX_WORDS, *LABEL_WORDS}
        if not words & set(map(class_key, header)) and names_image(lines[0][1][0]):
            if len(header) < 2:
                raise UserError(f"{shown(path)} has one column only; write file,labels into its first line.")
            header = ["file", "labels", *(f"column {place}" for place in range(3, len(header) + 1))]
            rows = [(number, row) for number, row in lines if any(row)]
            notes.append(f"{shown(path)} has no line of column names; its columns were taken as file,labels.")
        if delimiter != ",":
            notes.append(f"{shown(path)} was read with {delimiter!r} between its columns.")
        return cls._with_roles(path, header, rows, finder, notes)

    @classmethod
    def _with_roles(
        cls,
        path: Path,
        header: list[str],
        rows: list[tuple[int, list[str]]],
        finder: ClassFinder,
        notes: list[str],
    ) -> Table:
        keys = [class_key(name) for name in header]
        file = _file_column(keys)
        columns = {
            column: row for column, name in enumerate(header) if (row := finder.find(name)) is not None
        }
        columns.pop(file, None)
        labels = _column(keys, LABEL_WORDS, taken={file})
        if labels in columns and labels is not None and keys[labels] != "labels":
            labels = _column(keys, LABEL_WORDS, taken={file, *columns})
        split = _column(keys, SPLIT_WORDS, taken={file, labels})
        if split in columns and split is not None and keys[split] != "split":
            split = None
        for column in (labels, split):
            columns.pop(column, None)  # type: ignore[arg-type]
        confidence = _column(keys, (CONFIDENCE,), taken={file, labels, split, *columns})
        _check_repeated(path, header, keys, [labels, split], columns)
        return cls(path, header, rows, file, labels, split, confidence, columns, notes)


def _cells(
    text: str, finder: ClassFinder, names_image: Callable[[str], bool], path: Path
) -> tuple[list[tuple[int, list[str]]], str]:
    """(line number, stripped cells) of every row, and the delimiter, which the first line decides."""
    first, _, rest = text.partition("\n")
    begin = 1
    given = re.fullmatch(r"\s*\"?sep=(.)\"?\s*", first)  # a line that Excel writes
    if given:
        text = rest
        begin = 2
    while text and not text.partition("\n")[0].strip():
        text = text.partition("\n")[2]
        begin += 1
    first = text.partition("\n")[0]
    candidates = (given[1],) if given else DELIMITERS
    # Of delimiters that give equally many known cells, the first is taken.
    delimiter = max(candidates, key=lambda one: _known_cells(first, one, finder, names_image))
    csv.field_size_limit(10_000_000)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    found = []
    before = 0
    try:
        for row in reader:
            found.append((begin + before, [cell.strip() for cell in row]))
            before = reader.line_num
    except csv.Error as error:
        raise UserError(
            f"{shown(path)}, line {begin + before}, cannot be read ({error}); save it as CSV in UTF-8."
        ) from None
    while found and not any(found[0][1]):
        found.pop(0)
    return found, delimiter


def _known_cells(
    line: str, delimiter: str, finder: ClassFinder, names_image: Callable[[str], bool]
) -> tuple[int, int]:
    """How many cells of the line are known words or classes, and how many cells there are."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except (csv.Error, StopIteration):
        return 0, 0
    if len(cells) < 2:
        return 0, 0
    words = (*FILE_WORDS, *LABEL_WORDS, *SPLIT_WORDS)
    known = sum(class_key(cell) in words or finder.find(cell) is not None for cell in cells)
    return known + 2 * names_image(cells[0]), len(cells)


def _file_column(keys: list[str]) -> int:
    if keys[0] not in FILE_WORDS:
        better = _column(keys, FILE_WORDS, taken=set())
        if better is not None:
            return better
        if keys[0] in INDEX_WORDS[:3] and len(keys) > 2:
            return 1
    return 0


def _column(keys: list[str], words: Iterable[str], taken: Iterable[int | None]) -> int | None:
    """The column whose name is the earliest of `words`."""
    for word in words:
        for column, key in enumerate(keys):
            if key == word and column not in taken:
                return column
    return None


def _check_repeated(
    path: Path, header: list[str], keys: list[str], roles: list[int | None], columns: dict[int, int]
) -> None:
    """Raise UserError if two columns have one meaning. Columns that are not read may be named alike."""
    by_class = Counter(columns.values())
    repeated = [header[column] for column, row in columns.items() if by_class[row] > 1]
    repeated += [header[role] for role in roles if role is not None and keys.count(keys[role]) > 1]
    if repeated:
        raise UserError(
            f"{shown(path)} has more than one column {some(dict.fromkeys(repeated))}; "
            "keep one column of each name."
        )
