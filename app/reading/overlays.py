"""What the classifier saw in an image, drawn over it, for the pages Results and Predict."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.reading.asking.predictor import MODEL_FILES, attend
from app.reading.cached import cached_by
from ccd_core.predict.overlay import overlay, picture
from ccd_core.runs.run import Run

LONGER_SIDE = 720  # pixels


@cached_by(*MODEL_FILES, copied=True, max_entries=64)
def _drawn(run: Run, path: Path, cls: int, box: Sequence[float] | None, _cam: Any) -> bytes:
    """The overlay as JPEG. The map belongs to run, image and class, so it needs no part in the key."""
    buffer = io.BytesIO()
    overlay(picture(str(path), LONGER_SIDE), _cam, box).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def label_overlay(run: Run, path: Path, cls: int, among: Sequence[int] = ()) -> bytes:
    """The image with the heat and the frame of one class, as JPEG.

    Asking for all classes of `among` at once makes the next click on one of them quick.
    """
    classes = tuple(among) if cls in among else (cls,)
    seen = attend(run, path, classes)
    place = classes.index(cls)
    return _drawn(run, path, cls, seen["boxes"][place], seen["cam"][place])
