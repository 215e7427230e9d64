"""Find every image's local views with the warmed-up classifier and ask CLIP about them (Sec. 3.2, Eq. 4).

Two passes over the training images: the first scores them, which gives the view threshold exactly; the second
computes the CAMs of the classes above it, their boxes, and CLIP's probabilities for the crops. The crops of many images are
cut together, so that those of the same shape share a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from ccd_core.classifier import CamClassifier
from ccd_core.clip import ClipTeacher, batches_of_equal, normalise
from ccd_core.config import CCDConfig, ClipSettings, MeanViews, SearchedViews
from ccd_core.data import ImageList
from ccd_core.data.loading import read_usable
from ccd_core.files import replacing, write_json
from ccd_core.runs import Progress, Run
from ccd_core.views import Box, add_offset, cam_boxes, crop_shape, crop_views, moved_boxes, random_boxes, searched_threshold, view_threshold

log = logging.getLogger("ccd")
BATCH, CHUNK = 8, 256  # images in one CAM pass; images whose views are written together
WAITING_BYTES = 400e6  # frames whose views wait to be cut and shown to CLIP


def find_views(
    model: CamClassifier,
    teacher: ClipTeacher,
    text: Tensor,
    images: ImageList,
    config: CCDConfig,
    accelerator: Accelerator,
    run: Run,
    progress: Progress,
) -> None:
    """Write every image's local views, with CLIP's probabilities of each, to the run's views.parquet, unless it is there."""
    if not run.team.agree(run.has("views.parquet")):
        model.eval()
        with progress.stage("views", 2 * len(images)) as advance:
            scores = _scores(model, images, config, accelerator, run, advance)
            threshold = _threshold(scores, config, run)

            def compute(part: slice) -> dict[str, np.ndarray]:
                return _views_of(part, scores, threshold, model, teacher, text, images, config, accelerator, advance)

            parts = run.chunks("views", len(images), CHUNK, compute)
            if run.team.first:
                _write_views(run, images, scores, parts)
                run.drop_chunks("views")
                run.drop_chunks("view-scores")
        run.team.wait()


@torch.inference_mode()
def class_maps_of(model: CamClassifier, pixels: Tensor, cam_size: int, accelerator: Accelerator) -> tuple[Tensor, Tensor]:
    """Logits [B, C] and raw maps [B, C, h, w] in float32 of frames [B, 3, S, S] uint8."""
    x = pixels.to(accelerator.device)
    if x.shape[-1] != cam_size:
        x = F.interpolate(x.float(), (cam_size, cam_size), mode="bilinear", align_corners=False, antialias=True)
    x = normalise(x)
    with accelerator.autocast():
        logits, cam = model(x.contiguous(memory_format=torch.channels_last), return_cam=True)
    return logits.float(), cam.float()


def _scores(model: CamClassifier, images: ImageList, config: CCDConfig, accelerator: Accelerator, run: Run, advance) -> np.ndarray:
    """[N, C] the classifier's probabilities at the size that CAMs are computed at."""

    size = min(config.classifier.cam_size, config.views.frame)  # a photograph is quicker read when it may come smaller

    def compute(part: slice) -> dict[str, np.ndarray]:
        rows = []
        for _, pixels in read_usable(images, size, BATCH, range(part.start, part.stop), config.data.workers):
            logits, _ = class_maps_of(model, pixels, config.classifier.cam_size, accelerator)
            rows.append(torch.sigmoid(logits).cpu().numpy())
            advance(part.start + sum(map(len, rows)))
        return {"scores": np.concatenate(rows)}

    return np.concatenate([part["scores"] for part in run.chunks("view-scores", len(images), CHUNK, compute)])


def _threshold(scores: np.ndarray, config: CCDConfig, run: Run) -> float:
    wanted = config.views.threshold
    if isinstance(wanted, MeanViews):
        threshold = view_threshold(scores, wanted.mean_views)
    elif isinstance(wanted, SearchedViews):
        threshold = searched_threshold(scores, wanted.between, wanted.images, wanted.start, wanted.step, config.seed)
    else:
        threshold = float(wanted)
    mean_views = float((scores > threshold).sum() / len(scores))
    if run.team.first:
        write_json(run.file("view_threshold.json"), {"threshold": threshold, "mean_views": mean_views})
    log.info("view threshold %.4f: %.2f views an image on average", threshold, mean_views)
    return threshold


def _views_of(
    part: slice,
    scores: np.ndarray,
    threshold: float,
    model: CamClassifier,
    teacher: ClipTeacher,
    text: Tensor,
    images: ImageList,
    config: CCDConfig,
    accelerator: Accelerator,
    advance,
) -> dict[str, np.ndarray]:
    """The views of the images `part`: image and class index, CAM box, view box and CLIP's probabilities of each."""
    size = (config.views.frame, config.views.frame)
    rng = np.random.default_rng([config.seed, part.start])
    found: dict[str, list] = {key: [] for key in ("image", "class_index", "cam_box", "box", "p")}
    frames: list[Tensor] = []  # whose views CLIP has not been asked about
    views: list[tuple[int, Box]] = []

    done = len(images) + part.start
    for indices, pixels in read_usable(images, config.views.frame, BATCH, range(part.start, part.stop), config.data.workers):
        _, cams = class_maps_of(model, pixels, config.classifier.cam_size, accelerator)
        done += len(indices)
        advance(done)
        rows, classes, tight, boxes = choose_views(scores[indices] > threshold, cams, size, config, rng)
        views += [(len(frames) + row, box) for row, box in zip(rows.tolist(), boxes.tolist(), strict=True)]
        frames += pixels.to(teacher.device, non_blocking=True)
        if sum(frame.nbytes for frame in frames) > WAITING_BYTES:
            found["p"].append(ask_clip(teacher, text, frames, views, config.clip))
            frames, views = [], []
        found["image"].append(np.array(indices)[rows])
        found["class_index"].append(classes)
        found["cam_box"].append(tight)
        found["box"].append(boxes)
    found["p"].append(ask_clip(teacher, text, frames, views, config.clip))
    return {key: np.concatenate(parts) for key, parts in found.items()}


def choose_views(
    above: np.ndarray, cams: Tensor, size: tuple[int, int], config: CCDConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The views of some images: which image and which class each is of [V], its CAM box and its view [V, 4], in pixels of `size` (H, W).

    above: [B, C] bool, classes that get a view; cams: [B, C, h, w] raw maps. A class whose map is flat has no box and no view.
    """
    rows, classes = np.nonzero(above)
    tight = cam_boxes(cams[rows, classes], size, config.views.cam_threshold, 0, config.views.box) if len(rows) else np.empty((0, 4), int)
    there = tight[:, 0] >= 0
    rows, classes, tight = rows[there], classes[there], tight[there]
    if config.views.policy == "random":
        return rows, classes, tight, random_boxes(len(tight), size, rng)
    boxes = add_offset(tight, config.views.offset, size)
    return rows, classes, tight, moved_boxes(boxes, size, rng) if config.views.policy == "moved" else boxes


def ask_clip(teacher: ClipTeacher, text: Tensor, frames: Sequence[Tensor], views: Sequence[tuple[int, Box]], settings: ClipSettings) -> np.ndarray:
    """[V, C] float32 CLIP's probabilities of `views`, each a frame's index and a box in it; frames [3, H, W] uint8 on any device.

    A view is cut when its batch is due: the many that wait for others of their shape take no memory.
    """
    round_to = settings.round_to or teacher.stride
    shapes = [crop_shape(y1 - y0, x1 - x0, settings.size, round_to) for _, (x0, y0, x1, y1) in views]
    p = np.empty((len(views), len(text)), np.float32)
    for batch in batches_of_equal(shapes, settings.batch_size):
        crops = [crop_views(frames[views[i][0]], [views[i][1]], settings.size, round_to)[0] for i in batch]
        p[batch] = teacher.probabilities(teacher.normalise(torch.stack(crops), settings.normalisation), text).cpu().numpy()
    return p


def _write_views(run: Run, images: ImageList, scores: np.ndarray, parts: Iterable[dict[str, np.ndarray]]) -> None:
    """views.parquet, one row group a part."""
    sides = ("x0", "y0", "x1", "y1")
    probabilities = pa.list_(pa.float32(), len(run.classes))
    columns = [("image", pa.string()), ("class", pa.string()), ("score", pa.float32())]
    schema = pa.schema([*columns, *((name, pa.int32()) for side in sides for name in (f"cam_{side}", side)), ("probabilities", probabilities)])
    with replacing(run.file("views.parquet")) as path, pq.ParquetWriter(path, schema, use_dictionary=["image", "class"]) as file:
        for views in parts:
            table: dict[str, Any] = {
                "image": [images.ids[index] for index in views["image"]],
                "class": [run.classes[index] for index in views["class_index"]],
                "score": scores[views["image"], views["class_index"]].astype(np.float32),
                "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(views["p"].astype(np.float32).ravel()), len(run.classes)),
            }
            for side, name in enumerate(sides):
                table |= {f"cam_{name}": views["cam_box"][:, side].astype(np.int32), name: views["box"][:, side].astype(np.int32)}
            file.write_table(pa.table(table, schema=schema))
