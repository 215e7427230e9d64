"""The proof-of-concept study (Sec. 3.2, Fig. 3): how much do labels gain from local views around objects?

This is a measurement, apart from the pipeline. Policies that need ground-truth boxes exist only here. No
setting of a run can name them, and nothing that trains imports this module. With `train`, a classifier is
trained on the labels of each policy, as in the paper, and thrown away when it is measured. `cam` and `moved`
take the views of a run. All other policies take nine views an image, as in the paper.

What is computed lies in a folder of the cache until the study is over, so a stopped one goes on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ccd_core.clip.teacher import PromptedClip, load_teacher
from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.data.decoding.images import image_size
from ccd_core.data.loading import DecodedImages, read_batches
from ccd_core.data.types import Box, Dataset, GroundTruth, ImageList
from ccd_core.errors import UserError
from ccd_core.evaluation.scorer import Scorer
from ccd_core.files import read_arrays, write_arrays, write_json
from ccd_core.machine.device import make_accelerator
from ccd_core.method.bias import clip_bias, entropy_limit
from ccd_core.method.classifier import make_classifier
from ccd_core.method.labels import debiased_local, final_labels, initial_labels
from ccd_core.method.local_views import clip_probabilities
from ccd_core.method.views import moved_boxes, random_boxes
from ccd_core.paths import home, private_folder
from ccd_core.runs.progress import Progress, Reporter
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import global_outputs
from ccd_core.stages.labels import bias_of_global, read_local_probabilities
from ccd_core.training.checkpoint import load_kept_weights, set_kept_weights
from ccd_core.training.inference import predict_scores
from ccd_core.training.schedule import fitted
from ccd_core.training.trainer import Trainer

VIEWS = 9  # an image (Sec. 3.2)
# An image with fewer than nine boxes has each again at the next of these parts of the longer side (footnote
# 2).
RESIZED = (1.0, 0.75, 0.5)
BATCH = 8  # images that are read together
ABANDONED_SECONDS = 7 * 86_400  # after which a stopped study is taken to be given up
POLICIES = {
    "cam": "CAM boxes ± offset, the run's own",
    "around_boxes": "around ground-truth boxes",
    "boxes": "ground-truth boxes",
    "random": "random boxes",
    "grid": "uniform grid (CDUL)",
    "moved": "the run's boxes, moved",
}
NEEDS_RUN = ("cam", "moved")
NEEDS_BOXES = ("around_boxes", "boxes")


def around_boxes(boxes: np.ndarray, offset: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """[9, 4] random boxes around the boxes [K, 4] in a frame of `side` pixels.

    Each side lies 0 to 2 offsets outside of the box, on average one offset.
    """
    chosen = boxes[np.arange(VIEWS) % len(boxes)]
    reach = rng.integers(0, 2 * offset + 1, (VIEWS, 4)) * [-1, -1, 1, 1]
    return np.clip(chosen + reach, 0, side)


def grid_boxes(side: int) -> np.ndarray:
    """[9, 4] the cells of a 3 x 3 grid over a frame of `side` pixels, as in CDUL."""
    edges = np.rint(np.linspace(0, side, 4)).astype(int)
    return np.array([(edges[x], edges[y], edges[x + 1], edges[y + 1]) for y in range(3) for x in range(3)])


def in_frame(objects: Sequence[tuple[int, Box]], size: tuple[int, int], side: int) -> np.ndarray:
    """[K, 4] int, the boxes of K objects in the frame, of at least one pixel each.

    objects: (class, box in pixels of the image); size: (width, height) of the image; side: pixels of the
    frame.
    """
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
    train: bool = False,
) -> dict[str, Any]:
    """Measure the labels that each policy gives for the training images.

    config: its CLIP, bias, frame and alpha are used. run: `cam` and `moved` take its views. limit: the
    greatest number of images. report(stage, done, total, detail) is called as the work proceeds.

    train: also train a classifier on the final labels of each policy, as the paper does for Fig. 3. It is
    measured on the validation images and thrown away: no run can be made of it.

    Returns {policy: {"views": views an image, "local": measures, "final": measures}}, where the measures are
    mAP, micro-AP and F1 in percent of the local and of the final labels. `initial` stands for no views. With
    `train`, "classifier" has the measures of the classifier. Raises UserError if a policy lacks the run or
    the ground truth that it needs.
    """
    dataset = open_dataset(config.data.spec, config.data.classes)
    truth = dataset.ground_truth("train")
    images = dataset.splits["train"]
    _check(policies, run, truth, config.data.spec)
    assert truth is not None
    if run is not None:
        images = _subset(images, run.load_labels()["ids"].tolist())
    images = _subset(images, list(images.ids[:limit]))
    accelerator = make_accelerator(config.device, config.precision)
    scorer = Scorer(dataset)
    clip = load_teacher(config.clip, dataset.classes, accelerator)
    outputs = global_outputs(clip, images, Work(config, accelerator, progress=Progress(reporter=report)))
    bias = clip_bias(outputs.p_clip, entropy_limit(config.bias, len(dataset.classes)), config.bias.shrink)
    initial = initial_labels(outputs.p, bias_of_global(outputs, bias, config), config)
    place = _place(config, run, images, truth)
    results: dict[str, Any] = {
        "initial": {"views": 0.0, "local": None, "final": _measures(scorer, images, initial)}
    }
    finals = {"initial": initial}
    for policy in policies:
        if policy == "cam":
            assert run is not None
            p_local, n_views = read_local_probabilities(run, run.load_labels()["ids"].tolist())
            p_local = p_local[: len(images)]
            n_views = n_views[: len(images)]
        else:
            kept = place / f"{policy}.npz"
            if not kept.is_file():
                views = PolicyViews(policy, config, truth, images, run)
                p_local, n_views = local_probabilities_of(views, clip, images, config, report)
                write_arrays(kept, p_local=p_local, n_views=n_views)
            arrays = read_arrays(kept)
            p_local = arrays["p_local"]
            n_views = arrays["n_views"]
        local = debiased_local(p_local, bias, config)
        finals[policy] = final_labels(initial, local, config)
        results[policy] = {
            "views": float(n_views.mean()),
            "local": _measures(scorer, images, np.nan_to_num(local)),
            "final": _measures(scorer, images, finals[policy]),
        }
    if train:
        for policy, measures in _classifiers(finals, dataset, images, config, place, report).items():
            results[policy]["classifier"] = measures
    shutil.rmtree(place, ignore_errors=True)
    return results


def _place(config: CCDConfig, run: Run | None, images: ImageList, truth: GroundTruth) -> Path:
    """The folder of the cache in which this study keeps what is computed. Those of long ago are removed."""
    studies = private_folder(home() / "study")
    for folder in studies.glob("*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
    digest = hashlib.blake2b(config.to_yaml().encode(), digest_size=16)
    digest.update("\0".join(images.ids).encode(errors="surrogateescape"))
    digest.update(truth.targets.tobytes())
    if run is not None:
        views = run.file("views.parquet")
        digest.update(f"{run.path.resolve()} {views.stat().st_mtime_ns if views.is_file() else 0}".encode())
    return private_folder(studies / digest.hexdigest())


def _classifiers(
    finals: dict[str, np.ndarray],
    dataset: Dataset,
    images: ImageList,
    config: CCDConfig,
    place: Path,
    report: Reporter | None,
) -> dict[str, dict[str, Any]]:
    """{policy: measures} of a classifier trained on the labels of each policy, on the validation images.

    finals: {policy: final labels [N, C] of the images}, with the initial labels under `initial`. All
    classifiers share one warm-up on the initial labels. Each is trained in `place` and removed when it is
    measured; its measures stay there, and a stopped training goes on at its checkpoint.
    """
    config = fitted(config, len(images))
    scorer = Scorer(dataset)
    if dataset.ground_truth("val") is None:
        raise UserError(f"The data set {dataset.spec} has no labelled validation images to measure on.")
    accelerator = make_accelerator(config.device, config.precision)
    size = config.classifier.image_size
    decoded = {}
    for split, some in (("train", images), ("val", dataset.splits["val"])):
        decoded[split] = DecodedImages(some, size, config.data.cache_gb, config.data.workers)
        if decoded[split].check(lambda done: None):
            raise UserError(f"Some {split} images cannot be read; leave them out of the data set.")
    found: dict[str, dict[str, Any]] = {}
    warm = place / "warmup.safetensors"
    for policy, labels in finals.items():
        measured = place / f"{policy}.json"
        if not measured.is_file():
            run = Run.create(place / policy, config, dataset.classes)
            start = run.file("checkpoints", "last.safetensors")
            if warm.is_file() and not start.is_file():
                start.parent.mkdir(exist_ok=True)
                shutil.copy2(warm, start)
            torch.manual_seed(config.seed)
            work = Work(config, accelerator, run, Progress(reporter=report))
            trainer = Trainer(make_classifier(config.classifier, len(dataset.classes)), work)
            if config.labels.update:
                trainer.warm_up(decoded["train"], finals["initial"])
                if not warm.is_file() and run.has("checkpoints", "warmup.safetensors"):
                    shutil.copy2(run.file("checkpoints", "warmup.safetensors"), warm)
            trainer.train(decoded["train"], labels)
            set_kept_weights(trainer.plain_model, load_kept_weights(run), run)
            scores = predict_scores(trainer.plain_model, decoded["val"], accelerator)
            measures = scorer.report("val", decoded["val"].ids, scores) or {}
            write_json(measured, {name: measures[name] for name in ("mAP", "micro_AP", "F1")})
            shutil.rmtree(run.path)
        found[policy] = json.loads(measured.read_text())
    return found


class PolicyViews:
    """The local views that a policy chooses."""

    def __init__(
        self, policy: str, config: CCDConfig, truth: GroundTruth, images: ImageList, run: Run | None
    ):
        self.policy = policy
        self.config = config
        self.images = images
        self.truth = truth
        self.row_of = {image: row for row, image in enumerate(truth.ids)}
        self.views_of_run = None
        if run is not None and policy == "moved":
            self.views_of_run = run.load_views().groupby("image", observed=True)

    def of(self, row: int) -> tuple[np.ndarray, list[int]]:
        """The views of image `row`: boxes [V, 4] in the frame, and the longer side to resize each to."""
        side = self.config.views.frame
        longer = self.config.clip.size
        rng = np.random.default_rng([self.config.seed, row])
        if self.policy == "grid":
            return grid_boxes(side), [longer] * VIEWS
        if self.policy == "random":
            return random_boxes(VIEWS, (side, side), rng), [longer] * VIEWS
        if self.policy == "moved":
            boxes = self._boxes_of_run(row)
            return moved_boxes(boxes, (side, side), rng), [longer] * len(boxes)
        image = self.images.ids[row]
        boxes = in_frame(self.truth.boxes[self.row_of[image]], image_size(self.images.paths[row]), side)
        if not len(boxes):
            return boxes, []
        if self.policy == "around_boxes":
            return around_boxes(boxes, self.config.views.offset, side, rng), [longer] * VIEWS
        rounds = np.arange(max(VIEWS, len(boxes))) // len(boxes)
        sizes = [round(longer * RESIZED[number % len(RESIZED)]) for number in rounds][:VIEWS]
        return np.tile(boxes, (VIEWS, 1))[:VIEWS], sizes

    def _boxes_of_run(self, row: int) -> np.ndarray:
        image = self.images.ids[row]
        if self.views_of_run is None or image not in self.views_of_run.groups:
            return np.empty((0, 4), int)
        return self.views_of_run.get_group(image)[["x0", "y0", "x1", "y1"]].to_numpy()


@torch.inference_mode()
def local_probabilities_of(
    views: PolicyViews, clip: PromptedClip, images: ImageList, config: CCDConfig, report: Reporter | None
) -> tuple[np.ndarray, np.ndarray]:
    """[N, C] the maximum of CLIP's probabilities over the views of each image, and [N] the number of views.

    An image without views has a row of NaN (Eq. 5-6).
    """
    p_local = np.full((len(images), len(clip.text)), np.nan, np.float32)
    n_views = np.zeros(len(images), int)
    for indices, pixels, _ in read_batches(images, config.views.frame, BATCH, workers=config.data.workers):
        by_longer_side: dict[int, list[tuple[int, Box]]] = {}  # {pixels: [(index in the batch, box), ...]}
        for number, row in enumerate(indices):
            for box, longer in zip(*views.of(row), strict=True):
                by_longer_side.setdefault(longer, []).append((number, tuple(box.tolist())))
        for longer, some in by_longer_side.items():
            resized = replace(clip, settings=config.clip.model_copy(update={"size": longer}))
            probabilities = clip_probabilities(resized, list(pixels), some)
            for (number, _), p in zip(some, probabilities, strict=True):
                row = indices[number]
                p_local[row] = np.fmax(p_local[row], p)
                n_views[row] += 1
        if report:
            report("study", int(indices[-1]) + 1 if indices else 0, len(images), views.policy)
    return p_local, n_views


def _measures(scorer: Scorer, images: ImageList, labels: np.ndarray) -> dict[str, Any]:
    report = scorer.report("train", images.ids, labels) or {}
    return {name: report[name] for name in ("mAP", "micro_AP", "F1")}


def _subset(images: ImageList, ids: list[str]) -> ImageList:
    wanted = set(ids)
    return images.without([image for image in images.ids if image not in wanted])


def _check(policies: Sequence[str], run: Run | None, truth: GroundTruth | None, spec: str) -> None:
    """Raise UserError if a policy does not exist or lacks what it needs."""
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
            "compare "
            "labels with."
        )
    if set(policies) & set(NEEDS_BOXES) and not any(len(truth.boxes[row]) for row in range(len(truth.ids))):
        raise UserError(
            f"The data set {spec} has no boxes; leave out the policies {' and '.join(NEEDS_BOXES)}."
        )
