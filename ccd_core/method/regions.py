"""The box of a class map's peak: the connected region that holds the highest value (Sec. 3.2, Eq. 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-5  # added to a map's range before the division by it; keeps a constant map free of boxes
FINEST = 160  # points of a side at which a map is looked at; boxes are exact to a 160th of the frame


def peak_boxes(cams: Tensor, size: tuple[int, int], threshold: float) -> np.ndarray:
    """[M, 4] int, the box of each map's peak in a frame of `size` (H, W), or -1 for a constant map.

    cams: [M, h, w] raw maps. Each is resized bilinearly and normalised to [0, 1] on its own. Its pixels above
    `threshold` may lie in several regions. Only the one that holds the highest pixel counts, where pixels
    touch that share a side or a corner. A box around all regions (`extent`) often is nearly the whole image.
    """
    return peak_boxes_at(cams, size, [threshold])[0]


def peak_boxes_at(cams: Tensor, size: tuple[int, int], thresholds: Sequence[float]) -> np.ndarray:
    """[T, M, 4] int, `peak_boxes` at each of T thresholds."""
    from scipy.ndimage import find_objects, label

    height = min(size[0], FINEST)
    width = min(size[1], FINEST)
    maps = F.interpolate(cams[:, None].float(), (height, width), mode="bilinear", align_corners=False)[:, 0]
    low = maps.amin((1, 2), keepdim=True)
    span = maps.amax((1, 2), keepdim=True) - low + EPSILON
    values = ((maps - low) / span).cpu().numpy()
    touching = np.ones((3, 3))
    boxes = np.full((len(thresholds), len(values), 4), -1)
    for index, value in enumerate(values):
        peak = value.argmax()
        for step, threshold in enumerate(thresholds):
            regions, _ = label(value > threshold, structure=touching)
            own = regions.flat[peak]
            if own:
                rows, columns = find_objects(regions, own)[own - 1]
                boxes[step, index] = columns.start, rows.start, columns.stop, rows.stop
    scale = np.array([size[1] / width, size[0] / height])
    begin = np.floor(boxes[..., :2] * scale).astype(int)
    end = np.ceil(boxes[..., 2:] * scale).astype(int)
    return np.where(boxes[..., :1] < 0, -1, np.concatenate([begin, end], -1))
