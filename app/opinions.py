"""What CLIP says of parts of an image: asked of the predictor a few crops at a time, and remembered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app import loaders
from ccd_core.runs import Run

AT_ONCE = 28  # crops in one question, so that there is progress to show and other questions get in between

Box = tuple[float, float, float, float]


@st.cache_resource(max_entries=24, show_spinner=False)
def _remembered(run_path: str, image_path: str, changed: int) -> dict[Box, list[float]]:
    return {}


def remembered(run: Run, path: Path) -> dict[Box, list[float]]:
    """Box (fractions of the image) -> probabilities [C]: what has been asked about this image; shared between sessions."""
    return _remembered(str(run.path), str(path), path.stat().st_mtime_ns)


def opinions(run: Run, path: Path, boxes: np.ndarray) -> np.ndarray:
    """[V, C] what CLIP says of the boxes [V, 4]. Raises UserError where CLIP's weights are missing."""
    for _ in asking(run, path, boxes):
        pass
    known = remembered(run, path)
    return np.array([known[key(box)] for box in boxes], np.float32).reshape(len(boxes), len(run.classes))


def asking(run: Run, path: Path, boxes: np.ndarray) -> Iterator[float]:
    """Ask about those of the boxes [V, 4] that are not known yet; yields the share that is."""
    known = remembered(run, path)
    missing = list(dict.fromkeys(key(box) for box in boxes if key(box) not in known))
    for begin in range(0, len(missing), AT_ONCE):
        part = missing[begin : begin + AT_ONCE]
        answer: dict[str, Any] = loaders.ask(run, "clip_views", path=str(path), boxes=[list(box) for box in part])
        known.update(zip(part, answer["p"], strict=True))
        yield min(1.0, (begin + len(part)) / len(missing))


def all_known(run: Run, path: Path, boxes: np.ndarray) -> bool:
    known = remembered(run, path)
    return all(key(box) in known for box in boxes)


def key(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = (round(float(side), 4) for side in box)
    return x0, y0, x1, y1
