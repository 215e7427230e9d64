"""Text that an XML file can hold."""

from __future__ import annotations

import re

from ccd_core.data.listing.names import as_text

NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    r"""`text` without what XML 1.0 cannot hold even escaped: control characters are written as \xNN.

    >>> xml_text("a\x07b")
    'a\\x07b'
    """
    return NOT_IN_XML.sub(lambda match: rf"\x{ord(match[0]):02x}", as_text(text))
