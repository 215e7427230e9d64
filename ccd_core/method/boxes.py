"""The offset that makes a CAM box a local view (Sec. 4.1), in numpy alone: the app uses it without torch."""

from __future__ import annotations

import numpy as np


def add_offset(boxes: np.ndarray, offset: int, size: tuple[int, int]) -> np.ndarray:
    """Boxes [M, 4] grown by `offset` pixels on every side and clipped to the frame `size` (H, W).

    Boxes are (x0, y0, x1, y1) in pixels of the frame. Rows of -1, which stand for no box, stay as they are.
    """
    height, width = size
    grown = boxes + np.array([-offset, -offset, offset, offset])
    clipped = np.clip(grown, 0, [width, height, width, height])
    return np.where(boxes[:, :1] < 0, -1, clipped)
