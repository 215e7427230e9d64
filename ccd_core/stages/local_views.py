"""Stage `views`: the local views of every image, and CLIP's probabilities of them (Sec. 3.2, Eq. 4).

There are two passes over the training images. The first computes the classifier's scores, which give the view
threshold exactly, and keeps the CAMs where they are small enough. The second finds the boxes of the classes
above that threshold, and CLIP's probabilities of the crops. Crops of many images are collected, so that those
of the same shape share a batch.
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
from ccd_core.device_memory import Pass, to_device
from ccd_core.files import replacing, write_json
from ccd_core.method.boxes import distinct
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.local_views import choose_views, chosen_threshold, class_maps_of, clip_probabilities
from ccd_core.runs.progress import Advance
from ccd_core.runs.work import Arrays, Work

log = logging.getLogger("ccd")
BATCH = 8  # images in one CAM pass
IN_ONE_PASS = "images in one CAM pass"
CHUNK = 256  # images whose views are written together
KEPT_BYTES = 2e9  # CAMs of all images that need more disk are computed again in the second pass
WAITING_BYTES = 400e6  # at most so many bytes of frames wait until their views go to CLIP
SIDES = ("x0", "y0", "x1", "y1")


def find_views(model: CamClassifier, clip: PromptedClip, images: ImageList, work: Work) -> None:
    """Write the local views of every image, with CLIP's probabilities of each, to views.parquet.

    model: the classifier after warm-up. Nothing is done if the file exists already.
    """
    if work.has("views.parquet"):
        return
    run = work.folder
    model.eval()
    with work.progress.stage("views", 2 * len(images)) as advance:
        scores = _scores(model, images, work, advance)
        view_threshold = chosen_threshold(scores, work.config.views, work.config.seed)
        above = scores > view_threshold
        mean_views = float(above.sum() / len(scores))
        if work.team.first:
            threshold = {"threshold": view_threshold, "mean_views": mean_views}
            write_json(run.file("view_threshold.json"), threshold)
        log.info("view threshold %.4f: %.2f views an image on average", view_threshold, mean_views)

        def compute(part: slice) -> Arrays:
            return _views_of(part, above, model, clip, images, work, advance)

        parts = work.chunks("views", images.ids, CHUNK, compute)
        if work.team.first:
            write_views(run.file("views.parquet"), images.ids, run.classes, scores, parts)
            work.drop_chunks("views")
            work.drop_chunks("view-scores")
    work.team.wait()


def _scores(model: CamClassifier, images: ImageList, work: Work, advance: Advance) -> np.ndarray:
    """[N, C] float32, the classifier's probabilities at the image size at which CAMs are computed."""
    frame = work.config.views.frame
    size = min(work.config.classifier.cam_size, frame)  # a JPEG is decoded faster at a smaller size
    limit = Pass(IN_ONE_PASS)

    def compute(part: slice) -> Arrays:
        rows: list[Tensor] = []  # on the device, which is not waited for until the chunk is done
        maps: list[Tensor] = []
        for _, pixels in read_usable(
            images, size, BATCH, range(part.start, part.stop), work.config.data.workers
        ):
            logits, cams = _class_maps(model, pixels, limit, work)
            rows.append(torch.sigmoid(logits))
            # The frame of the second pass must be the one that these maps are of.
            if size == frame and len(images) * cams[0].nbytes <= KEPT_BYTES:
                maps.append(cams)
            advance(part.start + sum(map(len, rows)))
        scores = {"scores": torch.cat(rows).cpu().numpy()}
        return scores | {"maps": torch.cat(maps).cpu().numpy()} if maps else scores

    return np.concatenate([part["scores"] for part in work.chunks("view-scores", images.ids, CHUNK, compute)])


def _class_maps(model: CamClassifier, pixels: Tensor, limit: Pass, work: Work) -> tuple[Tensor, Tensor]:
    """`class_maps_of` frames, by parts where the device's memory does not take all of them."""
    size = work.config.classifier.cam_size
    passes = limit.run(len(pixels), lambda part: class_maps_of(model, pixels[part], size, work.accelerator))
    return torch.cat([logits for logits, _ in passes]), torch.cat([cams for _, cams in passes])


def _views_of(
    part: slice,
    above: np.ndarray,
    model: CamClassifier,
    clip: PromptedClip,
    images: ImageList,
    work: Work,
    advance: Advance,
) -> Arrays:
    """The views of the images `part`, with CLIP's probabilities.

    above: [N, C] bool, whether a class is above the view threshold. Returns `image` and `class_index` [V]
    int, `cam_box` and `box` [V, 4] int in pixels of the frame, and `p` [V, C] float32.
    """
    config = work.config
    device = clip.teacher.device
    frame = (config.views.frame, config.views.frame)
    rng = np.random.default_rng([config.seed, part.start])
    found: dict[str, list[np.ndarray]] = {key: [] for key in ("image", "class_index", "cam_box", "box", "p")}
    frames: list[Tensor] = []  # those whose views have not gone to CLIP yet
    views: list[tuple[int, Box]] = []  # the index in `frames`, and the box

    kept = work.kept_chunk("view-scores", part).get("maps")
    limit = Pass(IN_ONE_PASS)
    done = len(images) + part.start
    rows = range(part.start, part.stop)
    for indices, pixels in read_usable(images, config.views.frame, BATCH, rows, config.data.workers):
        if kept is not None:
            cams = to_device(torch.from_numpy(kept[[index - part.start for index in indices]]), device)
        else:
            _, cams = _class_maps(model, pixels, limit, work)
        done += len(indices)
        advance(done)
        chosen = choose_views(above[indices], cams, frame, config.views, rng)
        boxes = zip(chosen.image.tolist(), chosen.box.tolist(), strict=True)
        views += [(len(frames) + row, box) for row, box in boxes]
        frames += to_device(pixels, device)
        if sum(frame.nbytes for frame in frames) > WAITING_BYTES:
            found["p"].append(_asked(clip, frames, views, config.views.ask_once))
            frames = []
            views = []
        found["image"].append(np.array(indices)[chosen.image])
        found["class_index"].append(chosen.class_index)
        found["cam_box"].append(chosen.cam_box)
        found["box"].append(chosen.box)
    found["p"].append(_asked(clip, frames, views, config.views.ask_once))
    return {key: np.concatenate(parts) for key, parts in found.items()}


def _asked(clip: PromptedClip, frames: list[Tensor], views: list[tuple[int, Box]], once: bool) -> np.ndarray:
    """`clip_probabilities` [V, C]. once: whether equal views of an image share one question."""
    if not once or not views:
        return clip_probabilities(clip, frames, views)
    image = np.array([frame for frame, _ in views])
    first, which = distinct(image, np.array([box for _, box in views]))
    return clip_probabilities(clip, frames, [views[index] for index in first])[which]


def write_views(
    target: Path, ids: tuple[str, ...], classes: tuple[str, ...], scores: np.ndarray, parts: Iterable[Arrays]
) -> None:
    """Write views.parquet with one row group for each of `parts`, which `_views_of` returned.

    scores: [N, C] float32. Each view gets the score of its image and class.
    """
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
