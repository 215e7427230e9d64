"""Tables of labels, such as labels.csv: which image has which classes, and which images are held out.

Three forms are understood. In the list form, a column has all labels of an image. In the long form, an image
has several rows with a label each. In the wide form, each class has a column with 0 or 1. `read_label_table`
understands what spreadsheets and other programs make of these forms, and says so in notes. What it cannot
understand ends in one sentence that counts the rows, names the first three and says what to write.
"""

from __future__ import annotations

import ast
import csv
import difflib
import io
import json
import os
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ccd_core.data.decoding.formats import IMAGE_SUFFIXES
from ccd_core.data.listing.names import as_name, count_of, shown, some
from ccd_core.data.listing.text_files import clean, read_text
from ccd_core.errors import UserError

DELIMITERS = (",", ";", "\t", "|")
SEPARATORS = re.compile(r"[;|,\t\n]")
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
TRAIN_WORDS = ("", "train", "training", "trn", "trainval", "nan", "none")
VAL_WORDS = ("val", "valid", "validation", "test", "testing", "tst", "dev", "eval", "public", "private")
YES = ("true", "yes", "y", "t", "x", "✓", "✔", "✗", "present")
NO = ("", "false", "no", "n", "f", "nan", "na", "n/a", "none", "null", "absent")
NO_LABELS = ("", "nan", "na", "n/a", "none", "null", "-", "[]", "{}", "()", "no label", "no labels")
LIKENESS = 0.6  # of a word and the class that is probably meant, by difflib's measure
SURE = 0.5  # a label with less confidence does not count


@dataclass
class LabelTable:
    """`targets` are float32 [C] for each labelled image. `val` has the images of that split.

    `val` is None if the table has no column of splits.
    """

    targets: dict[str, np.ndarray] = field(default_factory=dict)
    val: set[str] | None = None
    notes: list[str] = field(default_factory=list)


# Returns the image that a cell names, None if there is none, or the images between which it does not decide.
Resolver = Callable[[str], str | list[str] | None]


def read_label_table(path: Path, classes: Sequence[str], resolve: Resolver) -> LabelTable:
    """Read the labels of a table. `resolve` finds the image that a cell names.

    Raises UserError, in one sentence, if a part of the table cannot be understood or contradicts itself.
    """
    table = _Table.read(path, ClassFinder(classes), lambda cell: isinstance(resolve(cell), str))
    return _Reader(table, classes, resolve).read()


def classes_in(path: Path, names_image: Callable[[str], bool]) -> tuple[str, ...]:
    """The classes that a table itself names, sorted, for tables without a list of classes.

    Raises UserError if it has none.
    """
    table = _Table.read(path, ClassFinder(()), names_image)
    found: set[str] = set()
    if table.labels is not None:
        cells = [row[table.labels] for _, row in table.rows if len(row) == len(table.header)]
        found = {part for cell in cells for part in _parts(cell)}
        found |= {
            part for _, row in table.rows if len(row) != len(table.header) for part in _spilled(row, table)
        }
    else:
        for column, name in enumerate(table.header):
            values = {row[column].casefold() for _, row in table.rows if column < len(row)}
            others = (table.file, table.split, table.confidence)
            if column not in others and values and all(_truth_of(value) is not None for value in values):
                found.add(name)
    found = {name for name in found if name and name.casefold() not in NO_LABELS}
    if not found:
        raise UserError(
            f"{shown(path)} names no classes: it has neither a column `labels` nor columns of 0 and 1."
        )
    return tuple(sorted(found))


class ClassFinder:
    """Finds a class by its name as people write it: in any case, with _ or - for blanks."""

    def __init__(self, classes: Sequence[str]):
        self.classes = classes
        self.exact = {clean(name): row for row, name in enumerate(classes)}
        keys = Counter(_key(name) for name in classes)
        self.similar = {_key(name): row for row, name in enumerate(classes) if keys[_key(name)] == 1}
        self.has_separators = any(SEPARATORS.search(name) for name in classes)

    def find(self, name: str) -> int | None:
        """The index of the class, or None."""
        name = clean(name)
        row = self.exact.get(name)
        if row is None:
            row = self.exact.get(name.strip("\"'"))
        return self.similar.get(_key(name)) if row is None else row


def _key(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", clean(name).strip("\"'").casefold())


@dataclass
class _Table:
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
    def read(cls, path: Path, finder: ClassFinder, names_image: Callable[[str], bool]) -> _Table:
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
        if not words & set(map(_key, header)) and names_image(lines[0][1][0]):
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
    ) -> _Table:
        keys = [_key(name) for name in header]
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
    known = sum(_key(cell) in words or finder.find(cell) is not None for cell in cells)
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


class _Problems:
    """Rows that cannot be understood: for each kind, what is wrong where, and what to write instead."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[str, list[str]]] = {}

    def add(self, kind: str, advice: str, line: int, what: str) -> None:
        self.found.setdefault(kind, (advice, []))[1].append(f"line {line}: {what}")

    def sentence(self, path: Path) -> str:
        parts = []
        for kind, (advice, places) in self.found.items():
            more = f" and {len(places) - 3:,} more" if len(places) > 3 else ""
            noun, _, rest = kind.partition(" ")
            parts.append(f"{count_of(len(places), noun)} {rest} ({'; '.join(places[:3])}{more}): {advice}")
        return f"{shown(path)} has {'; and '.join(parts)}."


class _Reader:
    """Reads the rows of a table whose columns are known."""

    def __init__(self, table: _Table, classes: Sequence[str], resolve: Resolver):
        self.table = table
        self.classes = classes
        self.finder = ClassFinder(classes)
        self.resolve = resolve
        self.problems = _Problems()
        self.gone: list[tuple[int, str]] = []
        self.seen: dict[str, list[int]] = {}  # lines that are about an image
        self.splits: dict[str, tuple[str, int]] = {}
        self.denied: dict[str, set[int]] = {}
        self.spilled = 0
        self.negative = 0
        self.named: dict[str, str] = {}  # image -> the cell that named it, if not by its own name
        self.result = LabelTable(notes=list(table.notes))

    def read(self) -> LabelTable:
        self._check_columns()
        cells = {row[self.table.file] for _, row in self.table.rows if self.table.file < len(row)}
        self.own_names = {image for cell in cells if (image := _own_name(cell, self.resolve)) is not None}
        for line, row in self.table.rows:
            self._read_row(line, row)
        if self.problems.found:
            raise UserError(self.problems.sentence(self.table.path))
        self._check_found()
        self._write_notes()
        if self.table.split is not None:
            self.result.val = {image for image, (split, _) in self.splits.items() if split == "val"}
        return self.result

    def _check_columns(self) -> None:
        table = self.table
        known = {table.file, table.labels, table.split, table.confidence, *table.classes}
        further = [name for column, name in enumerate(table.header) if column not in known and name]
        missing = [name for row, name in enumerate(self.classes) if row not in table.classes.values()]
        if table.labels is None:
            alike = {name: difflib.get_close_matches(name, missing, 1, LIKENESS) for name in further}
            typing_error = next((name for name, found in alike.items() if found), None)
            if not table.classes or typing_error:
                name = typing_error or (further[0] if further else table.header[-1])
                meant = f" (is {alike[name][0]!r} meant?)" if alike.get(name) else ""
                raise UserError(
                    f"{shown(table.path)}: column {shown(name)!r} is no class{meant}; the classes are "
                    f"{_in_short(self.classes)}. Write a column `labels` with names from this list, or a "
                    "column with 0 and 1 for each class."
                )
            if missing:
                self.result.notes.append(
                    f"{shown(table.path)} has no column for {some(missing)}: taken as absent in all its "
                    "images."
                )
        if further:
            self.result.notes.append(
                f"{shown(table.path)} has {count_of(len(further), 'further column')} that "
                f"{'is' if len(further) == 1 else 'are'} not read: {some(further)}."
            )

    def _read_row(self, line: int, row: list[str]) -> None:
        table = self.table
        fitted = self._fitted(line, row)
        if fitted is None:
            return
        row = fitted
        image = self.resolve(row[table.file])
        if isinstance(image, str) and not _is_own_name(row[table.file], image):
            if image in self.own_names:
                image = None  # this row is about another image of the same name, which is not there
            elif self.named.setdefault(image, row[table.file]) != row[table.file]:
                image = [f"{image} as {self.named[image]}"]
        if isinstance(image, list):
            advice = "write its path from the folder on"
            among = f"{shown(row[table.file])!r} may be {some(image)}"
            self.problems.add("row for one of several images", advice, line, among)
            return
        if image is None:
            self.gone.append((line, row[table.file]))
            return
        targets = np.zeros(len(self.classes), np.float32)
        if table.labels is not None:
            self._read_labels(line, row, targets, image)
        for column, label in table.classes.items():
            self._read_cell(line, row[column], label, targets)
        self._merge(line, image, targets)
        if table.split is not None:
            self._read_split(line, row[table.split], image)

    def _fitted(self, line: int, row: list[str]) -> list[str] | None:
        """The row with as many cells as the header, or None if its cells cannot be told apart."""
        table = self.table
        width = len(table.header)
        while len(row) > width and not row[-1]:
            row = row[:-1]
        needed = max(
            column
            for column in (table.file, table.labels, table.split, table.confidence, *table.classes)
            if column is not None
        )
        if needed < len(row) < width:
            row = [*row, *[""] * (width - len(row))]  # only columns that are not read are missing
        if len(row) == width:
            return row
        spilled = _respan(row, table, self._split_into_classes)
        if spilled is not None:
            self.spilled += 1
            return spilled
        advice = "write as many cells as there are columns, and quotes around a cell with a comma in it"
        what = f"{count_of(len(row), 'cell')}, {width} columns"
        self.problems.add("row of another length than its header", advice, line, what)
        return None

    def _split_into_classes(self, cells: list[str]) -> bool:
        return all(isinstance(self._labels_in(cell), list) for cell in cells)

    def _labels_in(self, cell: str) -> list[int] | str:
        """Indices of the classes in a cell, or what in it is no class."""
        whole = self.finder.find(cell)
        if whole is not None and cell:
            return [whole]
        if clean(cell).casefold() in NO_LABELS:
            return []
        parts = _parts(cell)
        if self.finder.has_separators:
            ways = _segmentations(cell, self.finder)
            if len(ways) > 1:
                return f"{shown(cell)!r} can be read in several ways"
            if ways:
                return ways[0]
        found = [self.finder.find(part) for part in parts]
        wrong = [part for part, row in zip(parts, found, strict=True) if row is None]
        if not wrong:
            return [row for row in found if row is not None]
        words = [self.finder.find(word) for word in cell.split()]
        if len(parts) == 1 and all(word is not None for word in words):  # labels between blanks
            return [word for word in words if word is not None]
        meant = difflib.get_close_matches(wrong[0], self.classes, 1, LIKENESS)
        return f"{shown(wrong[0])!r} is no class{f', is {meant[0]!r} meant?' if meant else ''}"

    def _read_labels(self, line: int, row: list[str], targets: np.ndarray, image: str) -> None:
        assert self.table.labels is not None
        labels = self._labels_in(row[self.table.labels])
        if isinstance(labels, str):
            advice = (
                f"the classes are {_in_short(self.classes)}; write them as in this list, with ; between them"
            )
            self.problems.add("label not understood", advice, line, labels)
            return
        if self.table.confidence is not None and row[self.table.confidence]:
            confidence = _number(row[self.table.confidence])
            if confidence is None:
                what = repr(row[self.table.confidence])
                self.problems.add("confidence not understood", "write numbers from 0 to 1", line, what)
                return
            if confidence < SURE:
                self.denied.setdefault(image, set()).update(labels)
                return
        targets[labels] = 1

    def _read_cell(self, line: int, cell: str, label: int, targets: np.ndarray) -> None:
        value = _truth_of(cell)
        if value is None:
            advice = "write 1 for present and 0 for absent"
            what = f"the value of {self.classes[label]} must be 0 or 1, not {shown(cell)!r}"
            self.problems.add("value not understood", advice, line, what)
        elif value > 0:
            targets[label] = 1
        elif value < 0:
            self.negative += 1

    def _merge(self, line: int, image: str, targets: np.ndarray) -> None:
        """Add a row's labels to those of the image's earlier rows."""
        earlier = self.result.targets.get(image)
        self.seen.setdefault(image, []).append(line)
        if earlier is None:
            self.result.targets[image] = targets
        elif self.table.labels is not None:
            self.result.targets[image] = np.maximum(earlier, targets)
        elif (earlier != targets).any():
            label = self.classes[int(np.flatnonzero(earlier != targets)[0])]
            what = f"{shown(image)!r} differs in {label} from line {self.seen[image][0]}"
            self.problems.add("row in contradiction to an earlier one", "keep one row an image", line, what)

    def _read_split(self, line: int, cell: str, image: str) -> None:
        word = _key(cell)
        if word not in TRAIN_WORDS and word not in VAL_WORDS:
            advice = "a split must be train or val"
            self.problems.add("split not understood", advice, line, f"{shown(cell)!r}")
            return
        split = "train" if word in TRAIN_WORDS else "val"
        if word == "" and image in self.splits:
            return
        earlier, where = self.splits.setdefault(image, (split, line))
        if earlier != split:
            what = f"{shown(image)!r} is in {split} here and in {earlier} in line {where}"
            self.problems.add("row in contradiction to an earlier one", "keep one split an image", line, what)

    def _check_found(self) -> None:
        path = shown(self.table.path)
        for image, labels in self.denied.items():
            both = [label for label in sorted(labels) if self.result.targets[image][label]]
            if both:
                raise UserError(
                    f"{path} says of {shown(image)!r} that it shows {self.classes[both[0]]} and that it does "
                    "not; keep one of the rows."
                )
        if self.gone and not self.seen:
            line, name = self.gone[0]
            raise UserError(
                f"{path}: none of its {count_of(len(self.gone), 'row')} names an image of the data set "
                f"(line {line}: there is no image {shown(name)!r}); write the images' names into the column "
                f"{self.table.header[self.table.file]!r}."
            )

    def _write_notes(self) -> None:
        notes = self.result.notes
        path = shown(self.table.path)
        if self.gone:
            names = some(name for _, name in self.gone)
            notes.append(
                f"{path} has {count_of(len(self.gone), 'row')} for images that are not there: {names}."
            )
        several = [image for image, lines in self.seen.items() if len(lines) > 1]
        if several:
            together = "the labels of its rows were put together"
            if self.table.labels is None:
                together = "its rows agree"
            notes.append(
                f"{path} has several rows for {count_of(len(several), 'image')} ({some(several)}); "
                f"{together} for each image."
            )
        if self.named:
            image, cell = next(iter(self.named.items()))
            notes.append(
                f"{path} names {count_of(len(self.named), 'image')} in another way than by the path in the "
                f"folder; they were matched by name, such as {shown(cell)!r} to {shown(image)!r}."
            )
        if self.spilled:
            notes.append(
                f"{path} has {count_of(self.spilled, 'row')} with more cells than columns; the further cells "
                "are classes and were taken as labels."
            )
        if self.negative:
            notes.append(f"{path} has {count_of(self.negative, 'value')} below 0, which count as absent.")
        if self.denied:
            denied = sum(len(labels) for labels in self.denied.values())
            notes.append(
                f"{path} has {count_of(denied, 'label')} with a confidence below {SURE}, which count as "
                "absent."
            )


def _own_name(cell: str, resolve: Resolver) -> str | None:
    """The image that a cell names by its path, or None."""
    image = resolve(cell)
    return image if isinstance(image, str) and _is_own_name(cell, image) else None


def _is_own_name(cell: str, image: str) -> bool:
    return image in (cell, _plain(cell)) or clean(image) == clean(_plain(cell))


def _plain(cell: str) -> str:
    return os.path.normpath(cell.replace("\\", "/")) if cell else ""


def _respan(row: list[str], table: _Table, are_classes: Callable[[list[str]], bool]) -> list[str] | None:
    """A row with too many cells as one where the column of labels has all of the further cells, or None."""
    extra = len(row) - len(table.header)
    if extra <= 0 or table.labels is None or table.file > table.labels:
        return None
    end = table.labels + extra + 1
    if not are_classes(row[table.labels : end]):
        return None
    joined = ";".join(cell for cell in row[table.labels : end] if cell)
    return [*row[: table.labels], joined, *row[end:]]


def _spilled(row: list[str], table: _Table) -> list[str]:
    respanned = _respan(row, table, lambda cells: True)
    return [] if respanned is None or table.labels is None else _parts(respanned[table.labels])


def _parts(cell: str) -> list[str]:
    """The labels in a cell: between separators, or a list in JSON or Python."""
    cell = cell.strip()
    if cell.startswith(("[", "{", "(")) and cell.endswith(("]", "}", ")")):
        printed_by_numpy = re.search(r"['\"]\s+['\"]", cell)  # no commas, so Python would join the names
        for parse in () if printed_by_numpy else (json.loads, ast.literal_eval):
            try:
                value = parse(cell)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
            if isinstance(value, (list, tuple, set)) and all(isinstance(part, str) for part in value):
                return [clean(part) for part in value if clean(part)]
        inner = cell[1:-1]
        quoted = re.findall(r"'([^']*)'|\"([^\"]*)\"", inner)  # as numpy prints an array of names
        parts = [one or other for one, other in quoted] or SEPARATORS.split(inner)
    else:
        parts = SEPARATORS.split(cell)
    names = (clean(part).strip("\"'") for part in parts)
    return [name for name in names if name]


def _segmentations(cell: str, finder: ClassFinder) -> list[list[int]]:
    """The ways, at most two, to read a cell as classes, some of which have separators in their names."""
    pieces = re.split(r"([;|,\t\n])", cell)  # text, separator, text, ...
    ways: list[list[list[int]]] = [[[]]]  # ways[k]: readings of the first k texts
    texts = (len(pieces) + 1) // 2
    for end in range(1, texts + 1):
        found: list[list[int]] = []
        for begin in range(end):
            row = finder.find("".join(pieces[2 * begin : 2 * end - 1]))
            if row is not None:
                found += [[*way, row] for way in ways[begin]]
        if not pieces[2 * end - 2].strip():
            found += ways[end - 1]
        ways.append(found[:2])
    different = {tuple(sorted(way)): way for way in ways[texts] if way}
    return list(different.values())


def _truth_of(cell: str) -> float | None:
    """1 for present, 0 for absent, below 0 for absent as a negative number, None if not understood."""
    word = cell.strip().strip("\"'").casefold()
    if word in YES:
        return 1
    if word in NO:
        return 0
    number = _number(word)
    return number if number is not None and (number in (0, 1) or -1 <= number < 0) else None


def _number(cell: str) -> float | None:
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _in_short(classes: Sequence[str]) -> str:
    if len(classes) <= 20:
        return ", ".join(classes)
    return f"{', '.join(classes[:20])} and {len(classes) - 20:,} more"


class ImageFinder:
    """Finds images by what tables call them: paths of any machine, names alone, names without suffix."""

    def __init__(self, ids: Iterable[str]):
        self.ids = set(ids)
        self._tiers: list[dict[str, list[str]]] | None = None

    def __call__(self, cell: str) -> str | list[str] | None:
        """The image, None if there is none, or several images between which the cell does not decide."""
        if cell in self.ids:
            return cell
        path = _plain(cell)
        if path in self.ids:
            return path
        for form in dict.fromkeys((cell, path, path_of_address(path), clean(path))):
            found = self._similar(form)
            if found:
                return found[0] if len(found) == 1 else found
        return None

    def _similar(self, path: str) -> list[str]:
        """The images whose path ends like `path`, without regard to case; the longest common end counts."""
        if self._tiers is None:
            self._tiers = self._make_tiers()
        parts = [part for part in clean(path).casefold().split("/") if part not in ("", ".")]
        with_suffix, without = self._tiers
        for tier in (with_suffix, without):
            for begin in range(len(parts)):
                found = tier.get("/".join(parts[begin:]), [])
                if found:
                    return found
        suffix = PurePosixPath(parts[-1]).suffix if parts else ""
        if suffix not in IMAGE_SUFFIXES:
            return []
        parts[-1] = parts[-1].removesuffix(suffix)  # the images may have been converted since
        for begin in range(len(parts)):
            found = without.get("/".join(parts[begin:]), [])
            if found:
                return found
        return []

    def _make_tiers(self) -> list[dict[str, list[str]]]:
        with_suffix: dict[str, list[str]] = {}
        without: dict[str, list[str]] = {}
        for image in sorted(self.ids):
            for form in dict.fromkeys((image, _windows_form(image))):
                parts = clean(form).casefold().split("/")
                for begin in range(len(parts)):
                    end = "/".join(parts[begin:])
                    _append(with_suffix, end, image)
                    _append(
                        without, str(PurePosixPath(end).with_suffix("")) if end.strip(".") else end, image
                    )
        return [with_suffix, without]


def _append(table: dict[str, list[str]], key: str, image: str) -> None:
    entries = table.setdefault(key, [])
    if image not in entries[-1:]:
        entries.append(image)


def _windows_form(image: str) -> str:
    """A name with odd bytes as Windows reads it: caf\\xe9.jpg becomes café.jpg."""
    return os.fsencode(as_name(image)).decode("cp1252", "replace") if "\\x" in image else image


def path_of_address(path: str) -> str:
    """The path of a web address: https:/host/a%20b.jpg?w=5 gives host/a b.jpg."""
    if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:/+[^/]", path):
        return path
    address = urllib.parse.urlsplit(path)
    return urllib.parse.unquote(f"{address.netloc}{address.path}").lstrip("/")
