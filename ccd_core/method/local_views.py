"""Local views of some images: class maps, boxes, and what CLIP says of the crops (Sec. 3.2, Eq. 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from ccd_core.clip.teacher import PromptedClip, batches_of_equal, normalise
from ccd_core.config import MeanViews, SearchedViews, ViewSettings
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.views import (
    Box,
    add_offset,
    cam_boxes,
    crop_shape,
    crop_views,
    moved_boxes,
    random_boxes,
    searched_threshold,
    view_threshold,
)


@torch.inference_mode()
def class_maps_of(
    model: CamClassifier, pixels: Tensor, cam_size: int, accelerator: Accelerator
) -> tuple[Tensor, Tensor]:
    """Logits [B, C] and raw maps [B, C, h, w] in float32 of frames [B, 3, S, S] uint8."""
    x = pixels.to(accelerator.device)
    if x.shape[-1] != cam_size:
        x = F.interpolate(
            x.float(), (cam_size, cam_size), mode="bilinear", align_corners=False, antialias=True
        )
    x = normalise(x)
    with accelerator.autocast():
        logits, cam = model(x.contiguous(memory_format=torch.channels_last), return_cam=True)
    return logits.float(), cam.float()


def chosen_threshold(scores: np.ndarray, settings: ViewSettings, seed: int) -> float:
    """The view threshold that the settings ask for: a mean number of views, the authors' search, or a number (Sec. 4.3).

    scores: [N, C] float32 probabilities of the warmed-up classifier.
    """
    wanted = settings.threshold
    if isinstance(wanted, MeanViews):
        return view_threshold(scores, wanted.mean_views)
    if isinstance(wanted, SearchedViews):
        return searched_threshold(scores, wanted.between, wanted.images, wanted.start, wanted.step, seed)
    return float(wanted)


class ChosenViews(NamedTuple):
    """image: [V] int, which of the images a view is of; class_index: [V] int, the class it was cut for.

    cam_box: [V, 4] int, the box of the class's map; box: [V, 4] int, the view. Both in pixels of the frame.
    """

    image: np.ndarray
    class_index: np.ndarray
    cam_box: np.ndarray
    box: np.ndarray


def choose_views(
    above: np.ndarray, cams: Tensor, size: tuple[int, int], settings: ViewSettings, rng: np.random.Generator
) -> ChosenViews:
    """The views of some images, one for each class above the view threshold, in a frame of `size` (H, W).

    above: [B, C] bool, classes that get a view; cams: [B, C, h, w] raw maps. A class whose map is flat has no box and no view.
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
    if settings.policy == "moved":
        box = moved_boxes(box, size, rng)
    return ChosenViews(image, class_index, cam_box, box)


def ask_clip(clip: PromptedClip, frames: Sequence[Tensor], views: Sequence[tuple[int, Box]]) -> np.ndarray:
    """[V, C] float32 CLIP's probabilities of `views`, each a frame's index and a box in it.

    frames: [3, H, W] uint8 on any device. Views of one shape share a batch. A view is cut when its batch is due, so that the
    many that wait for others of their shape take no memory.
    """
    settings = clip.settings
    shapes = [crop_shape(y1 - y0, x1 - x0, settings.size, clip.round_to) for _, (x0, y0, x1, y1) in views]
    p = np.empty((len(views), len(clip.text)), np.float32)
    for batch in batches_of_equal(shapes, settings.batch_size):
        crops = [
            crop_views(frames[views[i][0]], [views[i][1]], settings.size, clip.round_to)[0] for i in batch
        ]
        p[batch] = clip.probabilities(torch.stack(crops)).cpu().numpy()
    return p
