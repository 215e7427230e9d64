"""Local views of some images: class maps, boxes, and CLIP's probabilities of the crops (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from ccd_core.clip.teacher import PromptedClip, batches_of_equal, normalise
from ccd_core.data.types import Box
from ccd_core.device_memory import to_device
from ccd_core.method.boxes import add_offset, within_area
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.views import (
    cam_boxes,
    crop_batch,
    crop_shape,
    moved_boxes,
    random_boxes,
    searched_threshold,
    view_threshold,
)
from ccd_core.settings.sections import MeanViews, SearchedViews, ViewSettings


@torch.inference_mode()
def class_maps_of(
    model: CamClassifier, pixels: Tensor, cam_size: int, accelerator: Accelerator
) -> tuple[Tensor, Tensor]:
    """Logits [B, C] and raw class activation maps [B, C, h, w], both float32 (Eq. 4).

    pixels: frames, uint8 [B, 3, S, S]. They are resized to `cam_size` x `cam_size` pixels first.
    """
    x = to_device(pixels, accelerator.device)
    if x.shape[-1] != cam_size:
        x = F.interpolate(
            x.float(), (cam_size, cam_size), mode="bilinear", align_corners=False, antialias=True
        )
    x = normalise(x)
    with accelerator.autocast():
        logits, cam = model(x.contiguous(memory_format=torch.channels_last), return_cam=True)
    return logits.float(), cam.float()


def chosen_threshold(scores: np.ndarray, settings: ViewSettings, seed: int) -> float:
    """The view threshold that the settings ask for (Sec. 4.3). A class whose score is above it gets a view.

    scores: [N, C] float32 probabilities of the classifier after warm-up. The settings give the threshold
    itself, or a mean number of views, or the parameters of the authors' search.
    """
    rule = settings.threshold
    if isinstance(rule, MeanViews):
        return view_threshold(scores, rule.mean_views)
    if isinstance(rule, SearchedViews):
        return searched_threshold(scores, rule.between, rule.images, rule.start, rule.step, seed)
    return float(rule)


class ChosenViews(NamedTuple):
    """V local views of some images. Boxes are in pixels of the frame."""

    image: np.ndarray  # [V] int, the index of the image that a view belongs to
    class_index: np.ndarray  # [V] int, the class that the view was chosen for
    cam_box: np.ndarray  # [V, 4] int, the box of the class's map
    box: np.ndarray  # [V, 4] int, the view, for example the CAM box grown by the offset


def choose_views(
    above: np.ndarray, cams: Tensor, size: tuple[int, int], settings: ViewSettings, rng: np.random.Generator
) -> ChosenViews:
    """Choose the views of B images, one for each class above the view threshold (Sec. 3.2).

    above: [B, C] bool, whether a class is above the view threshold; cams: [B, C, h, w] raw maps; size: (H, W)
    of the frame. A class with a constant map has no box, and so no view.
    """
    image, class_index = np.nonzero(above)
    if len(image):
        cam_box = cam_boxes(cams[image, class_index], size, settings.cam_threshold, 0, settings.box)
    else:
        cam_box = np.empty((0, 4), int)
    has_box = cam_box[:, 0] >= 0
    image, class_index, cam_box = image[has_box], class_index[has_box], cam_box[has_box]
    if settings.policy == "random":
        return ChosenViews(image, class_index, cam_box, random_boxes(len(cam_box), size, rng))
    box = add_offset(cam_box, settings.offset, size)
    box = within_area(box, size, settings.smallest, settings.largest)
    if settings.policy == "moved":
        box = moved_boxes(box, size, rng)
    return ChosenViews(image, class_index, cam_box, box)


def clip_probabilities(
    clip: PromptedClip, frames: Sequence[Tensor], views: Sequence[tuple[int, Box]]
) -> np.ndarray:
    """CLIP's class probabilities of V local views, float32 [V, C] (Eq. 2).

    frames: uint8 [3, H, W] each, on any device. views: the index of a frame, and a box in it. Views of the
    same shape share a batch. Each is cut out just before its batch is computed, so that waiting views take no
    memory.
    """
    settings = clip.settings
    shapes = [crop_shape(y1 - y0, x1 - x0, settings.size, clip.round_to) for _, (x0, y0, x1, y1) in views]
    p = np.empty((len(views), len(clip.text)), np.float32)
    # Probabilities stay on the device until all are there, so that the CPU does not wait for each batch.
    rows: list[int] = []
    answers: list[Tensor] = []
    for batch in batches_of_equal(shapes, clip.batch_size):
        chosen = [views[index] for index in batch]

        def one_pass(part: slice, chosen: list[tuple[int, Box]] = chosen) -> Tensor:
            crops = crop_batch(frames, chosen[part], settings.size, clip.round_to)
            return clip.view_probabilities(crops)

        answers += clip.limit.run(len(batch), one_pass)
        rows += batch
    if rows:
        p[rows] = torch.cat(answers).cpu().numpy()
    return p
