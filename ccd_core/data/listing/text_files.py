"""Text files as editors and spreadsheets write them, in UTF-8, UTF-16 or Windows' code page.

`read_text` says in one sentence why a file cannot be read, and never waits for a pipe or a device.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import unicodedata
from pathlib import Path

from ccd_core.data.listing.names import shown
from ccd_core.errors import UserError

LARGEST_BYTES = 1_000_000_000
MOST_ODD_BYTES = 0.3  # of the letters in a text of Windows' code page; Western text has far fewer accents
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark begins with the same two bytes
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Characters without width that editors and web pages leave behind. Two others, the joiners U+200C and U+200D,
# belong to the spelling of some languages and are removed at the ends of a name only.
INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
JOINERS = "\u200c\u200d"


def read_text(path: Path, largest: int = LARGEST_BYTES) -> tuple[str, str | None]:
    """The text of a file, with \\n line ends, and the name of its encoding if that is not UTF-8, else None.

    Raises UserError if the file cannot be read, is larger than `largest` bytes, or is no text.
    """
    content = read_bytes(path, largest)
    text, encoding = _decode(content, path)
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def read_bytes(path: Path, largest: int = LARGEST_BYTES) -> bytes:
    """The content of an ordinary file of at most `largest` bytes. Raises UserError if it cannot be read."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{shown(path)} is a folder, not a file.")
        if not stat.S_ISREG(status.st_mode):  # a pipe or /dev/zero would never end
            raise UserError(f"{shown(path)} is not an ordinary file.")
        if status.st_size > largest:
            raise UserError(
                f"{shown(path)} is too large ({status.st_size / 1e6:,.0f} MB; "
                f"at most {largest / 1e6:,.0f} MB are read)."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"The file {shown(path)} is missing.") from None
    except PermissionError:
        raise UserError(f"{shown(path)} may not be read by this user; change its permissions.") from None
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}.") from None


def _decode(content: bytes, path: Path) -> tuple[str, str | None]:
    unreadable = UserError(f"{shown(path)} cannot be read as text; save it as text in UTF-8.")
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            try:
                text = content[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                raise unreadable from None
            return text, None if encoding == "utf-8" else encoding.upper()
    if b"\0" in content:
        return _decode_utf16(content, unreadable), "UTF-16"
    try:
        return content.decode("utf-8"), None
    except UnicodeDecodeError:
        pass
    letters = [byte for byte in content[:1_000_000] if byte > 127 or chr(byte).isalpha()]
    if sum(byte > 127 for byte in letters) > MOST_ODD_BYTES * len(letters):
        raise unreadable  # probably not a Western language, so the guess would make nonsense of it
    try:
        return content.decode("cp1252"), "Windows-1252 (Latin-1)"
    except UnicodeDecodeError:
        raise unreadable from None


def _decode_utf16(content: bytes, unreadable: UserError) -> str:
    """UTF-16 without a mark. Western text has a zero in every second byte, which tells the byte order."""
    half = len(content) // 2
    zeros = {"utf-16-be": content[0::2].count(0), "utf-16-le": content[1::2].count(0)}
    encoding, most = max(zeros.items(), key=lambda item: item[1])
    if len(content) % 2 or most < 0.5 * half or min(zeros.values()) > 0:
        raise unreadable
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise unreadable from None


def clean(text: str) -> str:
    """A name without what cannot be seen: in Unicode form NFC, without invisible characters, on one line."""
    if text.isascii() and text.isprintable():
        return text.strip()
    text = INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    text = "".join(" " if character.isspace() or not _is_text(character) else character for character in text)
    return text.strip().strip(JOINERS).strip()


def _is_text(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Zl", "Zp")
