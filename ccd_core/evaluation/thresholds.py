"""From scores to labels: which threshold each class has, how it was chosen, and the file that remembers it.

Choosing happens after a run, on its finished scores; nothing of it flows back into training. A choice that needs ground truth
("best F1", "precision") says so in the file. Without ground truth there is the label rate. (A precision estimated from the
classifier's own probabilities is not offered: on the demo run it is between 38 points too low and 15 too high, class by class.)
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ccd_core.errors import UserError
from ccd_core.evaluation.sorted_scores import SortedScores
from ccd_core.files import write_json
from ccd_core.runs.run import Run

DEFAULT = 0.5
METHODS = {
    "hand": "set by hand",
    "f1": "highest F1 against ground truth",
    "precision": "most images at a target precision against ground truth",
    "rate": "target number of labels an image, without ground truth",
}
FILE = "thresholds.json"


@dataclass(frozen=True)
class Thresholds:
    """A threshold a class and how it was chosen; an image has a label from its threshold on (score >= threshold)."""

    values: dict[str, float]
    method: str = "hand"  # one of METHODS
    target: float | None = None  # the precision (fraction) or the labels an image that were asked for
    per_class: bool = False
    split: str | None = None  # the split whose scores decided, and how many images it has
    images: int | None = None

    @property
    def in_words(self) -> str:
        """How the thresholds were chosen, in one line."""
        aim = (
            ""
            if self.target is None
            else f" of {self.target:.0%}"
            if self.method == "precision"
            else f" of {self.target:g}"
        )
        where = (
            f", on {self.images:,} images of the split {self.split}"
            if self.split and self.method != "hand"
            else ""
        )
        return (
            f"{'per class' if self.per_class else 'one for all classes'}, {METHODS[self.method]}{aim}{where}"
        )

    def array(self, classes: Sequence[str]) -> np.ndarray:
        """[C] in the order of `classes`; a class that is not named has 0.5."""
        return np.array([self.values.get(name, DEFAULT) for name in classes])

    def labels(self, classes: Sequence[str], scores: np.ndarray) -> list[str]:
        """Names of the classes of one image's scores [C] at or above their threshold, surest first."""
        # compared as float32, the type of the scores: a threshold that is somebody's score stays equal to it
        limits = self.array(classes).astype(np.float32)
        scores = np.asarray(scores, np.float32)
        return [classes[i] for i in np.argsort(-scores, kind="stable") if scores[i] >= limits[i]]

    @classmethod
    def same(cls, classes: Sequence[str], value: float) -> Thresholds:
        return cls(dict.fromkeys(classes, float(value)))


def choose(
    method: str,
    ranking: SortedScores,
    classes: Sequence[str],
    target: float | None = None,
    shares: np.ndarray | None = None,
    split: str | None = None,
) -> Thresholds:
    """Thresholds by `method`: "f1", "precision" (target: a fraction) or "rate" (target: mean labels an image).

    ranking: of every class, or `Ranking.of_all_entries` for one threshold for all. shares: [C] adding up to 1, how the labels of a
    rate are divided among the classes, evenly without it. A class that cannot be decided (no positive, or the precision out of
    reach) keeps 0.5, or 1 where a precision is out of reach: rather no label than wrong ones.
    """
    per_class = len(ranking.scores) > 1 or len(classes) == 1
    images = ranking.images if per_class else ranking.images // len(classes)
    if method == "f1":
        limits = np.nan_to_num(ranking.best_f1(), nan=DEFAULT)
    elif method == "precision":
        assert target is not None
        limits = np.nan_to_num(ranking.at_precision(target), nan=1.0)
    elif method == "rate":
        assert target is not None
        parts = np.full(len(classes), 1 / len(classes)) if shares is None else shares
        counts = np.rint(target * images * (parts if per_class else np.ones(1)))
        limits = ranking.at_count(np.minimum(counts, ranking.images))
    else:
        raise ValueError(f"no method {method!r}")
    values = np.broadcast_to(limits, len(classes))
    return Thresholds(
        dict(zip(classes, map(float, values), strict=True)), method, target, per_class, split, images
    )


def save(run: Run, thresholds: Thresholds) -> Path:
    """Write thresholds.json into the run's folder, for the page Predict, `ccd predict` and Gradio."""
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
    """Read what `save` wrote, or a plain {"cat": 0.4, "dog": 0.6}; a class that is not named has 0.5. Raises UserError."""
    path = Path(path)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        known = {
            key: stored[key]
            for key in ("method", "target", "per_class", "split", "images")
            if "thresholds" in stored and key in stored
        }
        values = {
            str(name): float(value)
            for name, value in (
                stored["thresholds"] if isinstance(stored.get("thresholds"), dict) else stored
            ).items()
        }
    except FileNotFoundError:
        raise UserError(f"There is no thresholds file {path}.") from None
    except (OSError, ValueError, AttributeError, TypeError):
        raise UserError(
            f'The thresholds file {path} must be JSON such as {{"cat": 0.4, "dog": 0.6}}, or what the page Results saved.'
        ) from None
    unknown = sorted(set(values) - set(classes))
    if unknown:
        raise UserError(
            f"The thresholds file {path} names {unknown[0]!r}, which is no class of the run; its classes are {', '.join(classes)}."
        )
    wrong = [name for name, value in values.items() if not 0 <= value <= 1.001]
    if wrong or known.get("method", "hand") not in METHODS:
        raise UserError(
            f"The thresholds file {path} gives {wrong[0] if wrong else 'its method'} something else than a threshold of 0 to 1."
        )
    known.setdefault(
        "per_class", len({values.get(name, DEFAULT) for name in classes}) > 1
    )  # a plain file does not say
    return Thresholds(values, **known)


def of_run(run: Run) -> Thresholds | None:
    """The thresholds saved in the run's folder; None where none are."""
    return load(run.file(FILE), run.classes) if run.has(FILE) else None
