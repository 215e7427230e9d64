"""Pictures inside the page: small JPEGs, with boxes drawn over them as SVG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ccd_core.data.decoding.images import read_image
from ccd_core.data.types import UnitBox
from ccd_core.errors import ImageError
from ccd_core.report.markup import text

SIDE = 300  # pixels, the longer side
QUALITY = 78
SERIES = ("vermilion", "sky", "green")  # of the boxes of one picture


@dataclass(frozen=True)
class Box:
    """A box in fractions of the picture, with the class that it stands for."""

    sides: UnitBox
    name: str


def figure(path: Path, caption: str, words: Sequence[str] = (), boxes: Sequence[Box] = ()) -> str | None:
    """A picture with a caption, further words below it, and boxes. None if the file cannot be read."""
    try:
        picture = Image.fromarray(read_image(path, at_least=SIDE))
    except ImageError:
        return None
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    url = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    width, height = picture.size
    drawn = "".join(_box(box, SERIES[place % len(SERIES)], width, height) for place, box in enumerate(boxes))
    keys = "".join(
        f'<span><i class="{SERIES[place % len(SERIES)]}"></i>{text(box.name)}</span>'
        for place, box in enumerate(boxes)
    )
    said = "".join(f"<span>{text(word)}</span>" for word in words)
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(caption)}">'
        f'<image href="{url}" width="{width}" height="{height}"/>{drawn}</svg>'
        f"<figcaption><b>{text(caption)}</b>{keys}{said}</figcaption></figure>"
    )


def _box(box: Box, colour: str, width: int, height: int) -> str:
    x0, y0, x1, y1 = box.sides
    place = (
        f'x="{x0 * width:.1f}" y="{y0 * height:.1f}" width="{(x1 - x0) * width:.1f}" '
        f'height="{(y1 - y0) * height:.1f}"'
    )
    return f'<rect class="rim" {place}/><rect class="box {colour}" {place}/>'


def gallery(figures: Sequence[str]) -> str:
    return f'<div class="gallery">{"".join(figures)}</div>'
