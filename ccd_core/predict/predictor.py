"""Use a finished run: image in, labels, maps and boxes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ccd_core.clip.teacher import PromptedClip, load_teacher, normalise
from ccd_core.data.images import read_image, resize
from ccd_core.errors import ImageError, UserError
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.machine.device import make_accelerator
from ccd_core.method.classifier import CamClassifier, make_classifier
from ccd_core.method.local_views import clip_probabilities, class_maps_of
from ccd_core.method.views import AxisMaxima, normalize_cam
from ccd_core.runs.run import Run
from ccd_core.training.checkpoint import load_model_weights

SHOWN_THRESHOLD = 0.5  # share of a map's range above which its part of the image is framed for people


@dataclass(frozen=True)
class Prediction:
    """scores: [C] float32 probabilities, or None where the image cannot be used and `error` says why."""

    path: Path
    scores: np.ndarray | None
    error: str | None = None

    def labels(
        self, classes: Sequence[str], thresholds: float | dict[str, float] | Thresholds = 0.5
    ) -> list[str]:
        """Names of the classes at or above their threshold, surest first; a class without a threshold has 0.5."""
        if self.scores is None:
            return []
        if isinstance(thresholds, (int, float)):
            thresholds = Thresholds.same(classes, thresholds)
        elif isinstance(thresholds, dict):
            thresholds = Thresholds(thresholds)
        return thresholds.labels(classes, self.scores)


class Predictor:
    """The kept classifier of a run.

    >>> predictor = Predictor.open("assets/demo_run")
    >>> [prediction] = predictor.predict(["photo.jpg"])
    >>> prediction.labels(predictor.classes, thresholds=0.5)
    ['house', 'tree']
    """

    def __init__(self, run: Run, device: str = "auto", precision: str = "fp32"):
        from safetensors.torch import load_file

        path = run.file("checkpoints", "best.safetensors")
        if not path.is_file():
            raise UserError(
                f"Run {run.name} has no trained model yet (status {run.status}); let it finish, or resume it."
            )
        self.run, self.classes = run, run.classes
        self.accelerator = make_accelerator(device, precision)
        settings = run.config.classifier.model_copy(update={"weights": None})  # all weights come from the run
        self.model = make_classifier(settings, len(run.classes))
        self.model.load_state_dict(
            {
                name: value.float() if value.is_floating_point() else value
                for name, value in load_file(path).items()
            }
        )
        self.model.eval().to(self.accelerator.device)
        self._prompted: PromptedClip | None = None
        self._warmed_up: CamClassifier | None = None

    @classmethod
    def open(cls, path: str | Path, device: str = "auto", precision: str = "fp32") -> Predictor:
        return cls(Run.open(path), device, precision)

    @torch.inference_mode()
    def predict(
        self, paths: Sequence[str | Path], batch_size: int = 32, advance: Callable[[int], None] | None = None
    ) -> list[Prediction]:
        """One Prediction an image, in order; an image that cannot be read has an error instead of scores.

        advance(done) is called after every batch.
        """
        predictions: list[Prediction] = []
        for batch, pictures in self._decoded(list(map(Path, paths)), batch_size):
            good = [picture for picture in pictures if isinstance(picture, torch.Tensor)]
            scores = iter(self._scores(torch.stack(good)) if good else [])
            predictions += [
                Prediction(path, next(scores))
                if isinstance(picture, torch.Tensor)
                else Prediction(path, None, str(picture))
                for path, picture in zip(batch, pictures, strict=True)
            ]
            if advance:
                advance(len(predictions))
        return predictions

    def _decoded(
        self, paths: list[Path], batch_size: int
    ) -> Iterator[tuple[list[Path], list[torch.Tensor | ImageError]]]:
        """The images batch by batch, decoded by several threads while the model is busy with the batch before."""
        batches = [paths[begin : begin + batch_size] for begin in range(0, len(paths), batch_size)]
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            coming = [threads.submit(self._picture, path) for path in batches[0]] if batches else []
            for number, batch in enumerate(batches):
                current, following = coming, batches[number + 1] if number + 1 < len(batches) else []
                coming = [threads.submit(self._picture, path) for path in following]
                yield batch, [future.result() for future in current]

    def _picture(self, path: Path) -> torch.Tensor | ImageError:
        try:
            return self._square(path, self.run.config.classifier.image_size)
        except ImageError as error:
            return error

    def _scores(self, pixels: torch.Tensor) -> np.ndarray:
        with self.accelerator.autocast():
            logits = self.model(normalise(pixels.to(self.accelerator.device)))
        return torch.sigmoid(logits.float()).cpu().numpy()

    @torch.inference_mode()
    def attend(self, path: str | Path, classes: Sequence[int], clip: bool = True) -> dict[str, Any]:
        """Why the classifier says each of the classes [K] named: their maps [K][h][w] in [0, 1] and boxes as fractions of the image.

        A box holds the map's pixels above `SHOWN_THRESHOLD`; the 0.95 of the run's views marks a map's peak, not an object. Also CLIP's own probabilities of the whole image, clip [C] or None. Much less than `explain` where there are many classes.
        """
        settings = self.run.config
        chosen = torch.tensor(list(classes), dtype=torch.long)
        pixels = self._square(Path(path), settings.classifier.cam_size)[None]
        _, cam = class_maps_of(self.model, pixels, settings.classifier.cam_size, self.accelerator)
        maps = cam[0][chosen.to(cam.device)]
        frame = settings.views.frame
        extents = (
            AxisMaxima(maps, (frame, frame)).extents(SHOWN_THRESHOLD) if len(chosen) else np.empty((0, 4))
        )
        return {
            "cam": normalize_cam(maps).cpu().numpy().round(3).tolist(),
            "boxes": [None if box[0] < 0 else (box / frame).tolist() for box in extents],
            "clip": self._global_probabilities(Path(path)) if clip else None,
        }

    @torch.inference_mode()
    def explain(
        self, path: str | Path, thresholds: Sequence[float], warmed_up: bool = False
    ) -> dict[str, Any]:
        """Scores [C], maps [C][h][w] in [0, 1], CAM boxes [C][T] without offset at each threshold (None for a flat map), CLIP's view [C].

        Boxes are in pixels of the run's frame, whose side is `frame`. With `warmed_up`, all but CLIP's view are those of the classifier
        as it was after warm-up, when the run took its views.
        """
        settings = self.run.config
        frame = settings.views.frame
        pixels = self._square(Path(path), frame)[None]
        model = self._after_warmup() if warmed_up else self.model
        logits, cam = class_maps_of(model, pixels, settings.classifier.cam_size, self.accelerator)
        profile = AxisMaxima(cam[0], (frame, frame))
        extents = [profile.extents(threshold) for threshold in thresholds]
        boxes = [
            [None if row[c][0] < 0 else [int(v) for v in row[c]] for row in extents]
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
        """By CAM method: the map of class `cls` and its box at each threshold, as `method_boxes` gives them."""
        from ccd_core.predict.cam_methods import method_boxes, method_maps

        size = self.run.config.classifier.cam_size
        pixels = self._square(Path(path), size)[None].to(self.accelerator.device)
        return method_boxes(
            method_maps(self.model, normalise(pixels), cls), self.run.config.views.frame, list(thresholds)
        )

    def _after_warmup(self) -> CamClassifier:
        """The classifier that the run's own views come from. Raises UserError where the run has not kept it."""
        if self._warmed_up is None:
            path = self.run.file("checkpoints", "warmup.safetensors")
            if not path.is_file():
                raise UserError(f"Run {self.run.name} has not kept its classifier as it was after warm-up.")
            self._warmed_up = make_classifier(
                self.run.config.classifier.model_copy(update={"weights": None}), len(self.classes)
            )
            self._warmed_up.load_state_dict(load_model_weights(path))
            self._warmed_up.eval().to(self.accelerator.device)
        return self._warmed_up

    @torch.inference_mode()
    def clip_views(self, path: str | Path, boxes: Sequence[Sequence[float]]) -> np.ndarray:
        """[V, C] float32 what CLIP says of parts of an image, cut and resized as the run cuts its local views (Sec. 4.1).

        boxes: (x0, y0, x1, y1) as fractions of the image, [0, 1]; each becomes whole pixels of the run's frame. Raises UserError
        for a box without area, an unreadable image, or where CLIP's weights are not on this machine.
        """
        settings = self.run.config
        places = np.array(boxes, float).reshape(-1, 4)
        if not (
            np.isfinite(places).all()
            and (places >= 0).all()
            and (places <= 1).all()
            and (places[:, :2] < places[:, 2:]).all()
        ):
            raise UserError(
                "A box is x0, y0, x1, y1 as fractions of the image from 0 to 1, with x0 < x1 and y0 < y1."
            )
        frame = settings.views.frame
        pixels = np.rint(places * frame).astype(int)
        pixels[:, :2] = np.minimum(pixels[:, :2], frame - 1)
        pixels[:, 2:] = np.maximum(pixels[:, 2:], pixels[:, :2] + 1)
        views = [(0, box) for box in pixels.tolist()]
        return clip_probabilities(self._clip(), [self._square(Path(path), frame)], views)

    def _clip(self) -> PromptedClip:
        """The run's CLIP and the embeddings of its classes, loaded when first needed."""
        if self._prompted is None:
            self._prompted = load_teacher(self.run.config.clip, self.classes, self.accelerator)
        return self._prompted

    def _global_probabilities(self, path: Path) -> list[float] | None:
        """CLIP's probabilities of the whole image; None where its weights are not on this machine."""
        try:
            clip = self._clip()
        except UserError:
            return None
        return clip.probabilities(self._square(path, clip.side)[None])[0].tolist()

    @staticmethod
    def _square(path: Path, size: int) -> torch.Tensor:
        """[3, size, size] uint8, the image squeezed into a square as in training."""
        return torch.from_numpy(np.array(resize(read_image(path, at_least=size), size, size))).permute(
            2, 0, 1
        )
