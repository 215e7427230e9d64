"""What the page CAM boxes filters and sorts a run's images by, and the view thresholds that it offers."""

from __future__ import annotations

import numpy as np

from app.reading.cached import cached_by
from app.reading.ground_truth import matched
from app.reading.runs import label_arrays, scores, views
from ccd_core.explore.browsing import ComparedScores, Signals, mean_views, signals
from ccd_core.method.boxes import distinct, shares
from ccd_core.runs.run import Run

FILES = ("labels.npz", "scores/train.npz")


@cached_by(*FILES, data_set=True, max_entries=2)
def _compared_scores(run: Run) -> ComparedScores:
    arrays = label_arrays(run)
    classifier = scores(run, "train")["scores"] if run.has("scores", "train.npz") else None
    truth = None
    found = matched(run, "train", arrays["ids"])
    if found is not None:
        rows, targets = found
        truth = np.full(arrays["initial"].shape, np.nan, np.float32)
        truth[rows] = targets
    return ComparedScores(arrays["initial"], classifier, truth)


@cached_by(*FILES, data_set=True, max_entries=64)
def image_signals(run: Run, cls: int | None = None) -> Signals:
    """What images are filtered and sorted by, over all classes or for one."""
    compared = _compared_scores(run)
    return signals(compared if cls is None else compared.of(cls))


@cached_by("scores/train.npz", max_entries=8)
def view_steps(run: Run) -> list[tuple[float, float | None]]:
    """View thresholds to choose from, with the mean views an image that the kept classifier gives at each.

    They are fine where most scores lie. The mean is None for a run without scores.
    """
    used = [run.load_json("view_threshold.json")["threshold"]] if run.has("view_threshold.json") else []
    offered = [*np.arange(0, 0.1, 0.0025), *np.arange(0.1, 1.001, 0.01), *np.clip(used, 0, 1)]
    steps = np.unique(np.round(offered, 4)).tolist()
    if not run.has("scores", "train.npz"):
        return [(step, None) for step in steps]
    means = mean_views(scores(run, "train")["scores"], np.array(steps)).tolist()
    return list(zip(steps, means, strict=True))


@cached_by("views.parquet", copied=True, max_entries=16)
def view_statistics(run: Run) -> tuple[int, float, float]:
    """Number of views, the share that covers over half of the frame, and the share of distinct crops."""
    table = views(run)
    if not len(table):
        return 0, 0.0, 1.0
    frame = run.config.views.frame
    sides = table[["x0", "y0", "x1", "y1"]].to_numpy()
    image = table["image"].cat.codes.to_numpy()
    first, _ = distinct(image, sides)
    large = float((shares(sides, (frame, frame)) > 0.5).mean())
    return len(table), large, len(first) / len(table)
