"""Text that an XML file can hold."""

from __future__ import annotations

import re

NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    r"""`text` without what XML 1.0 cannot hold even escaped: control characters are written as \xNN.

    >>> xml_text("a\x07b")
    'a\\x07b'
    """
    return NOT_IN_XML.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    """A character as \\xNN. Python reads a byte of a file name that is not UTF-8 as U+DC00 and that byte."""
    return rf"\x{ord(match[0]) & 0xFF:02x}" if ord(match[0]) < 0xFF00 else "\ufffd"
