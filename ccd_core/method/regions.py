"""The box of a class map's peak: the connected region that holds the highest value (Sec. 3.2, Eq. 4)."""

from __future__ import annotations

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
    from scipy.ndimage import find_objects, label

    height = min(size[0], FINEST)
    width = min(size[1], FINEST)
    maps = F.interpolate(cams[:, None].float(), (height, width), mode="bilinear", align_corners=False)[:, 0]
    low = maps.amin((1, 2), keepdim=True)
    span = maps.amax((1, 2), keepdim=True) - low + EPSILON
    values = ((maps - low) / span).cpu().numpy()
    boxes = np.full((len(values), 4), -1)
    for index, value in enumerate(values):
        regions, _ = label(value > threshold, structure=np.ones((3, 3)))
        own = regions.flat[value.argmax()]
        if own:
            rows, columns = find_objects(regions)[own - 1]
            boxes[index] = columns.start, rows.start, columns.stop, rows.stop
    scale = np.array([size[1] / width, size[0] / height] * 2)
    scaled = np.concatenate([np.floor(boxes[:, :2] * scale[:2]), np.ceil(boxes[:, 2:] * scale[2:])], 1)
    return np.where(boxes[:, :1] < 0, -1, scaled.astype(int))
