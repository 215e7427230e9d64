"""The one reader of YAML: settings files, runs, `--set`, the form on the page Train, links.

YAML can do more than settings need, and a file of a stranger can use it: ten lines of aliases stand for a
billion values, deep nesting ends the process, and what looks like a name or a time becomes a date or another
number. This reader knows mappings, lists, text, numbers, true, false and null, in files of a bounded size.
Everything else is refused in one sentence.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ccd_core.errors import UserError

MOST_BYTES = 8 * 2**20  # of a file: 20,000 class names take less than one megabyte
MOST_LETTERS = 100_000  # of a value that somebody types
MOST_DEPTH = 20  # mappings and lists inside each other
MOST_DIGITS = 18  # of a whole number: more do not fit into 64 bits
OPEN_FILES = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")  # pipes that a shell has opened for this command

_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same events; not built on every machine
# A byte of a file name that is not UTF-8, as Python writes it. Only the loader in Python reads it.
_BYTES_OF_NAMES = re.compile(r"\\u[dD][89a-fA-F]")
_PLAIN = yaml.SafeLoader.yaml_implicit_resolvers
_TRUTH = yaml.SafeLoader.bool_values


class NotYaml(UserError):
    """The text is not YAML, or more than this reader knows; says where and why, without the file's name."""


def read_yaml(path: str | Path, what: str = "The settings file") -> Any:
    """The value in a YAML file. Raises UserError that begins with `what` and names the file."""
    try:
        return load_yaml(path)
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror or error}.") from None
    except NotYaml as error:
        raise UserError(f"{what} {path} is not YAML: {error}") from None


def load_yaml(path: str | Path) -> Any:
    """As `read_yaml`, but raises OSError, or NotYaml without the file's name."""
    try:
        text = _content(Path(path)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotYaml("it is not UTF-8 text.") from None
    return parse_yaml(text, MOST_BYTES)


def parse_yaml(text: str, most_letters: int = MOST_LETTERS) -> Any:
    """The value that `text` stands for: dict, list, str, int, float, bool or None.

    Keys are text, as written. Raises NotYaml for everything that the head of this module does not name.

    >>> parse_yaml("labels: {alpha: 0.4, update: true}")
    {'labels': {'alpha': 0.4, 'update': True}}
    """
    if len(text) > most_letters:
        raise NotYaml(f"it has {len(text):,} characters; at most {most_letters:,} are read.")
    loader = yaml.SafeLoader if _BYTES_OF_NAMES.search(text) else _FAST
    try:
        return _value(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        problem = " ".join(str(error.problem or error.context or "it cannot be parsed").split())
        raise NotYaml(f"{_line(error.problem_mark or error.context_mark)}{problem}.") from None
    except yaml.YAMLError as error:
        raise NotYaml(f"{' '.join(str(error).split())}.") from None
    except UnicodeEncodeError:
        raise NotYaml("it has characters that are no text.") from None


def _content(path: Path) -> bytes:
    """What is in an ordinary file. Raises OSError, or NotYaml for any other file and for a large one."""
    if not str(path).startswith(OPEN_FILES) and not stat.S_ISREG(os.stat(path).st_mode):
        # Reading a pipe would wait for ever.
        raise NotYaml("it is a folder." if path.is_dir() else "it is no ordinary file.")
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise NotYaml(f"it has more than {MOST_BYTES // 2**20} megabytes.")
    return content


# -- values from events ------------------------------------------------------------------------------


@dataclass
class _Open:
    """A mapping or a list whose end has not been read; `key` is the one that waits for its value."""

    value: dict[str, Any] | list[Any]
    key: str | None = None
    seen: set[str] = field(default_factory=set)

    def add(self, item: Any, event: yaml.Event) -> None:
        if isinstance(self.value, list):
            self.value.append(item)
        elif self.key is None:
            self._take_key(event)
        else:
            self.value[self.key] = item
            self.key = None

    def _take_key(self, event: yaml.Event) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise NotYaml(f"{_line(event.start_mark)}a name before a colon is one word, no list or mapping.")
        if event.value in self.seen:
            raise NotYaml(f"{_line(event.start_mark)}{_short(event.value)} is there twice.")
        self.seen.add(event.value)
        self.key = event.value


def _value(events: Iterator[yaml.Event]) -> Any:
    """Build the document's value; a loop, so that no nesting exhausts the stack."""
    root = _Open([])
    waiting = [root]
    documents = 0
    for event in events:
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise NotYaml(f"{_line(event.start_mark)}a second document begins here; one is read.")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise NotYaml(
                f"{_line(event.start_mark)}& and * (anchors and aliases) are not read; write the value out, "
                "or put text that begins so in quotes."
            )
        if getattr(event, "tag", None):
            raise NotYaml(f"{_line(event.start_mark)}types ({_short(event.tag)}) are not read.")
        if isinstance(event, yaml.ScalarEvent):
            is_key = isinstance(waiting[-1].value, dict) and waiting[-1].key is None
            waiting[-1].add(event.value if is_key else _scalar(event), event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            inner = _Open({} if isinstance(event, yaml.MappingStartEvent) else [])
            if len(waiting) > MOST_DEPTH:
                raise NotYaml(f"{_line(event.start_mark)}it is nested more than {MOST_DEPTH} levels deep.")
            waiting[-1].add(inner.value, event)
            waiting.append(inner)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            waiting.pop()
    assert isinstance(root.value, list)
    return root.value[0] if root.value else None


def _scalar(event: yaml.ScalarEvent) -> Any:
    """Text, or what YAML 1.1 takes an unquoted word for where that is what people mean."""
    text = event.value
    kind = _kind(text) if event.implicit[0] else "str"
    if kind == "null":
        return None
    if kind == "bool":
        return _TRUTH[text.lower()]
    if kind not in ("int", "float"):
        return text  # dates, too: they are names of folders and runs
    line = _line(event.start_mark)
    if ":" in text:
        raise NotYaml(
            f"{line}{_short(text)} would be a number to the base of 60; put it in quotes if it is text."
        )
    return _whole(text, line) if kind == "int" else _fraction(text, line)


def _kind(text: str) -> str:
    for tag, pattern in _PLAIN.get(text[:1], []) + _PLAIN.get(None, []):
        if pattern.match(text):
            return tag.rpartition(":")[2]
    return "str"


def _whole(text: str, line: str) -> int:
    digits = text.replace("_", "").lower()
    if len(digits.lstrip("+-")) > MOST_DIGITS:
        raise NotYaml(
            f"{line}{_short(text)} has more than {MOST_DIGITS} digits; put it in quotes if it is text."
        )
    if "0x" in digits:
        return int(digits, 16)
    if "0b" in digits:
        return int(digits, 2)
    if re.fullmatch(r"[+-]?0[0-7]+", digits) and int(digits, 8) != int(digits):
        raise NotYaml(
            f"{line}{_short(text)} would be {int(digits, 8)}, a number to the base of 8; write it without "
            "the zero in front, or in quotes if it is text."
        )
    return int(digits)


def _fraction(text: str, line: str) -> float:
    words = text.replace("_", "").lower().lstrip("+-")
    number = math.nan if words in (".inf", ".nan") else float(text.replace("_", ""))
    if not math.isfinite(number):
        raise NotYaml(f"{line}{_short(text)} is no number that a setting can have.")
    return number


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _line(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}: "
