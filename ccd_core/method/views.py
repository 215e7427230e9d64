"""From class activation maps (CAMs) to boxes, and from boxes to crops, the local views (Sec. 3.2, 4.1).

All boxes are half-open integers (x0, y0, x1, y1) in pixels of the frame, the square that the image was
resized to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ccd_core.data.types import Box
from ccd_core.device_memory import to_device
from ccd_core.method.boxes import add_offset
from ccd_core.method.regions import EPSILON, peak_boxes

SMALLEST_SIDE = 32  # pixels; CLIP's image towers need that many, so a thinner view is stretched


def normalize_cam(cam: Tensor) -> Tensor:
    """Normalise each map of [..., h, w] on its own to [0, 1], for display. A constant map becomes zeros."""
    low = cam.amin((-2, -1), keepdim=True)
    high = cam.amax((-2, -1), keepdim=True)
    return (cam - low) / (high - low + EPSILON)


class AxisMaxima:
    """The highest normalised value of each row and column of M maps. They give the boxes at any threshold.

    cams: [M, h, w] raw maps. Each is resized bilinearly to `size` (H, W) and then normalised on its own.

    Between the centres of two cells of a raw map, the resized map is linear. So its extremes lie at the first
    or the last pixel there, and only those pixels are computed: 42 of a row of 640 pixels over 20 cells.
    """

    def __init__(self, cams: Tensor, size: tuple[int, int]):
        self.cams = cams.float()
        self.size = size
        down = _Axis(size[0], cams.shape[1], cams.device)
        across = _Axis(size[1], cams.shape[2], cams.device)
        # Columns are resized before rows, as torch does, so that values are rounded in the same way.
        wide = across.resize(self.cams, 2, across.breakpoints)
        rows = down.resize(wide, 1).amax(2)  # [M, H]
        columns = down.resize(across.resize(self.cams, 2), 1, down.breakpoints).amax(1)  # [M, W]
        low = down.resize(wide, 1, down.breakpoints).amin((1, 2))
        self.low = low[:, None]
        self.range = (rows.amax(1) - low + EPSILON)[:, None]
        self.rows = ((rows - self.low) / self.range).cpu().numpy()
        self.columns = ((columns - self.low) / self.range).cpu().numpy()

    def extents(self, threshold: float) -> np.ndarray:
        """[M, 4] int, the smallest box around all pixels above `threshold`, or -1 if there is none."""
        x0, x1, _ = _first_and_last(self.columns > threshold)
        y0, y1, found = _first_and_last(self.rows > threshold)
        return np.where(found[:, None], np.stack([x0, y0, x1, y1], 1), -1)

    def first_last(self, threshold: float) -> np.ndarray:
        """[M, 4] int, the boxes of the authors' code, or -1 if no pixel is above `threshold`.

        They span only the first and the last pixel above the threshold, in the order of rows.
        """
        maps = F.interpolate(self.cams[:, None], self.size, mode="bilinear", align_corners=False)[:, 0]
        above = ((maps - self.low[..., None]) / self.range[..., None] > threshold).flatten(1).cpu().numpy()
        first, last, found = _first_and_last(above)
        y_first, x_first = np.divmod(first, self.size[1])
        y_last, x_last = np.divmod(last - 1, self.size[1])
        boxes = np.stack([np.minimum(x_first, x_last), y_first, np.maximum(x_first, x_last), y_last], 1)
        return np.where(found[:, None], boxes, -1)


class _Axis:
    """Bilinear resizing of one axis from `cells` to `pixels`, with half-pixel centres as in torch."""

    def __init__(self, pixels: int, cells: int, device: torch.device):
        position = ((torch.arange(pixels, device=device) + 0.5) * (cells / pixels) - 0.5).clamp(min=0)
        self.before = position.long()  # [pixels] the cell whose centre lies before a pixel
        self.after = (self.before + 1).clamp(max=cells - 1)
        self.weight = position - self.before  # of the cell `after`
        change = self.before.diff() > 0
        edge = torch.ones(1, dtype=torch.bool, device=device)
        beside_a_centre = torch.cat([change, edge]) | torch.cat([edge, change])
        self.breakpoints = beside_a_centre.nonzero()[:, 0]  # [T] pixels on either side of a cell's centre

    def resize(self, maps: Tensor, axis: int, pixels: Tensor | None = None) -> Tensor:
        """`maps` [M, h, w] with `axis` (1 or 2) resized, at all pixels or at `pixels` only."""
        chosen = slice(None) if pixels is None else pixels
        before = maps.index_select(axis, self.before[chosen])
        after = maps.index_select(axis, self.after[chosen])
        weight = self.weight[chosen]
        if axis == 1:
            weight = weight[:, None]
        return before * (1 - weight) + after * weight


def _first_and_last(above: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each row of [M, L]: index of the first True, one past the last True, and whether there is any."""
    return above.argmax(1), above.shape[1] - above[:, ::-1].argmax(1), np.asarray(above.any(1))


def cam_boxes(
    cams: Tensor, size: tuple[int, int], threshold: float = 0.95, offset: int = 80, box: str = "extent"
) -> np.ndarray:
    """`cam_box` of M raw maps [M, h, w]: [M, 4] int, with a row of -1 for a constant map.

    box: `extent` takes all pixels above the CAM threshold, `peak` those connected with the highest one,
    `first_last` is the rule of the authors' code.
    """
    if box == "peak":
        return add_offset(peak_boxes(cams, size, threshold), offset, size)
    maxima = AxisMaxima(cams, size)
    boxes = maxima.extents(threshold) if box == "extent" else maxima.first_last(threshold)
    return add_offset(boxes, offset, size)


def cam_box(cam: Tensor, size: tuple[int, int], threshold: float = 0.95, offset: int = 80) -> Box | None:
    """The local view of one raw map [h, w]: the box of its pixels above the CAM threshold, plus the offset.

    The map is first resized bilinearly to `size` (H, W) and then normalised to [0, 1]. The offset, in pixels,
    is added on every side. Returns None for a constant map (Sec. 3.2, 4.1).
    """
    box = cam_boxes(cam[None], size, threshold, offset)[0]
    return None if box[0] < 0 else tuple(int(side) for side in box)  # type: ignore[return-value]


def view_threshold(scores: np.ndarray, mean_views: float) -> float:
    """The score above which lie, on average, `mean_views` classes of an image, an exact quantile (Sec. 4.3).

    scores: [N, C] in [0, 1]. If `mean_views` is C or more, the threshold is -1, so every class gets a view.
    If several scores equal the quantile, there are fewer views.
    """
    wanted = round(mean_views * len(scores))
    if wanted >= scores.size:
        return -1.0
    rank = scores.size - wanted - 1
    return float(np.partition(scores.ravel(), rank)[rank])


def searched_threshold(
    scores: np.ndarray, between: tuple[float, float], images: int, start: float, step: float, seed: int
) -> float:
    """The view threshold as the authors' code searches for it (train.py).

    It begins at `start` and rises by `step` until the mean number of views lies in the open interval
    `between`. Each threshold is tried on the next `images` images of a shuffled order, the first one on one
    image more. After the last image, the threshold stays as it is.

    scores: [N, C] float32 in [0, 1]. In the authors' code a class with a score equal to the threshold gets a
    view. Here only higher scores do, so the next smaller float32 is returned.
    """
    order = np.random.default_rng(seed).permutation(len(scores))
    threshold = start
    for end in range(images, len(scores), images):
        begin = 0 if end == images else end - images + 1
        block = scores[order[begin : end + 1]]
        if between[0] < (block >= threshold).sum() / images < between[1]:
            break
        threshold += step
    return float(np.nextafter(np.float32(threshold), np.float32(0)))


def random_boxes(count: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """[count, 4] boxes anywhere in the frame, with 8 to 50 % of its area. They are a control for CAM boxes.

    size: (H, W) of the frame.
    """
    area = rng.uniform(0.08, 0.5, count)
    aspect = np.exp(rng.uniform(-0.5, 0.5, count))
    width = np.minimum(np.sqrt(area * aspect), 1) * size[1]
    height = np.minimum(np.sqrt(area / aspect), 1) * size[0]
    return _at_random(width.astype(int), height.astype(int), size, rng)


def moved_boxes(boxes: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The boxes [M, 4] moved to random places in a frame of `size` (H, W).

    They are a control that keeps the number and the sizes of the views.
    """
    return _at_random(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1], size, rng)


def _at_random(
    width: np.ndarray, height: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    x = rng.integers(0, size[1] - width + 1)
    y = rng.integers(0, size[0] - height + 1)
    return np.stack([x, y, x + width, y + height], 1)


def crop_views(
    image: Tensor, boxes: Iterable[Box], longer_side: int = 640, round_to: int = 1
) -> list[Tensor]:
    """Cut the boxes from `image` [3, H, W] and resize each crop, keeping its aspect ratio (Sec. 4.1).

    longer_side: pixels of a resized crop's longer side. `crop_shape` says how lengths are rounded. Returns
    one float32 tensor [3, h, w] for each box.
    """
    crops = []
    for x0, y0, x1, y1 in boxes:
        crop = image[None, :, y0:y1, x0:x1].float()
        shape = crop_shape(y1 - y0, x1 - x0, longer_side, round_to)
        shrinks = max(y1 - y0, x1 - x0) > longer_side
        crops.append(F.interpolate(crop, shape, mode="bilinear", align_corners=False, antialias=shrinks)[0])
    return crops


def crop_batch(
    frames: Sequence[Tensor], views: Sequence[tuple[int, Box]], longer_side: int = 640, round_to: int = 1
) -> Tensor:
    """The crops of views of one shape, float32 [V, 3, h, w], with the values of `crop_views`.

    frames: uint8 [3, H, W] each, all of one size. views: the index of a frame, and a box in it. All have the
    same `crop_shape`. On a GPU all are cut and resized at once (`cut_at_once`), except those that shrink.
    """
    shrink = any(max(x1 - x0, y1 - y0) > longer_side for _, (x0, y0, x1, y1) in views)
    if frames[views[0][0]].device.type == "cuda" and not shrink:
        x0, y0, x1, y1 = views[0][1]
        return cut_at_once(frames, views, crop_shape(y1 - y0, x1 - x0, longer_side, round_to))
    crops = [crop_views(frames[frame], [box], longer_side, round_to)[0] for frame, box in views]
    return torch.stack(crops)


def cut_at_once(frames: Sequence[Tensor], views: Sequence[tuple[int, Box]], shape: tuple[int, int]) -> Tensor:
    """Views cut and enlarged to `shape` (h, w) with a few kernels for all, float32 [V, 3, h, w].

    Each pixel of a crop lies between four of the frame, as in torch's bilinear resizing with half-pixel
    centres. Their indices are computed for all views together, so a batch of views needs as many kernels as
    one view does. Values differ from `crop_views` by rounding, less than 1e-3 of 255.
    """
    used = sorted({frame for frame, _ in views})
    place = {frame: row for row, frame in enumerate(used)}
    stacked = torch.stack([frames[frame] for frame in used]).permute(0, 2, 3, 1)  # [F, H, W, 3]
    device = stacked.device
    numbers = to_device(torch.tensor([[place[frame], *box] for frame, box in views]), device)
    which, x0, y0, x1, y1 = numbers[:, :, None].unbind(1)
    top, bottom, down = _between(y0, y1, shape[0])
    left, right, across = _between(x0, x1, shape[1])
    which = which[:, :, None]
    across = across[:, None, :, None]

    def row(y: Tensor) -> Tensor:
        """The frames' rows `y` [V, h], resized along x: [V, h, w, 3]."""
        before = stacked[which, y[:, :, None], left[:, None]].float()
        after = stacked[which, y[:, :, None], right[:, None]].float()
        return before * (1 - across) + after * across

    down = down[:, :, None, None]
    return (row(top) * (1 - down) + row(bottom) * down).permute(0, 3, 1, 2)


def _between(first: Tensor, end: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each of `length` pixels of a crop: the two pixels of the frame around it, and the second's weight.

    first, end: [V, 1] int, the sides of the boxes. Returns three tensors [V, length].
    """
    size = end - first
    steps = torch.arange(length, device=first.device) + 0.5
    position = (steps * (size / length) - 0.5).clamp(min=0)
    before = position.long()
    after = torch.minimum(before + 1, size - 1)
    return first + before, first + after, position - before


def crop_shape(height: int, width: int, longer_side: int, round_to: int = 1) -> tuple[int, int]:
    """(height, width) in pixels of a crop of `height` x `width` pixels after resizing.

    Lengths are truncated to whole pixels, as in the authors' code. With `round_to` above 1 they are rounded
    to its multiples, so that many views have the same shape and can share a batch. Both are at least
    `SMALLEST_SIDE`.
    """
    # Computed in float32 and in this order, as in the authors' code. One view in ten gets a longer side of
    # 639.
    scale = np.float32(1) / np.float32(max(height, width)) * np.float32(longer_side)
    sides = int(np.float32(height) * scale), int(np.float32(width) * scale)
    if round_to == 1:
        return max(sides[0], SMALLEST_SIDE), max(sides[1], SMALLEST_SIDE)
    rounded = [max(SMALLEST_SIDE, round(side / round_to) * round_to) for side in sides]
    return rounded[0], rounded[1]
