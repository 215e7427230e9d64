"""Names of files as text that every file of a run can hold, and that can be shown.

A file name on Linux is a row of bytes. Archives from Windows often hold names that are not UTF-8. Python
reads the odd bytes of such a name as surrogates, which neither parquet nor UTF-8 can hold. In the text form
each odd byte is written as \\xNN, for example caf\\xe9.jpg. All other names are their own text form.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

NAMED = 3  # things that a sentence names; the others are counted
LONGEST_SHOWN = 120  # characters of one name in a sentence
_ESCAPED_BYTE = re.compile(r"\\x([0-9a-f]{2})")
_SURROGATE = re.compile("[\udc80-\udcff]")


def as_text(name: str) -> str:
    """The text form of a file name. `as_name` gives the name back, so no two names have one text form."""
    # A name that looks like a text form is escaped, too.
    text = _ESCAPED_BYTE.sub(lambda match: rf"\x5cx{match[1]}", name) if "\\x" in name else name
    return _SURROGATE.sub(lambda match: rf"\x{ord(match[0]) - 0xDC00:02x}", text)


def as_name(text: str) -> str:
    """The file name whose text form is `text`, as `os` takes it."""
    if "\\x" not in text:
        return text
    parts = _ESCAPED_BYTE.split(text)  # text, two digits, text, two digits, ..., text
    joined = b"".join(
        bytes.fromhex(part) if place % 2 else os.fsencode(part) for place, part in enumerate(parts)
    )
    return os.fsdecode(joined)


def shown(name: str | Path) -> str:
    """A file name for a sentence, on one line: control characters and odd bytes are escaped."""
    text = "".join(_escaped(character) for character in as_text(str(name)))
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 20]}...{text[-17:]}"


def _escaped(character: str) -> str:
    """A character as it is, or as Python writes it if it would break the line or could not be encoded."""
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return repr(character)[1:-1]
    return character


def some(names: Iterable[str], quoted: bool = True) -> str:
    """The first three names and how many more there are: 'a', 'b', 'c' and 4 more. Without any: none."""
    all_names = [f"'{shown(name)}'" if quoted else shown(name) for name in names]
    if len(all_names) > NAMED:
        return f"{', '.join(all_names[:NAMED])} and {len(all_names) - NAMED:,} more"
    if not all_names:
        return "none"
    *others, last = all_names
    return f"{', '.join(others)} and {last}" if others else last


def count_of(number: int, one: str, several: str | None = None) -> str:
    """A number and its noun: 1 row, 2 rows, 1,000 rows."""
    return f"1 {one}" if number == 1 else f"{number:,} {several or one + 's'}"
