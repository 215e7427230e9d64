"""Stage `views`: every image's local views, and what CLIP says of them (Sec. 3.2, Eq. 4).

Two passes over the training images: the first scores them, which gives the view threshold exactly; the second
computes the CAMs of the classes above it, their boxes, and CLIP's probabilities of the crops. The crops of
many images are cut together, so that those of the same shape share a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ccd_core.clip.teacher import PromptedClip
from ccd_core.data.loading import read_usable
from ccd_core.data.types import Box, ImageList
from ccd_core.files import replacing, write_json
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.local_views import choose_views, chosen_threshold, class_maps_of, clip_probabilities
from ccd_core.runs.progress import Advance
from ccd_core.runs.work import Arrays, Work

log = logging.getLogger("ccd")
BATCH = 8  # images in one CAM pass
CHUNK = 256  # images whose views are written together
WAITING_BYTES = 400e6  # frames whose views wait to be cut and shown to CLIP
SIDES = ("x0", "y0", "x1", "y1")


def find_views(model: CamClassifier, clip: PromptedClip, images: ImageList, work: Work) -> None:
    """Write every image's local views, with CLIP's probabilities of each, to views.parquet, unless it is
    there.
    """
    if work.has("views.parquet"):
        return
    run = work.folder
    model.eval()
    with work.progress.stage("views", 2 * len(images)) as advance:
        scores = _scores(model, images, work, advance)
        threshold = chosen_threshold(scores, work.config.views, work.config.seed)
        mean_views = float((scores > threshold).sum() / len(scores))
        if work.team.first:
            write_json(run.file("view_threshold.json"), {"threshold": threshold, "mean_views": mean_views})
        log.info("view threshold %.4f: %.2f views an image on average", threshold, mean_views)

        def compute(part: slice) -> Arrays:
            return _views_of(part, scores, threshold, model, clip, images, work, advance)

        parts = work.chunks("views", images.ids, CHUNK, compute)
        if work.team.first:
            write_views(run.file("views.parquet"), images.ids, run.classes, scores, parts)
            work.drop_chunks("views")
            work.drop_chunks("view-scores")
    work.team.wait()


def _scores(model: CamClassifier, images: ImageList, work: Work, advance: Advance) -> np.ndarray:
    """[N, C] the classifier's probabilities at the size that CAMs are computed at."""
    cam_size = work.config.classifier.cam_size
    size = min(cam_size, work.config.views.frame)  # a photograph is quicker read when it may come smaller

    def compute(part: slice) -> Arrays:
        rows: list[np.ndarray] = []
        for _, pixels in read_usable(
            images, size, BATCH, range(part.start, part.stop), work.config.data.workers
        ):
            logits, _ = class_maps_of(model, pixels, cam_size, work.accelerator)
            rows.append(torch.sigmoid(logits).cpu().numpy())
            advance(part.start + sum(map(len, rows)))
        return {"scores": np.concatenate(rows)}

    return np.concatenate([part["scores"] for part in work.chunks("view-scores", images.ids, CHUNK, compute)])


def _views_of(
    part: slice,
    scores: np.ndarray,
    threshold: float,
    model: CamClassifier,
    clip: PromptedClip,
    images: ImageList,
    work: Work,
    advance: Advance,
) -> Arrays:
    """The views of the images `part`: image and class index, CAM box, view box and CLIP's probabilities of
    each.
    """
    config = work.config
    frame = (config.views.frame, config.views.frame)
    rng = np.random.default_rng([config.seed, part.start])
    found: dict[str, list[np.ndarray]] = {key: [] for key in ("image", "class_index", "cam_box", "box", "p")}
    frames: list[Tensor] = []  # whose views CLIP has not been asked about
    views: list[tuple[int, Box]] = []

    done = len(images) + part.start
    rows = range(part.start, part.stop)
    for indices, pixels in read_usable(images, config.views.frame, BATCH, rows, config.data.workers):
        _, cams = class_maps_of(model, pixels, config.classifier.cam_size, work.accelerator)
        done += len(indices)
        advance(done)
        chosen = choose_views(scores[indices] > threshold, cams, frame, config.views, rng)
        places = zip(chosen.image.tolist(), chosen.box.tolist(), strict=True)
        views += [(len(frames) + row, box) for row, box in places]
        frames += pixels.to(clip.teacher.device, non_blocking=True)
        if sum(frame.nbytes for frame in frames) > WAITING_BYTES:
            found["p"].append(clip_probabilities(clip, frames, views))
            frames, views = [], []
        found["image"].append(np.array(indices)[chosen.image])
        found["class_index"].append(chosen.class_index)
        found["cam_box"].append(chosen.cam_box)
        found["box"].append(chosen.box)
    found["p"].append(clip_probabilities(clip, frames, views))
    return {key: np.concatenate(parts) for key, parts in found.items()}


def write_views(
    target: Path, ids: tuple[str, ...], classes: tuple[str, ...], scores: np.ndarray, parts: Iterable[Arrays]
) -> None:
    """views.parquet, one row group a part; `parts` as `_views_of` gives them, scores [N, C] float32."""
    probabilities = pa.list_(pa.float32(), len(classes))
    columns = [("image", pa.string()), ("class", pa.string()), ("score", pa.float32())]
    boxes = [(name, pa.int32()) for side in SIDES for name in (f"cam_{side}", side)]
    schema = pa.schema([*columns, *boxes, ("probabilities", probabilities)])
    with replacing(target) as path, pq.ParquetWriter(path, schema, use_dictionary=["image", "class"]) as file:
        for views in parts:
            p = pa.array(views["p"].astype(np.float32).ravel())
            table: dict[str, Any] = {
                "image": [ids[index] for index in views["image"]],
                "class": [classes[index] for index in views["class_index"]],
                "score": scores[views["image"], views["class_index"]].astype(np.float32),
                "probabilities": pa.FixedSizeListArray.from_arrays(p, len(classes)),
            }
            for column, side in enumerate(SIDES):
                table[f"cam_{side}"] = views["cam_box"][:, column].astype(np.int32)
                table[side] = views["box"][:, column].astype(np.int32)
            file.write_table(pa.table(table, schema=schema))
