"""Which parts of an image to ask CLIP about, to see how its answer depends on the view (Fig. 1).

Boxes are (x0, y0, x1, y1) as fractions of the image, as `Predictor.clip_views` takes them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ccd_core.data.types import UnitBox

WHOLE: UnitBox = (0.0, 0.0, 1.0, 1.0)


def grid(side: float, places: int) -> np.ndarray:
    """[places, places, 4] boxes of `side` (share of the image's sides) evenly over the image, row by row."""
    start = np.linspace(0, 1 - side, places)
    y, x = np.meshgrid(start, start, indexing="ij")
    corner = np.stack([x, y], -1)
    return _rounded(np.concatenate([corner, corner + side], -1))


def growing(box: UnitBox, steps: int) -> np.ndarray:
    """[steps, 4] boxes from `box` to the whole image, every side moving evenly."""
    share = np.linspace(0, 1, steps)[:, None]
    return _rounded((1 - share) * np.array(box) + share * np.array(WHOLE))


def across(box: UnitBox, steps: int) -> np.ndarray:
    """[steps, 4] boxes of the size of `box`, as high in the image, from the left edge to the right."""
    x0, y0, x1, y1 = box
    left = np.linspace(0, 1 - (x1 - x0), steps)
    return _rounded(np.stack([left, np.full(steps, y0), left + (x1 - x0), np.full(steps, y1)], 1))


def parse_box(text: str, smallest: float = 0.05) -> UnitBox | None:
    """The box that the text "x0, y0, x1, y1" names; None where it names none.

    The box is moved into the image and made at least `smallest` wide and high.
    """
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        return None
    if not np.isfinite([x0, y0, x1, y1]).all() or x0 >= x1 or y0 >= y1:
        return None
    x0, y0 = (min(max(side, 0.0), 1 - smallest) for side in (x0, y0))
    return x0, y0, min(max(x1, x0 + smallest), 1.0), min(max(y1, y0 + smallest), 1.0)


def _rounded(boxes: np.ndarray) -> np.ndarray:
    """To 1e-4 of a side, so that the same box is the same question."""
    return np.clip(boxes.round(4), 0, 1)


# -- what CLIP says over the image -------------------------------------------------------------------


def finest_map(p: np.ndarray) -> np.ndarray | None:
    """The finest map of which everything is known: `p` [P, P, C] itself, every other place of it, or None.

    p: probabilities of the boxes of a `grid`, NaN where CLIP has not been asked.
    """
    return next((known for known in (p, p[::2, ::2]) if not np.isnan(known).any()), None)


def strongest_classes(probabilities: Sequence[np.ndarray], most: int, chosen: int | None) -> list[int]:
    """The `most` classes that CLIP sees most of anywhere, the strongest first.

    probabilities: arrays [..., C], NaN where CLIP has not been asked. The class `chosen` is always among
    them: it takes the last place where it does not belong to the strongest.
    """
    highest = np.nan_to_num(np.concatenate([p.reshape(-1, p.shape[-1]) for p in probabilities])).max(0)
    order = np.argsort(-highest, kind="stable")[:most].tolist()
    if chosen is not None and chosen not in order:
        order[-1] = chosen
    return order
