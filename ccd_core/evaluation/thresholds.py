"""Thresholds turn scores into labels. This module chooses them, and writes and reads their file.

Thresholds are chosen after a run, from its final scores. Training does not depend on them. The methods `f1`
and `precision` need ground truth, and the file says so. The others do not. (A precision estimated from the
classifier's own probabilities is not offered, because on the demo run it is up to 38 points too low and up to
15 points too high, depending on the class.)

A finished run has thresholds that were chosen without labels, by `label_free`. The page Results replaces
them by those that somebody saves. `in_use(run)` gives the thresholds that count: `ccd predict`, the page
Predict and the exports all ask it. It also serves runs of older versions, which have no such file.

The file is RUN/thresholds.json:

    {"how": "per class, best agreement with the run's own labels, on 1,200 images of the split train",
     "uses_ground_truth": false,        whether the method saw ground truth
     "chosen": "2026-11-26 18:20:00",   local time
     "method": "agreement",             a key of METHODS
     "target": null,                    of the methods precision and rate
     "per_class": true,
     "split": "train",                  whose scores and labels the method used
     "images": 1200,
     "thresholds": {"cat": 0.31, "dog": 0.42}}

An image has a label if its score, as float32, is at or above the class's threshold, as float32.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ccd_core.errors import UserError
from ccd_core.evaluation.label_free import DEFAULT_WAY, WAYS, PseudoLabels
from ccd_core.evaluation.sorted_scores import SortedScores
from ccd_core.files import write_json
from ccd_core.runs.run import Run

DEFAULT = 0.5
METHODS = {
    "hand": "set by hand",
    "f1": "highest F1 against ground truth",
    "precision": "most images at a target precision against ground truth",
    "rate": "target number of labels an image, without ground truth",
    "label_rate": "as many images as the run's own labels say, without ground truth",
    "clip_agreement": "best agreement with debiased CLIP, without ground truth",
    "agreement": "best agreement with the run's own labels, without ground truth",
    "mixture": "between the low and the high scores, without ground truth",
    "agreement_and_mixture": "agreement with the run's own labels and gap between the scores, without ground "
    "truth",
}
FILE = "thresholds.json"


@dataclass(frozen=True)
class Thresholds:
    """The threshold of each class, and how it was chosen.

    An image gets a label if its score is at or above the threshold of the class.
    """

    values: dict[str, float]  # {class: threshold}
    method: str = "hand"  # one of METHODS
    target: float | None = None  # the precision (a fraction) or the labels an image that the user asked for
    per_class: bool = False
    split: str | None = None  # the split whose scores the method used
    images: int | None = None  # the number of its images

    @property
    def in_words(self) -> str:
        """How the thresholds were chosen, in one line."""
        scope = "per class" if self.per_class else "one for all classes"
        line = f"{scope}, {METHODS[self.method]}"
        if self.target is not None:
            line += f" of {self.target:.0%}" if self.method == "precision" else f" of {self.target:g}"
        if self.split and self.method != "hand":
            line += f", on {self.images:,} images of the split {self.split}"
        return line

    def array(self, classes: Sequence[str]) -> np.ndarray:
        """[C] float64, in the order of `classes`. A class without a threshold has 0.5."""
        return np.array([self.values.get(name, DEFAULT) for name in classes])

    def labels(self, classes: Sequence[str], scores: np.ndarray) -> list[str]:
        """The labels of an image with scores [C], the highest score first."""
        # Scores are float32. A threshold that equals a score must stay equal to it, so it becomes float32,
        # too.
        thresholds = self.array(classes).astype(np.float32)
        scores = np.asarray(scores, np.float32)
        return [classes[i] for i in np.argsort(-scores, kind="stable") if scores[i] >= thresholds[i]]

    @classmethod
    def same(cls, classes: Sequence[str], value: float) -> Thresholds:
        """One threshold for all classes."""
        return cls(dict.fromkeys(classes, float(value)))


def choose(
    method: str,
    sorted_scores: SortedScores,
    classes: Sequence[str],
    target: float | None = None,
    shares: np.ndarray | None = None,
    split: str | None = None,
) -> Thresholds:
    """Choose thresholds by `method`, which is `f1`, `precision` or `rate`.

    sorted_scores: `SortedScores` for one threshold a class, `SortedScores.of_all_entries` for one threshold
    for all. target: for `precision` the least precision as a fraction, for `rate` the mean number of labels
    an image. shares: [C] adding up to 1, the share of each class in the labels of `rate`; without it, all
    have the same share.

    With `f1`, a class without a positive gets 0.5. With `precision`, a class that cannot reach the target
    gets 1, because no label is better than wrong labels. Raises ValueError for another method.
    """
    per_class = len(sorted_scores.scores) > 1 or len(classes) == 1
    images = sorted_scores.images if per_class else sorted_scores.images // len(classes)
    if method == "f1":
        thresholds = np.nan_to_num(sorted_scores.best_f1(), nan=DEFAULT)
    elif method == "precision":
        assert target is not None
        thresholds = np.nan_to_num(sorted_scores.at_precision(target), nan=1.0)
    elif method == "rate":
        assert target is not None
        if not per_class:
            shares = np.ones(1)
        elif shares is None:
            shares = np.full(len(classes), 1 / len(classes))
        counts = np.rint(target * images * shares)
        thresholds = sorted_scores.at_count(np.minimum(counts, sorted_scores.images))
    else:
        raise ValueError(f"no method {method!r}")
    values = np.broadcast_to(thresholds, len(classes))
    return Thresholds(
        dict(zip(classes, map(float, values), strict=True)), method, target, per_class, split, images
    )


def save(run: Run, thresholds: Thresholds) -> Path:
    """Write thresholds.json to the run's folder. Raises UserError if it cannot be written."""
    path = run.file(FILE)
    record = asdict(thresholds)
    uses_truth = thresholds.method in ("f1", "precision")
    values = record.pop("values")
    try:
        write_json(
            path,
            {
                "how": thresholds.in_words,
                "uses_ground_truth": uses_truth,
                "chosen": time.strftime("%Y-%m-%d %H:%M:%S"),
                **record,
                "thresholds": values,
            },
        )
    except OSError as error:
        raise UserError(f"The thresholds cannot be written to {path}: {error.strerror}.") from None
    return path


def load(path: str | Path, classes: Sequence[str]) -> Thresholds:
    """Read a file that `save` wrote, or a plain one such as {"cat": 0.4, "dog": 0.6}.

    A class that the file does not name has 0.5. Raises UserError if the file is missing or damaged, or if it
    names a class that is not in `classes`.
    """
    path = Path(path)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        is_ours = "thresholds" in stored
        table = stored["thresholds"] if is_ours and isinstance(stored["thresholds"], dict) else stored
        values = {str(name): float(value) for name, value in table.items()}
    except FileNotFoundError:
        raise UserError(f"There is no thresholds file {path}.") from None
    except (OSError, ValueError, AttributeError, TypeError):
        raise UserError(
            f"The thresholds file {path} must be one that the page Results saved, or JSON such as "
            '{"cat": 0.4, "dog": 0.6}.'
        ) from None
    how = {}
    if is_ours:
        keys = ("method", "target", "per_class", "split", "images")
        how = {key: stored[key] for key in keys if key in stored}
    unknown = sorted(set(values) - set(classes))
    if unknown:
        raise UserError(
            f"The thresholds file {path} names {unknown[0]!r}, which is no class of the run; its classes are "
            f"{', '.join(classes)}."
        )
    for name, value in values.items():
        if not 0 <= value <= 1.001:
            raise UserError(
                f"The thresholds file {path} gives {name} the threshold {value}; it must be from 0 to 1."
            )
    if how.get("method", "hand") not in METHODS:
        raise UserError(
            f"The thresholds file {path} has the method {how['method']!r}; there are {', '.join(METHODS)}."
        )
    how.setdefault("per_class", len({values.get(name, DEFAULT) for name in classes}) > 1)
    return Thresholds(values, **how)


def of_run(run: Run) -> Thresholds | None:
    """The thresholds saved in the run's folder, or None if there are none."""
    return load(run.file(FILE), run.classes) if run.has(FILE) else None


def without_labels(
    scores: np.ndarray, labels: PseudoLabels, classes: Sequence[str], way: str = DEFAULT_WAY
) -> Thresholds:
    """A threshold for each class from the run's own scores and labels of its training images, both [N, C].

    way: one of `label_free.WAYS`. Ground truth has no part in it.
    """
    values = WAYS[way](np.asarray(scores, np.float32), labels)
    return Thresholds(
        dict(zip(classes, map(float, values), strict=True)), way, None, True, "train", len(scores)
    )


def choose_without_labels(run: Run, alone: bool = False) -> Thresholds | None:
    """`without_labels` of a finished run. None if it has no scores or no labels of its training images.

    alone: for the scores of the classifier without CLIP's share, where the run's predictions are blended.
    """
    if not (run.has("scores", "train.npz") and run.has("labels.npz")):
        return None
    scored = run.load_scores("train", alone)
    arrays = run.load_labels()
    if not len(scored["ids"]) or not np.array_equal(scored["ids"], arrays["ids"]):
        return None
    return without_labels(scored["scores"], PseudoLabels(arrays["initial"], arrays["final"]), run.classes)


def in_use(run: Run, alone: bool = False) -> Thresholds:
    """The thresholds that turn the run's scores into labels everywhere.

    They are those of thresholds.json. Without that file they are chosen without labels, and nothing is
    written. A run that is not finished has 0.5. Raises UserError if the file is damaged.

    alone: for the classifier without CLIP's share. Its scores are others than the run's blended ones, so
    thresholds that were chosen without labels are chosen for them.
    """
    chosen = of_run(run)
    if chosen is None or (alone and chosen.method in WAYS):
        chosen = choose_without_labels(run, alone) or chosen
    return chosen or Thresholds.same(run.classes, DEFAULT)


def save_without_labels(run: Run) -> None:
    """Write thresholds.json for a run that has just ended, unless somebody has saved other thresholds."""
    if run.has(FILE):
        try:
            theirs = load(run.file(FILE), run.classes).method not in WAYS
        except UserError:
            theirs = True
        if theirs:
            return
    chosen = choose_without_labels(run)
    if chosen:
        save(run, chosen)
