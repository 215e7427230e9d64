"""What is wrong with a JPEG file that the decoder does not tell: a hole of zeros, and a missing end marker.

A download that lost a part may leave zeros in its place. The decoder makes noise or a grey area of them and
only warns. The structure of the file is described in ITU T.81, Annex B (markers) and Annex C (codes).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image

START = b"\xff\xd8\xff"
END = b"\xff\xd9"
HOLE_BYTES = 64  # shorter rows of zeros are not looked at
HUFFMAN_TABLES = 0xC4
START_OF_SCAN = 0xDA
WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
# In the coded data, FF is followed by 00 or by a restart marker. Any other marker ends it.
_END_OF_CODED = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def has_hole(content: bytes) -> bool:
    """Whether the coded data of a JPEG has a row of zeros that no encoder would write."""
    if content.find(bytes(HOLE_BYTES)) < 0:
        return False
    return any(
        content.find(bytes(HOLE_BYTES), begin, end) >= 0 and not zeros_are_normal
        for begin, end, zeros_are_normal in _scans(content)
    )


def _scans(content: bytes) -> Iterator[tuple[int, int, bool]]:
    """(begin, end, whether rows of zeros are normal in it) of the coded data of every scan."""
    tables: dict[int, int] = {}  # Huffman table -> the symbol whose code is all zeros
    place = 2
    while place + 4 <= len(content):
        if content[place] != 0xFF:
            return
        marker = content[place + 1]
        if marker == 0xFF or marker in WITHOUT_LENGTH:
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        body = content[place + 4 : place + 2 + length]
        place += 2 + max(length, 2)
        if marker == HUFFMAN_TABLES:
            tables |= _first_symbols(body)
        elif marker == START_OF_SCAN:
            found = _END_OF_CODED.search(content, place)
            end = found.start() if found else len(content)
            yield place, end, _zeros_are_normal(body, tables)
            place = end
        elif marker == END[1]:
            return


def _first_symbols(body: bytes) -> dict[int, int]:
    """For each Huffman table of a segment, the symbol with the first code, which consists of zeros."""
    found = {}
    place = 0
    while place + 17 < len(body):
        found[body[place]] = body[place + 17]
        place += 17 + sum(body[place + 1 : place + 17])
    return found


def _zeros_are_normal(header: bytes, tables: dict[int, int]) -> bool:
    """Whether zeros in a scan mean "as before" in each of its tables, as in an image of one colour.

    Zeros are also normal in the refinement scans of progressive files, which hold plain bits.
    """
    if not header or len(header) < 2 * header[0] + 4:
        return True
    components = header[2 : 2 + 2 * header[0] : 2]
    first, last, approximation = header[1 + 2 * header[0] : 4 + 2 * header[0]]
    if approximation >> 4:
        return True
    symbols = []
    for selected in components:
        if first == 0:
            symbols.append(tables.get(selected >> 4, 0))
        if last > 0:
            # The symbols E0, D0, ..., 00 all mean that nothing follows in one or in several blocks.
            symbols.append(0 if tables.get(0x10 | selected & 15, 0) & 15 == 0 else 1)
    return not any(symbols)


def without_end_marker(content: bytes) -> Image.Image | None:
    """The image in a JPEG that lacks its end marker and nothing else. None if a part of it is missing.

    The decoder fills missing parts with whatever follows. So the file is decoded several times, with other
    bits at its end. The picture is whole if they make no difference.
    """
    content = content.rstrip(b"\xff")
    decoded = []
    for filling in (b"", b"\x5a\xa5\x3c\xc3" * 16, b"\xd1\x1d\x2e\x72" * 16):
        with Image.open(io.BytesIO(content + filling + END), formats=("JPEG",)) as image:
            image.load()
            decoded.append(image)
    first, *others = (np.asarray(image) for image in decoded)
    return decoded[0] if all(np.array_equal(first, other) for other in others) else None
