"""What the classifier saw in an image, drawn over it: for Results and Predict."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from ccd_core.predict.overlay import overlay, picture
from ccd_core.runs.run import Run

LONGER_SIDE = 720


@st.cache_data(
    max_entries=64, show_spinner="Asking the model; the first time it takes a few seconds to start ..."
)
def _attended(
    model: loaders.Model, image: str, changed: int, classes: tuple[int, ...], _run: Run
) -> dict[str, Any]:
    return loaders.ask(_run, "attend", path=image, classes=list(classes))


def attended(run: Run, path: Path, classes: Sequence[int]) -> dict[str, Any]:
    """What `Predictor.attend` says of the classes: maps, boxes, and CLIP's opinion."""
    return _attended(loaders.model_key(run), str(path), datasets.changed_at(path), tuple(classes), run)


@st.cache_data(max_entries=64, show_spinner=False)
def drawn(
    path: str, changed: int, _cam: Any, box: Sequence[float] | None, what: tuple[loaders.Model, int]
) -> bytes:
    """The overlay as JPEG; `what` tells maps apart: whose, of which class."""
    buffer = io.BytesIO()
    overlay(picture(path, LONGER_SIDE), _cam, box).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def label_overlay(run: Run, path: Path, cls: int, among: Sequence[int] = ()) -> bytes:
    """The image with the heat and the frame of one class; asking for all of `among` at once makes the next click quick."""
    classes = tuple(among) if cls in among else (cls,)
    seen = attended(run, path, classes)
    place = classes.index(cls)
    return drawn(
        str(path),
        datasets.changed_at(path),
        seen["cam"][place],
        seen["boxes"][place],
        (loaders.model_key(run), cls),
    )
