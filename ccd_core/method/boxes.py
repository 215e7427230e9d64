"""From CAM boxes to local views (Sec. 4.1), in numpy alone: the app uses it without torch."""

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


def within_area(boxes: np.ndarray, size: tuple[int, int], smallest: float, largest: float) -> np.ndarray:
    """Boxes [M, 4] whose area is brought to between `smallest` and `largest`, shares of the frame (H, W).

    A box that is too large or too small is scaled about its centre, and then moved into the frame. Its shape
    stays, unless a side would be longer than the frame's. Rows of -1 stay as they are.
    """
    height, width = size
    sides = np.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]], 1).astype(float)
    share = np.maximum(sides.prod(1), 1) / (height * width)
    wanted = np.clip(share, smallest, largest)
    new = sides * np.sqrt(wanted / share)[:, None]
    for axis, most in enumerate((width, height)):  # what one side cannot have, the other gets
        other = 1 - axis
        over = new[:, axis] > most
        new[over, other] *= new[over, axis] / most
        new[over, axis] = most
    new = np.clip(np.rint(new), 1, [width, height])
    begin = np.rint((boxes[:, :2] + boxes[:, 2:] - new) / 2)
    begin = np.clip(begin, 0, np.array([width, height]) - new)
    scaled = np.concatenate([begin, begin + new], 1).astype(boxes.dtype)
    unchanged = (boxes[:, :1] < 0) | (wanted == share)[:, None]
    return np.where(unchanged, boxes, scaled)


def shares(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[M] the share of the frame `size` (H, W) that each of the boxes [M, 4] covers."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (size[0] * size[1])


def distinct(image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first view of each crop, [D] int in order, and for each of the V views which of the D it is.

    image: [V] int, the image of each view; boxes: [V, 4]. Two views are the same crop if image and box are.
    """
    keys = np.concatenate([np.asarray(image)[:, None], boxes], 1)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[inverse.reshape(-1)]
