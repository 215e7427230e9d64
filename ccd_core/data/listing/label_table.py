"""Tables of labels, such as labels.csv: which image has which classes, and which images are held out.

Three forms are understood. In the list form, a column has all labels of an image. In the long form, an image
has several rows with a label each. In the wide form, each class has a column with 0 or 1. `read_label_table`
understands what spreadsheets and other programs make of these forms, and says so in notes. What it cannot
understand ends in one sentence that counts the rows, names the first three and says what to write.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ccd_core.data.listing.image_finder import plain_path
from ccd_core.data.listing.label_cells import (
    NO_LABELS,
    ClassFinder,
    class_key,
    labels_in,
    number_in,
    segmentations,
    truth_of,
)
from ccd_core.data.listing.names import count_of, shown, some
from ccd_core.data.listing.table_columns import Table
from ccd_core.data.listing.text_files import clean
from ccd_core.errors import UserError

TRAIN_WORDS = ("", "train", "training", "trn", "trainval", "nan", "none")
VAL_WORDS = ("val", "valid", "validation", "test", "testing", "tst", "dev", "eval", "public", "private")
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
    table = Table.read(path, ClassFinder(classes), lambda cell: isinstance(resolve(cell), str))
    return _Reader(table, classes, resolve).read()


def classes_in(path: Path, names_image: Callable[[str], bool]) -> tuple[str, ...]:
    """The classes that a table itself names, sorted, for tables without a list of classes.

    Raises UserError if it has none.
    """
    table = Table.read(path, ClassFinder(()), names_image)
    found: set[str] = set()
    if table.labels is not None:
        cells = [row[table.labels] for _, row in table.rows if len(row) == len(table.header)]
        found = {part for cell in cells for part in labels_in(cell)}
        found |= {
            part for _, row in table.rows if len(row) != len(table.header) for part in _spilled(row, table)
        }
    else:
        for column, name in enumerate(table.header):
            values = {row[column].casefold() for _, row in table.rows if column < len(row)}
            others = (table.file, table.split, table.confidence)
            if column not in others and values and all(truth_of(value) is not None for value in values):
                found.add(name)
    found = {name for name in found if name and name.casefold() not in NO_LABELS}
    if not found:
        raise UserError(
            f"{shown(path)} names no classes: it has neither a column `labels` nor columns of 0 and 1."
        )
    return tuple(sorted(found))


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

    def __init__(self, table: Table, classes: Sequence[str], resolve: Resolver):
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
        parts = labels_in(cell)
        if self.finder.has_separators:
            ways = segmentations(cell, self.finder)
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
            confidence = number_in(row[self.table.confidence])
            if confidence is None:
                what = repr(row[self.table.confidence])
                self.problems.add("confidence not understood", "write numbers from 0 to 1", line, what)
                return
            if confidence < SURE:
                self.denied.setdefault(image, set()).update(labels)
                return
        targets[labels] = 1

    def _read_cell(self, line: int, cell: str, label: int, targets: np.ndarray) -> None:
        value = truth_of(cell)
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
        word = class_key(cell)
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
    return image in (cell, plain_path(cell)) or clean(image) == clean(plain_path(cell))


def _respan(row: list[str], table: Table, are_classes: Callable[[list[str]], bool]) -> list[str] | None:
    """A row with too many cells as one where the column of labels has all of the further cells, or None."""
    extra = len(row) - len(table.header)
    if extra <= 0 or table.labels is None or table.file > table.labels:
        return None
    end = table.labels + extra + 1
    if not are_classes(row[table.labels : end]):
        return None
    joined = ";".join(cell for cell in row[table.labels : end] if cell)
    return [*row[: table.labels], joined, *row[end:]]


def _spilled(row: list[str], table: Table) -> list[str]:
    respanned = _respan(row, table, lambda cells: True)
    return [] if respanned is None or table.labels is None else labels_in(respanned[table.labels])


def _in_short(classes: Sequence[str]) -> str:
    if len(classes) <= 20:
        return ", ".join(classes)
    return f"{', '.join(classes[:20])} and {len(classes) - 20:,} more"
