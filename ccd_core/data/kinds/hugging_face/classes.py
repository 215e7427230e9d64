"""The classes of a data set, and the targets of its pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ccd_core.data.kinds.hugging_face.columns import Columns
from ccd_core.data.kinds.hugging_face.unpacking import Unpacked
from ccd_core.data.listing.class_names import read_class_list
from ccd_core.data.listing.names import count_of, shown, some
from ccd_core.data.listing.text_files import clean
from ccd_core.errors import UserError


def class_names(
    root: Path, given: Path | None, columns: Columns, unpacked: dict[str, Unpacked]
) -> tuple[tuple[str, ...], Path | None, list[str]]:
    """The classes, the file that they come from or None, and sentences about that file."""
    listed = given or root / "classes.txt"
    if given is not None or listed.is_file():
        names, notes = read_class_list(listed)
        return names, listed, notes
    values = {value for one in unpacked.values() for labels in one.labels for value in labels or []}
    if columns.names is not None:
        names = tuple(map(clean, columns.names))
    elif not columns.path:
        raise UserError(
            f"{shown(root)} has pictures and no labels; write the names of the classes, one a line, into "
            f"{shown(listed)}, or give a file with --classes."
        )
    elif any(isinstance(value, int) for value in values):
        raise UserError(
            f"The labels of {shown(root)} are numbers, and nothing tells their names; write the names, one a "
            f"line and that of number 0 first, into {shown(listed)}."
        )
    else:
        names = tuple(sorted({clean(str(value)) for value in values} - {""}))
    twice = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if twice or "" in names or not names:
        what = f"names a class twice ({some(twice)})" if twice else "has a class without a name"
        if not names:
            what = f"has no label in the column {columns.path[0]}"
        raise UserError(
            f"{shown(root)} {what}; write the names of the classes, one a line, into {shown(listed)}."
        )
    return names, None, []


class Targets:
    """Makes targets, float32 [C], of the labels of a picture, and counts what fits no class."""

    def __init__(self, names: tuple[str, ...], columns: Columns):
        self.column = {name.casefold(): place for place, name in enumerate(names)}
        self.count = len(names)
        # A list of numbers is in the order of classes.txt only where the data set has no names of its own.
        self.names = names if columns.names is None else tuple(map(clean, columns.names))
        self.unknown: Counter[str] = Counter()

    def of(self, labels: list[int | str] | None) -> np.ndarray | None:
        if labels is None:
            return None
        targets = np.zeros(self.count, np.float32)
        for label in labels:
            name = clean(label) if isinstance(label, str) else self._name_of(label)
            column = self.column.get(name.casefold())
            if column is None:
                self.unknown[name] += 1
            else:
                targets[column] = 1
        return targets

    def _name_of(self, number: int) -> str:
        return self.names[number] if 0 <= number < len(self.names) else str(number)

    def notes(self) -> list[str]:
        if not self.unknown:
            return []
        labels = count_of(sum(self.unknown.values()), "label")
        return [f"Left out: {labels} of classes that are not in the list ({some(sorted(self.unknown))})."]
