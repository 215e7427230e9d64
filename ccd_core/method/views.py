"""From class activation maps to local views: CAM -> box -> crop (Sec. 3.2, 4.1).

All boxes are (x0, y0, x1, y1) integers, half-open, in pixels of the frame: the square that the image was resized to.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Box = tuple[int, int, int, int]
SMALLEST_SIDE = 32  # pixels; CLIP's towers see nothing in less, so a thinner view is stretched to it
EPSILON = 1e-5  # in the denominator of the normalisation; a map with less range than this has no box


def normalize_cam(cam: Tensor) -> Tensor:
    """Each map of [..., h, w] on its own to [0, 1], for display; a constant map becomes zeros."""
    low, high = cam.amin((-2, -1), keepdim=True), cam.amax((-2, -1), keepdim=True)
    return (cam - low) / (high - low + EPSILON)


class AxisMaxima:
    """Highest normalised value of every row and column of each map: enough to give its box at any threshold.

    cams: [M, h, w] raw maps. They are resized bilinearly to `size` (H, W) and only then normalised, each on its own. Between two
    cells of the raw map the resized one is linear, so its extremes lie at the first or the last pixel there: of a row of
    640 pixels over 20 cells, 42 are computed.
    """

    def __init__(self, cams: Tensor, size: tuple[int, int]):
        self.cams, self.size = cams.float(), size
        down, across = (
            _Axis(pixels, cells, cams.device) for pixels, cells in zip(size, cams.shape[1:], strict=True)
        )
        wide = across.resize(
            self.cams, 2, across.breakpoints
        )  # columns before rows, as torch does, so that rounding is the same
        rows = down.resize(wide, 1).amax(2)  # [M, H]
        columns = down.resize(across.resize(self.cams, 2), 1, down.breakpoints).amax(1)  # [M, W]
        low = down.resize(wide, 1, down.breakpoints).amin((1, 2))
        self.low, self.range = low[:, None], (rows.amax(1) - low + EPSILON)[:, None]
        self.rows = ((rows - self.low) / self.range).cpu().numpy()
        self.columns = ((columns - self.low) / self.range).cpu().numpy()

    def extents(self, threshold: float) -> np.ndarray:
        """[M, 4] int smallest boxes around the pixels above `threshold`; -1 where there is none."""
        x0, x1, _ = _first_and_last(self.columns > threshold)
        y0, y1, found = _first_and_last(self.rows > threshold)
        return np.where(found[:, None], np.stack([x0, y0, x1, y1], 1), -1)

    def first_last(self, threshold: float) -> np.ndarray:
        """[M, 4] like `extents`, but spanned by the first and the last such pixel in row order, as the authors' code does."""
        maps = F.interpolate(self.cams[:, None], self.size, mode="bilinear", align_corners=False)[:, 0]
        above = ((maps - self.low[..., None]) / self.range[..., None] > threshold).flatten(1).cpu().numpy()
        first, last, found = _first_and_last(above)
        (y_first, x_first), (y_last, x_last) = (
            np.divmod(first, self.size[1]),
            np.divmod(last - 1, self.size[1]),
        )
        boxes = np.stack([np.minimum(x_first, x_last), y_first, np.maximum(x_first, x_last), y_last], 1)
        return np.where(found[:, None], boxes, -1)


class _Axis:
    """Bilinear resizing of one axis from `cells` to `pixels`, at all pixels or at some (half-pixel centres, as in torch)."""

    def __init__(self, pixels: int, cells: int, device: torch.device):
        place = ((torch.arange(pixels, device=device) + 0.5) * (cells / pixels) - 0.5).clamp(min=0)
        self.before = place.long()
        self.after = (self.before + 1).clamp(max=cells - 1)
        self.weight = place - self.before
        change = self.before.diff() > 0
        edge = torch.ones(1, dtype=torch.bool, device=device)
        self.breakpoints = (torch.cat([change, edge]) | torch.cat([edge, change])).nonzero()[
            :, 0
        ]  # [T] pixels beside a cell's centre

    def resize(self, maps: Tensor, axis: int, pixels: Tensor | None = None) -> Tensor:
        """`maps` [M, h, w] with `axis` (1 or 2) resized."""
        before, after, weight = (
            x if pixels is None else x[pixels] for x in (self.before, self.after, self.weight)
        )
        weight = weight[:, None] if axis == 1 else weight
        return maps.index_select(axis, before) * (1 - weight) + maps.index_select(axis, after) * weight


def _first_and_last(above: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First True, one past the last True, and whether there is any, in each row of [M, L]."""
    return above.argmax(1), above.shape[1] - above[:, ::-1].argmax(1), np.asarray(above.any(1))


def add_offset(boxes: np.ndarray, offset: int, size: tuple[int, int]) -> np.ndarray:
    """Boxes [M, 4] grown by `offset` on every side and clipped to the frame `size` (H, W); -1 rows stay."""
    grown = boxes + np.array([-offset, -offset, offset, offset])
    clipped = np.clip(grown, 0, [size[1], size[0], size[1], size[0]])
    return np.where(boxes[:, :1] < 0, -1, clipped)


def cam_boxes(
    cams: Tensor, size: tuple[int, int], threshold: float = 0.95, offset: int = 80, box: str = "extent"
) -> np.ndarray:
    """[M, 4] int boxes of the maps [M, h, w] in a frame of `size` (H, W), -1 where a map is flat."""
    profile = AxisMaxima(cams, size)
    boxes = profile.extents(threshold) if box == "extent" else profile.first_last(threshold)
    return add_offset(boxes, offset, size)


def cam_box(cam: Tensor, size: tuple[int, int], threshold: float = 0.95, offset: int = 80) -> Box | None:
    """The view that one raw map [h, w] asks for: the box of its pixels above `threshold`, plus `offset` pixels.

    The map is resized bilinearly to `size` (H, W), then normalised to [0, 1], then thresholded. None for a flat map.
    """
    box = cam_boxes(cam[None], size, threshold, offset)[0]
    return None if box[0] < 0 else tuple(int(side) for side in box)  # type: ignore[return-value]


def view_threshold(scores: np.ndarray, mean_views: float) -> float:
    """The score above which on average `mean_views` classes of an image lie (Sec. 4.3), exactly: a quantile.

    scores: [N, C] in [0, 1]. Asking for C views or more gives -1 (every class); ties at the quantile give fewer views.
    """
    wanted = round(mean_views * len(scores))
    if wanted >= scores.size:
        return -1.0
    return float(np.partition(scores.ravel(), scores.size - wanted - 1)[scores.size - wanted - 1])


def searched_threshold(
    scores: np.ndarray, between: tuple[float, float], images: int, start: float, step: float, seed: int
) -> float:
    """The authors' search for the view threshold (train.py): it rises until the mean number of views lies in between.

    scores: [N, C] float32 in [0, 1]. Each threshold is tried on the next `images` images of a shuffled order, the first on one more; where
    the images run out, the threshold stays as it is. A score equal to it counts, so what is returned lies just below.
    """
    order, threshold = np.random.default_rng(seed).permutation(len(scores)), start
    for end in range(images, len(scores), images):
        block = scores[order[0 if end == images else end - images + 1 : end + 1]]
        if between[0] < (block >= threshold).sum() / images < between[1]:
            break
        threshold += step
    return float(np.nextafter(np.float32(threshold), np.float32(0)))


def random_boxes(count: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """[count, 4] boxes of 8 to 50 % of the frame's area anywhere in it: the control for CAM boxes."""
    area, aspect = rng.uniform(0.08, 0.5, count), np.exp(rng.uniform(-0.5, 0.5, count))
    width = np.minimum(np.sqrt(area * aspect), 1) * size[1]
    height = np.minimum(np.sqrt(area / aspect), 1) * size[0]
    return _at_random(width.astype(int), height.astype(int), size, rng)


def moved_boxes(boxes: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The boxes [M, 4] at random places: the control that keeps number and sizes of the views."""
    return _at_random(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1], size, rng)


def _at_random(
    width: np.ndarray, height: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    x, y = rng.integers(0, size[1] - width + 1), rng.integers(0, size[0] - height + 1)
    return np.stack([x, y, x + width, y + height], 1)


def crop_views(
    image: Tensor, boxes: Iterable[Box], longer_side: int = 640, round_to: int = 1
) -> list[Tensor]:
    """Cut the boxes from `image` [3, H, W] and resize each to `longer_side`, keeping its aspect ratio (Sec. 4.1).

    Lengths are truncated to whole pixels as in the authors' code or, with `round_to` above 1, rounded to multiples
    of it, so that many views have the same shape and can share a batch.
    """
    crops = []
    for x0, y0, x1, y1 in boxes:
        shape = crop_shape(y1 - y0, x1 - x0, longer_side, round_to)
        crop = image[None, :, y0:y1, x0:x1].float()
        crops.append(
            F.interpolate(
                crop,
                shape,
                mode="bilinear",
                align_corners=False,
                antialias=max(y1 - y0, x1 - x0) > longer_side,
            )[0]
        )
    return crops


def crop_shape(height: int, width: int, longer_side: int, round_to: int = 1) -> tuple[int, int]:
    # In float32 and in this order, as in the code: one view in ten ends with a longer side of 639.
    scale = np.float32(1) / np.float32(max(height, width)) * np.float32(longer_side)
    sides = int(np.float32(height) * scale), int(np.float32(width) * scale)
    if round_to == 1:
        return max(sides[0], SMALLEST_SIDE), max(sides[1], SMALLEST_SIDE)
    rounded = [max(SMALLEST_SIDE, round(side / round_to) * round_to) for side in sides]
    return rounded[0], rounded[1]
