"""Ways to damage bytes, and values that are odd wherever they stand."""

from __future__ import annotations

import random
from typing import Any

MANY = "1" * 5000
NUMBERS_OF_NO_USE = ["NaN", "Infinity", "-Infinity", "1e400"]  # as JSON of Python reads them
ODD_JSON = ["[]", "null", '"x"', "5", "true", "{}", "[1, 2", "[" * 100_000, '{"a": ' * 3000, MANY, "", "\0"]
ODD_LEAVES: list[Any] = [None, "x", [], {}, -1, 10**30, 1e308, float("nan"), float("inf"), True, "\ud800", ""]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The bytes with one kind of damage that disks, networks and editors do."""
    kind = chance.choice(["cut", "flip", "zeros", "insert", "double", "text", "noise", "remove"])
    at = chance.randrange(len(content) + 1)
    if kind == "cut":
        return content[: chance.choice([0, 1, len(content) // 2, max(0, len(content) - 1), at])]
    if kind == "flip" and content:
        flipped = bytearray(content)
        for _ in range(chance.choice([1, 1, 3, 30])):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        return bytes(flipped)
    if kind == "zeros":
        return content[:at] + bytes(min(512, len(content) - at)) + content[at + 512 :]
    if kind == "insert":
        return content[:at] + chance.randbytes(chance.choice([1, 7, 400])) + content[at:]
    if kind == "double":
        return content + content
    if kind == "text":
        return chance.choice([b"\xff\xfe", b"\xef\xbb\xbf" + content, b"words", b"<html>", b"\0" * 5000])
    if kind == "noise":
        return chance.randbytes(len(content))
    return content[:at] + content[at + chance.choice([1, 10, 1000]) :]


def with_odd_leaf(value: Any, chance: random.Random) -> Any:
    """Nested lists and mappings in which one value, or one whole part, is odd or gone."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        return value | {key: with_odd_leaf(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        row = chance.randrange(len(value))
        return [*value[:row], with_odd_leaf(value[row], chance), *value[row + 1 :]]
    return chance.choice(ODD_LEAVES)
