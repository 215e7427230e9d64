"""The image files of a run's data set, and smaller copies of them for the browser."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from app.reading.cached import cached_by, mtime_ns
from app.reading.ground_truth import find_image
from app.reading.runs import known_runs, open_run
from ccd_core.data.images import read_image
from ccd_core.errors import UserError
from ccd_core.runs.run import Run


def image_path(run: Run, image: str) -> Path:
    """Where an image of the run's data set is. Raises UserError for one that is not on this machine."""
    path = find_image(run, image)
    if path is None:
        raise UserError(f"The data set of this run has no image {image!r} on this machine.")
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
    picture = Image.fromarray(read_image(path, at_least=longer_side))
    picture.thumbnail((longer_side, longer_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def data_url(path: Path, longer_side: int) -> str:
    """The same as an address that holds the image itself."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(path, longer_side)).decode()
