"""The image files of a run's data set, and smaller copies of them for the browser."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from app.reading.cached import cached_by, mtime_ns
from app.reading.ground_truth import find_image
from app.reading.readable_folders import data_folders, permitted
from app.reading.runs import known_runs, open_run
from ccd_core.data.decoding.images import read_image
from ccd_core.data.types import UnitBox
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

CROP_SIDE = 220  # pixels, longer side of a crop that stands above a figure


def image_path(run: Run, image: str) -> Path:
    """Where an image of the run's data set is. Raises UserError for one that is not on this machine."""
    path = find_image(run, image)
    if path is None:
        raise UserError(f"The data set of this run has no image {image!r} on this machine.")
    permitted(path, data_folders(run))  # where others reach the app, a link may not lead out
    return path


def image_of(run_name: str, image: str) -> tuple[Path, int]:
    """File of an image and when it was changed (ns), by names alone.

    Raises UserError for what the app does not show.
    """
    runs = known_runs()
    if run_name not in runs:
        raise UserError(f"There is no run {run_name!r}.")
    path = image_path(open_run(runs[run_name]), image)
    changed = mtime_ns(path)
    if not changed:
        raise UserError(f"The file of image {image!r} is gone.")
    return path, changed


@cached_by(copied=True, max_entries=2048)
def jpeg(path: Path, longer_side: int) -> bytes:
    """The image as JPEG, no larger than `longer_side`."""
    return _jpeg(Image.fromarray(read_image(path, at_least=longer_side)), longer_side)


def _jpeg(picture: Image.Image, longer_side: int) -> bytes:
    picture.thumbnail((longer_side, longer_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def data_url(path: Path, longer_side: int) -> str:
    """The same as an address that holds the image itself."""
    return _data_url(jpeg(path, longer_side))


def _data_url(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


@cached_by(copied=True, max_entries=64)
def crop_urls(path: Path, boxes: tuple[UnitBox, ...]) -> tuple[str, ...]:
    """Parts of an image, at least a pixel wide and high, as addresses that hold them."""
    picture = Image.fromarray(read_image(path, at_least=2 * CROP_SIDE))
    urls = []
    for box in boxes:
        x0, y0, x1, y1 = (round(side * size) for side, size in zip(box, picture.size * 2, strict=True))
        crop = picture.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
        urls.append(_data_url(_jpeg(crop, CROP_SIDE)))
    return tuple(urls)
