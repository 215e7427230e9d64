"""The classifier of a finished run: images in, labels, maps and boxes out."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ccd_core.baselines.models import empty_model
from ccd_core.clip.blend import blended, cells, clip_share
from ccd_core.clip.teacher import PromptedClip, load_teacher, normalise
from ccd_core.data.decoding.images import read_image, resize
from ccd_core.device_memory import Pass, to_device
from ccd_core.errors import ImageError, UserError
from ccd_core.evaluation.thresholds import Thresholds, in_use
from ccd_core.machine.device import make_accelerator
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.likeness import Likeness
from ccd_core.method.local_views import class_maps_of, clip_probabilities
from ccd_core.method.regions import peak_boxes_at
from ccd_core.method.views import AxisMaxima, normalize_cam
from ccd_core.predict.threads import answered_by_threads, decoded_by_threads, side_by_side
from ccd_core.runs.likeness import read_likeness
from ccd_core.runs.run import Run
from ccd_core.training.augment import to_network
from ccd_core.training.checkpoint import load_kept_weights, load_model_weights, set_kept_weights

# A box that is shown to people holds the part of a map above this value of [0, 1]. The CAM threshold of a
# run, 0.95, marks only the peak of a map and not the whole object.
SHOWN_THRESHOLD = 0.5
AHEAD = 3  # batches that are begun and not yet yielded

log = logging.getLogger("ccd")


@dataclass(frozen=True)
class Prediction:
    """The classifier's answer for one image."""

    path: Path
    scores: np.ndarray | None  # [C] float32, probabilities; None if the image cannot be used
    error: str | None = None  # a sentence that says why it cannot be used
    distance: float | None = None  # from the training images, about 1 for one like them; None if not known
    unlike: bool = False  # whether it is so far from the training images that the scores mean little
    boxes: dict[str, list[float] | None] | None = None  # of `Predictor.stream`: {label: x0, y0, x1, y1}

    def labels(
        self, classes: Sequence[str], thresholds: float | dict[str, float] | Thresholds = 0.5
    ) -> list[str]:
        """Names of the classes whose score is at or above their threshold, the highest score first.

        classes: the C classes of the run. thresholds: one number, or {class: threshold}; a class that is not
        named has 0.5.
        """
        if self.scores is None:
            return []
        if isinstance(thresholds, (int, float)):
            thresholds = Thresholds.same(classes, thresholds)
        elif isinstance(thresholds, dict):
            thresholds = Thresholds(thresholds)
        return thresholds.labels(classes, self.scores)


class Decoded(NamedTuple):
    """An image as the models take it, uint8 [3, S, S]; `for_clip` is None where the classifier is alone."""

    pixels: torch.Tensor
    for_clip: torch.Tensor | None


class Predictor:
    """Predicts with the final classifier of a run.

    >>> predictor = Predictor.open("assets/demo_run")
    >>> [prediction] = predictor.predict(["photo.jpg"])
    >>> prediction.labels(predictor.classes, thresholds=0.5)
    ['house', 'tree']
    """

    def __init__(self, run: Run, device: str = "auto", precision: str = "fp32", alone: bool = False):
        """alone: without CLIP's share in predictions, which the setting predict.blend gives."""
        path = run.file("checkpoints", "best.safetensors")
        if not path.is_file():
            raise UserError(
                f"Run {run.name} has no trained model yet (status {run.status}); let it finish, or resume it."
            )
        self.run = run
        self.classes = run.classes
        self.bits = run.picture_bits
        self.accelerator = make_accelerator(device, precision)
        weights = load_kept_weights(run)
        self.model = self._classifier(
            {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
        )
        self.likeness = self._fitting_likeness()
        # What was exported is the classifier alone: it has no CLIP beside it.
        with_clip = run.config.blends and run.has("global.npz") and not alone
        self.blend = run.config.predict.blend if with_clip else 0.0
        self._prompted: PromptedClip | None = None
        self._limit = Pass("images in one pass of prediction")
        self._warmed_up: CamClassifier | None = None

    @classmethod
    def open(
        cls, path: str | Path, device: str = "auto", precision: str = "fp32", alone: bool = False
    ) -> Predictor:
        """Open the run in the folder `path`. Raises UserError if it is no run or has no trained model.

        alone: without CLIP's share in predictions, which the setting predict.blend gives.
        """
        return cls(Run.open(path), device, precision, alone)

    @classmethod
    def from_pretrained(
        cls,
        place: str | Path,
        device: str = "auto",
        precision: str = "fp32",
        revision: str | None = None,
    ) -> Predictor:
        """Open what `ccd export RUN --to huggingface` wrote: a folder, or NAME/MODEL on the hub.

        revision: a branch, tag or commit on the hub. Raises UserError if there is neither, it holds no such
        model, or the hub cannot be reached and its cache does not have the model.
        """
        from ccd_core.predict.pretrained import open_pretrained

        return cls(open_pretrained(place, revision), device, precision)

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds that lie with the run or the exported model, or those that the run gives itself."""
        return in_use(self.run, alone=self.blend == 0)

    @torch.inference_mode()
    def predict(
        self, paths: Sequence[str | Path], batch_size: int = 32, advance: Callable[[int], None] | None = None
    ) -> list[Prediction]:
        """One `Prediction` for each image, in the order of `paths`.

        An image that cannot be read has an error and no scores. advance(done) is called after every batch.
        """
        predictions: list[Prediction] = []
        for batch in self.stream(paths, batch_size):
            predictions += batch
            if advance:
                advance(len(predictions))
        return predictions

    @torch.inference_mode()
    def stream(
        self,
        paths: Iterable[str | Path],
        batch_size: int = 32,
        workers: int = -1,
        boxes_at: Thresholds | None = None,
    ) -> Iterator[list[Prediction]]:
        """Yield the predictions batch by batch, in the order of `paths`, which may be any number.

        workers: threads; -1 takes as many as torch computes with, on a GPU one a CPU core, at most 16. On a
        CPU each thread takes images from their files to their answers, because threads that share one image's
        arithmetic wait for each other. For a GPU they decode. At most `AHEAD` batches are in memory.
        boxes_at: also find the CAM box of every label at these thresholds. An image that cannot be read has
        an error and no scores.
        """
        on_cpu = self.accelerator.device.type == "cpu"
        cores = torch.get_num_threads() if on_cpu else os.cpu_count() or 1
        count = min(16, cores) if workers < 0 else max(1, workers)
        clip = self._clip_of_blend()
        coming = iter(paths)
        batch = list(map(Path, islice(coming, batch_size)))
        if on_cpu and len(batch) < min(count, batch_size):  # too few for threads of their own
            if batch:
                yield self._from_files(batch, clip, boxes_at)
            return
        waiting: deque[Callable[[], list[Prediction]]] = deque()
        from_files = partial(self._from_files, clip=clip, boxes_at=boxes_at)
        decode = partial(self._decode, clip=clip)
        finish = partial(self._finished, clip=clip, boxes_at=boxes_at)
        with side_by_side(count) as threads:
            while batch or waiting:
                while batch and len(waiting) < AHEAD:
                    begun = (
                        answered_by_threads(threads, count, batch, from_files)
                        if on_cpu
                        else decoded_by_threads(threads, batch, decode, finish)
                    )
                    waiting.append(begun)
                    batch = list(map(Path, islice(coming, batch_size)))
                yield waiting.popleft()()

    @torch.inference_mode()
    def _from_files(
        self, paths: list[Path], clip: PromptedClip | None, boxes_at: Thresholds | None
    ) -> list[Prediction]:
        """The predictions of some images, by one thread from the beginning to the end."""
        return self._finished(paths, [self._decode(path, clip) for path in paths], clip, boxes_at)

    def _finished(
        self,
        batch: list[Path],
        decoded: Sequence[Decoded | ImageError],
        clip: PromptedClip | None,
        boxes_at: Thresholds | None,
    ) -> list[Prediction]:
        """The predictions of decoded images."""
        readable = [one for one in decoded if isinstance(one, Decoded)]
        answers = list(self._answers(torch.stack([one.pixels for one in readable]))) if readable else []
        if clip and readable:
            scores = self._blended(np.stack([answer[0] for answer in answers]), readable, clip)
            answers = [(row, *answer[1:]) for row, answer in zip(scores, answers, strict=True)]
        coming = iter(answers)
        predictions = [
            Prediction(path, None, str(one))
            if isinstance(one, ImageError)
            else Prediction(path, *next(coming))
            for path, one in zip(batch, decoded, strict=True)
        ]
        return predictions if boxes_at is None else self._with_boxes(predictions, boxes_at)

    def _blended(self, scores: np.ndarray, images: Sequence[Decoded], clip: PromptedClip) -> np.ndarray:
        """The classifier's scores [B, C] of `images`, blended with what CLIP says of them."""
        settings = self.run.config.predict
        parts = cells(
            torch.stack([one.for_clip for one in images if one.for_clip is not None]), settings.grid
        )
        embeddings = torch.cat([clip.embed(part) for part in parts.split(clip.batch_size)]).cpu().numpy()
        of_cells = embeddings.reshape(len(images), settings.grid**2, -1)
        return blended(scores, clip_share(clip, of_cells), settings.blend)

    def _clip_of_blend(self) -> PromptedClip | None:
        """The CLIP that has a share in predictions. None if it has none, or if its weights are not here."""
        if self.blend == 0:
            return None
        try:
            return self._clip()
        except UserError:
            log.warning(
                "CLIP's weights are not on this machine, so predictions are the classifier's alone, without "
                "the share of CLIP that predict.blend asks for"
            )
            self.blend = 0.0
            return None

    def _with_boxes(self, predictions: list[Prediction], limits: Thresholds) -> list[Prediction]:
        """The predictions with the CAM box of each of their labels."""
        found = []
        for one in predictions:
            labels = one.labels(self.classes, limits)
            boxes = dict.fromkeys(labels)
            if labels:
                try:
                    seen = self.attend(one.path, [self.classes.index(name) for name in labels], clip=False)
                    boxes = dict(zip(labels, seen["boxes"], strict=True))
                except ImageError as error:  # the file has gone since it was decoded
                    one = replace(one, scores=None, error=str(error))
            found.append(replace(one, boxes=boxes))
        return found

    def _decode(self, path: Path, clip: PromptedClip | None) -> Decoded | ImageError:
        """The image as the classifier takes it, and as `clip` does, if it has a share in predictions."""
        try:
            pixels = self._square(path, self.run.config.classifier.image_size)
            side = self.run.config.predict.grid * clip.side if clip else 0
            return Decoded(pixels, self._square(path, side) if clip else None)
        except ImageError as error:
            return error

    def _answers(self, pixels: torch.Tensor) -> Iterator[tuple[np.ndarray, str | None, float | None, bool]]:
        """Scores [C], error, distance and `unlike` of each image of a batch, as `Prediction` has them."""

        def one_pass(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
            x = to_network(to_device(pixels[part], self.accelerator.device))
            with self.accelerator.autocast():
                logits, features = self.model.with_features(x)
            return torch.sigmoid(logits.float()), features.float()

        passes = self._limit.run(len(pixels), one_pass)
        scores = torch.cat([rows for rows, _ in passes]).cpu().numpy()
        if self.likeness is None:
            yield from ((row, None, None, False) for row in scores)
            return
        distances = self.likeness.distance(torch.cat([rows for _, rows in passes]).cpu().numpy())
        for row, distance in zip(scores, distances.tolist(), strict=True):
            yield row, None, distance, distance > self.likeness.limit

    @torch.inference_mode()
    def attend(self, path: str | Path, classes: Sequence[int], clip: bool = True) -> dict[str, Any]:
        """Explain K of the classes, given by their indices, for one image.

        Returns `cam`, K maps [h][w] in [0, 1]; `boxes`, K boxes (x0, y0, x1, y1) in fractions of the image,
        or None for a constant map; and `clip`, CLIP's probabilities [C] of the whole image, or None if CLIP's
        weights are not on this machine. A box holds the part of the map above `SHOWN_THRESHOLD`. With many
        classes this computes much less than `explain`. Raises ImageError if the image cannot be read.
        """
        settings = self.run.config
        chosen = torch.tensor(list(classes), dtype=torch.long)
        pixels = self._square(Path(path), settings.classifier.cam_size)[None]
        _, cam = class_maps_of(self.model, pixels, settings.classifier.cam_size, self.accelerator)
        maps = cam[0][chosen.to(cam.device)]
        frame = settings.views.frame
        boxes = np.empty((0, 4))
        if len(chosen):
            boxes = AxisMaxima(maps, (frame, frame)).extents(SHOWN_THRESHOLD)
        return {
            "cam": normalize_cam(maps).cpu().numpy().round(3).tolist(),
            "boxes": [None if box[0] < 0 else (box / frame).tolist() for box in boxes],
            "clip": self._global_probabilities(Path(path)) if clip else None,
        }

    @torch.inference_mode()
    def explain(
        self, path: str | Path, thresholds: Sequence[float], warmed_up: bool = False
    ) -> dict[str, Any]:
        """Scores, maps and CAM boxes of all classes for one image.

        Returns `scores` [C]; `cam`, maps [C][h][w] in [0, 1]; `boxes` [C][T], the CAM box at each of T CAM
        thresholds, without offset, in pixels of the run's frame, or None for a constant map; `frame`, the
        side of that frame in pixels; and `clip`, CLIP's probabilities [C] of the whole image, or None if its
        weights are not on this machine. With `warmed_up`, scores, maps and boxes are those of the classifier
        after warm-up, from which the run took its views. Raises ImageError if the image cannot be read, and
        UserError if that classifier is missing.
        """
        settings = self.run.config
        frame = settings.views.frame
        pixels = self._square(Path(path), frame)[None]
        model = self._after_warmup() if warmed_up else self.model
        logits, cam = class_maps_of(model, pixels, settings.classifier.cam_size, self.accelerator)
        if settings.views.box == "peak":
            extents = peak_boxes_at(cam[0], (frame, frame), thresholds).tolist()  # [T][C][4]
        else:
            maxima = AxisMaxima(cam[0], (frame, frame))
            extents = [maxima.extents(threshold).tolist() for threshold in thresholds]
        boxes = [
            [None if of_threshold[c][0] < 0 else of_threshold[c] for of_threshold in extents]
            for c in range(len(self.classes))
        ]
        return {
            "scores": torch.sigmoid(logits[0]).tolist(),
            "cam": normalize_cam(cam[0]).cpu().numpy().round(4).tolist(),
            "boxes": boxes,
            "frame": frame,
            "clip": self._global_probabilities(Path(path)),
        }

    def cam_methods(
        self, path: str | Path, cls: int, thresholds: Sequence[float]
    ) -> dict[str, dict[str, Any]]:
        """{method: {"map": ..., "boxes": ...}} of class `cls` for one image, as `method_boxes` returns it."""
        from ccd_core.predict.cam_methods import method_boxes, method_maps

        size = self.run.config.classifier.cam_size
        pixels = self._square(Path(path), size)[None].to(self.accelerator.device)
        maps = method_maps(self.model, normalise(pixels), cls)
        return method_boxes(maps, self.run.config.views.frame, list(thresholds))

    def _fitting_likeness(self) -> Likeness | None:
        """What the training images are like; None where the run does not say."""
        found = read_likeness(self.run)
        channels = self.model.head.in_channels
        return found if found is not None and len(found.mean) == channels else None

    def _after_warmup(self) -> CamClassifier:
        """The classifier after warm-up, which chose the run's views. Raises UserError if it is missing."""
        if self._warmed_up is None:
            path = self.run.file("checkpoints", "warmup.safetensors")
            if not path.is_file():
                raise UserError(f"Run {self.run.name} has no classifier of the end of its warm-up.")
            self._warmed_up = self._classifier(load_model_weights(path))
        return self._warmed_up

    def _classifier(self, weights: dict[str, torch.Tensor]) -> CamClassifier:
        model = empty_model(self.run.config, len(self.classes), weights)
        set_kept_weights(model, weights, self.run)
        model.eval().to(self.accelerator.device)
        return model.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def clip_views(
        self, path: str | Path, boxes: Sequence[Sequence[float]], whole: bool = False
    ) -> np.ndarray:
        """CLIP's probabilities of V parts of an image, float32 [V, C] (Sec. 4.1).

        boxes: V boxes (x0, y0, x1, y1) in fractions of the image; each becomes at least one pixel of the
        run's frame. The parts are cut out and resized as the run does with its local views. whole: a box that
        is the whole image gets what the run asked about whole images, not what it asked about such a view.
        Raises ImageError if the image cannot be read, and UserError for a box without area or if CLIP's
        weights are not on this machine.
        """
        settings = self.run.config
        corners = np.array(boxes, float).reshape(-1, 4)
        inside = (corners >= 0) & (corners <= 1)  # also False for NaN
        if not (inside.all() and (corners[:, :2] < corners[:, 2:]).all()):
            raise UserError(
                "A box is x0, y0, x1, y1 as fractions of the image from 0 to 1, with x0 < x1 and y0 < y1."
            )
        frame = settings.views.frame
        pixels = np.rint(corners * frame).astype(int)
        pixels[:, :2] = np.minimum(pixels[:, :2], frame - 1)
        pixels[:, 2:] = np.maximum(pixels[:, 2:], pixels[:, :2] + 1)
        views = [(0, box) for box in pixels.tolist()]
        p = clip_probabilities(self._clip(), [self._square(Path(path), frame)], views)
        all_of_it = (corners == (0, 0, 1, 1)).all(1)
        if whole and all_of_it.any():
            p[all_of_it] = self._global_probabilities(Path(path))
        return p

    def _clip(self) -> PromptedClip:
        """The run's CLIP with the embeddings of its classes. It is loaded on first use."""
        if self._prompted is None:
            self._prompted = load_teacher(self.run.config.clip, self.classes, self.accelerator)
        return self._prompted

    def _global_probabilities(self, path: Path) -> list[float] | None:
        """CLIP's probabilities [C] of the whole image, or None if its weights are not on this machine."""
        try:
            clip = self._clip()
        except UserError:
            return None
        return clip.probabilities(self._square(path, clip.side)[None])[0].tolist()

    def _square(self, path: Path, size: int) -> torch.Tensor:
        """The image resized to a square as in training, uint8 [3, size, size]."""
        pixels = resize(read_image(path, at_least=size, bits=self.bits), size, size)
        return torch.from_numpy(pixels).permute(2, 0, 1)
