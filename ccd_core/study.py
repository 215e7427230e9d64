"""The proof-of-concept study (Sec. 3.2, Fig. 3): how good are labels from local views chosen with
ground-truth boxes, and without them?

A measurement, apart from the pipeline: what needs boxes exists here only, no setting of a run names it, and
nothing that trains imports this module. Every policy but `cam` and `moved`, which take a run's own views,
gives the nine views an image of the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ccd_core.clip.teacher import PromptedClip, load_teacher
from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.data.images import image_size
from ccd_core.data.loading import read_batches
from ccd_core.data.types import Box, GroundTruth, ImageList
from ccd_core.errors import UserError
from ccd_core.evaluation.scorer import Scorer
from ccd_core.machine.device import make_accelerator
from ccd_core.method.bias import clip_bias
from ccd_core.method.labels import debiased_local, final_labels, initial_labels
from ccd_core.method.local_views import clip_probabilities
from ccd_core.method.views import moved_boxes, random_boxes
from ccd_core.runs.progress import Progress, Reporter
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import global_outputs
from ccd_core.stages.labels import read_local_probabilities

VIEWS = 9  # an image (Sec. 3.2)
RESIZED = (
    1.0,
    0.75,
    0.5,
)  # of the longer side: an image with fewer boxes has them at other sizes, too (footnote 2)
POLICIES = {
    "cam": "CAM boxes ± offset, the run's own",
    "around_boxes": "around ground-truth boxes",
    "boxes": "ground-truth boxes",
    "random": "random boxes",
    "grid": "uniform grid (CDUL)",
    "moved": "the run's boxes, moved",
}
NEEDS_RUN, NEEDS_BOXES = ("cam", "moved"), ("around_boxes", "boxes")


def around_boxes(boxes: np.ndarray, offset: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """[9, 4] random crops around the boxes [K, 4]: every side reaches 0 to 2 offsets beyond the box, one
    offset on average.
    """
    chosen = boxes[np.arange(VIEWS) % len(boxes)]
    reach = rng.integers(0, 2 * offset + 1, (VIEWS, 4)) * [-1, -1, 1, 1]
    return np.clip(chosen + reach, 0, side)


def grid_boxes(side: int) -> np.ndarray:
    """[9, 4] the cells of a 3 x 3 grid, as CDUL's patches."""
    edges = np.rint(np.linspace(0, side, 4)).astype(int)
    return np.array([(edges[x], edges[y], edges[x + 1], edges[y + 1]) for y in range(3) for x in range(3)])


def in_frame(objects: Sequence[tuple[int, Box]], size: tuple[int, int], side: int) -> np.ndarray:
    """[K, 4] int boxes of an image of `size` (width, height) in its square frame; at least one pixel each."""
    corners = np.array([box for _, box in objects], float).reshape(-1, 4) * side / np.array([*size, *size])
    boxes = np.rint(corners).astype(int)
    boxes[:, :2] = np.clip(boxes[:, :2], 0, side - 1)
    boxes[:, 2:] = np.clip(boxes[:, 2:], boxes[:, :2] + 1, side)
    return boxes


def study(
    config: CCDConfig,
    policies: Sequence[str],
    run: Run | None = None,
    limit: int | None = None,
    report: Reporter | None = None,
) -> dict[str, Any]:
    """{policy: {"views", "local", "final"}}: views an image, and mAP, micro-AP and F1 (percent) of local and
    final labels on the training images.

    config: whose CLIP, bias, frame and alpha are used; run: whose views `cam` and `moved` take; limit: how
    many images at most. report(stage, done, total, detail) is called as work proceeds. Raises UserError where
    a policy lacks what it needs.
    """
    dataset = open_dataset(config.data.spec, config.data.classes)
    truth, images = dataset.ground_truth("train"), dataset.splits["train"]
    _check(policies, run, truth, config.data.spec)
    assert truth is not None
    if run is not None:
        images = _of(images, run.load_labels()["ids"].tolist())
    images = _of(images, list(images.ids[:limit]))
    accelerator = make_accelerator(config.device, config.precision)
    scorer = Scorer(dataset)
    clip = load_teacher(config.clip, dataset.classes, accelerator)
    p_global = global_outputs(clip, images, Work(config, accelerator, progress=Progress(reporter=report))).p
    bias = clip_bias(p_global, config.bias.entropy_threshold)
    initial = initial_labels(p_global, bias, config)
    results: dict[str, Any] = {
        "initial": {"views": 0.0, "local": None, "final": _measures(scorer, images, initial)}
    }
    for policy in policies:
        if policy == "cam":
            assert run is not None
            p_local, count = read_local_probabilities(run, run.load_labels()["ids"].tolist())
            p_local, count = p_local[: len(images)], count[: len(images)]
        else:
            places = Places(policy, config, truth, images, run)
            p_local, count = ask_about(places, clip, images, config, report)
        local = debiased_local(p_local, bias, config)
        results[policy] = {
            "views": float(count.mean()),
            "local": _measures(scorer, images, np.nan_to_num(local)),
            "final": _measures(scorer, images, final_labels(initial, local, config)),
        }
    return results


class Places:
    """Where a policy looks in each image: `of(row)` is [V, 4] boxes in the frame and, of each, the longer
    side it is resized to.
    """

    def __init__(
        self, policy: str, config: CCDConfig, truth: GroundTruth, images: ImageList, run: Run | None
    ):
        self.policy, self.config, self.images = policy, config, images
        self.truth, self.row_of = truth, {image: row for row, image in enumerate(truth.ids)}
        self.views = (
            run.load_views().groupby("image", observed=True)
            if run is not None and policy == "moved"
            else None
        )

    def of(self, row: int) -> tuple[np.ndarray, list[int]]:
        side, longer, image = self.config.views.frame, self.config.clip.size, self.images.ids[row]
        rng = np.random.default_rng([self.config.seed, row])
        if self.policy == "grid":
            return grid_boxes(side), [longer] * VIEWS
        if self.policy == "random":
            return random_boxes(VIEWS, (side, side), rng), [longer] * VIEWS
        if self.views is not None:
            own = (
                self.views.get_group(image)[["x0", "y0", "x1", "y1"]].to_numpy()
                if image in self.views.groups
                else np.empty((0, 4), int)
            )
            return moved_boxes(own, (side, side), rng), [longer] * len(own)
        boxes = in_frame(self.truth.boxes[self.row_of[image]], image_size(self.images.paths[row]), side)
        if not len(boxes):
            return boxes, []
        if self.policy == "around_boxes":
            return around_boxes(boxes, self.config.views.offset, side, rng), [longer] * VIEWS
        turns = np.arange(max(VIEWS, len(boxes))) // len(boxes)
        sizes = [round(longer * RESIZED[turn % len(RESIZED)]) for turn in turns][:VIEWS]
        return np.tile(boxes, (VIEWS, 1))[:VIEWS], sizes


@torch.inference_mode()
def ask_about(
    places: Places,
    clip: PromptedClip,
    images: ImageList,
    config: CCDConfig,
    report: Reporter | None,
) -> tuple[np.ndarray, np.ndarray]:
    """[N, C] the maximum of CLIP's probabilities over each image's views, NaN where it has none, and [N] how
    many it has.
    """
    p_local, count = np.full((len(images), len(clip.text)), np.nan, np.float32), np.zeros(len(images), int)
    for indices, pixels, _ in read_batches(images, config.views.frame, 8, workers=config.data.workers):
        views: dict[int, list[tuple[int, Box]]] = {}  # by the longer side they are resized to
        for number, row in enumerate(indices):
            for box, longer in zip(*places.of(row), strict=True):
                views.setdefault(longer, []).append((number, tuple(box.tolist())))
        for longer, some in views.items():
            resized = replace(clip, settings=config.clip.model_copy(update={"size": longer}))
            p = clip_probabilities(resized, list(pixels), some)
            for (number, _), said in zip(some, p, strict=True):
                row = indices[number]
                p_local[row], count[row] = np.fmax(p_local[row], said), count[row] + 1
        if report:
            report("study", int(indices[-1]) + 1 if indices else 0, len(images), places.policy)
    return p_local, count


def _measures(scorer: Scorer, images: ImageList, labels: np.ndarray) -> dict[str, Any]:
    report = scorer.report("train", images.ids, labels) or {}
    return {name: report[name] for name in ("mAP", "micro_AP", "F1")}


def _of(images: ImageList, ids: list[str]) -> ImageList:
    wanted = set(ids)
    return images.without([image for image in images.ids if image not in wanted])


def _check(policies: Sequence[str], run: Run | None, truth: GroundTruth | None, spec: str) -> None:
    for policy in policies:
        if policy not in POLICIES:
            raise UserError(f"There is no view policy {policy!r}; there are {', '.join(POLICIES)}.")
        if policy in NEEDS_RUN and run is None:
            raise UserError(
                f"The policy {policy} takes the views of a run; name a finished run instead of a data set."
            )
    if truth is None:
        raise UserError(
            f"The data set {spec} has no ground truth for its training images, so there is nothing to "
            f"measure labels against."
        )
    if set(policies) & set(NEEDS_BOXES) and not any(len(truth.boxes[row]) for row in range(len(truth.ids))):
        raise UserError(
            f"The data set {spec} has no boxes; leave out the policies {' and '.join(NEEDS_BOXES)}."
        )
