"""What one cell of a table of labels says: a class, a list of classes, or present and absent."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ccd_core.data.listing.text_files import clean

SEPARATORS = re.compile(r"[;|,\t\n]")
YES = ("true", "yes", "y", "t", "x", "✓", "✔", "✗", "present")
NO = ("", "false", "no", "n", "f", "nan", "na", "n/a", "none", "null", "absent")
NO_LABELS = ("", "nan", "na", "n/a", "none", "null", "-", "[]", "{}", "()", "no label", "no labels")


class ClassFinder:
    """Finds a class by its name as people write it: in any case, with _ or - for blanks."""

    def __init__(self, classes: Sequence[str]):
        self.classes = classes
        self.exact = {clean(name): row for row, name in enumerate(classes)}
        keys = Counter(class_key(name) for name in classes)
        self.similar = {
            class_key(name): row for row, name in enumerate(classes) if keys[class_key(name)] == 1
        }
        self.has_separators = any(SEPARATORS.search(name) for name in classes)

    def find(self, name: str) -> int | None:
        """The index of the class, or None."""
        name = clean(name)
        row = self.exact.get(name)
        if row is None:
            row = self.exact.get(name.strip("\"'"))
        return self.similar.get(class_key(name)) if row is None else row


def class_key(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", clean(name).strip("\"'").casefold())


def labels_in(cell: str) -> list[str]:
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


def segmentations(cell: str, finder: ClassFinder) -> list[list[int]]:
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


def truth_of(cell: str) -> float | None:
    """1 for present, 0 for absent, below 0 for absent as a negative number, None if not understood."""
    word = cell.strip().strip("\"'").casefold()
    if word in YES:
        return 1
    if word in NO:
        return 0
    number = number_in(word)
    return number if number is not None and (number in (0, 1) or -1 <= number < 0) else None


def number_in(cell: str) -> float | None:
    try:
        number = float(cell.replace(",", "."))
    except ValueError:
        return None
    return number if np.isfinite(number) else None
