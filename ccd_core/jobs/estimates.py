"""How long a run will take and how much disk it will fill, from the speed of finished runs on this machine.

The work of a stage is counted in images that pass through a model. A finished run of the same kind (same
CLIP, classifier, sizes and device) shows how long one image takes here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from statistics import median

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.runs.needs import copies, disk_bytes, warm_up_epochs, work
from ccd_core.runs.run import Run
from ccd_core.training.schedule import fitted

RUNS_ASKED = 5


@dataclass(frozen=True)
class Estimate:
    """The estimate of a run.

    seconds: of each stage, or None if no run of this kind has finished here. disk: bytes, or None if the size
    of the classifier is not known. basis: a sentence about what the seconds rest on.
    """

    seconds: dict[str, float] | None
    disk: float | None
    basis: str


def kind(config: CCDConfig) -> tuple[object, ...]:
    """What the time for one image depends on. Runs of one kind have equal tuples."""
    device = "cpu" if config.device.startswith("cpu") else config.device.partition(":")[0]
    return (
        config.clip.model,
        config.clip.size,
        config.classifier.backbone,
        config.classifier.image_size,
        config.classifier.cam_size,
        config.classifier.frozen,
        config.classifier.learns,
        config.classifier.frozen_below,
        device,
    )


def estimate(config: CCDConfig, train: int, val: int, classes: int, earlier: Iterable[Run]) -> Estimate:
    """What a run with these settings will need.

    train, val, classes: numbers of images of the splits, and of classes. earlier: runs of the workspace,
    newest first.
    """
    finished = [run for run in earlier if run.status == "finished"]
    of_backbone = (run for run in finished if run.config.classifier.backbone == config.classifier.backbone)
    disk = disk_bytes(config, train, val, classes, next(of_backbone, None))
    used = dict(islice(_rates_of(finished, config), RUNS_ASKED))
    rates: dict[str, list[float]] = {}
    for found in used.values():
        for stage, rate in found.items():
            rates.setdefault(stage, []).append(rate)
    needed = work(fitted(config, train), train, val)
    if not used or any(stage not in rates for stage in needed):
        return Estimate(None, disk, "No run of this kind has finished on this machine yet.")
    seconds = {}
    for stage, count in needed.items():
        # Of `global` the slowest counts: runs that found their embeddings in the cache look too fast.
        typical = max if stage == "global" else median
        seconds[stage] = count * typical(rates[stage])
    return Estimate(
        seconds, disk, f"From how fast {', '.join(used)} went on this machine, if all epochs are run."
    )


def _rates_of(finished: Iterable[Run], config: CCDConfig) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and `_rates` of the runs that show how long a run with these settings takes here."""
    for run in finished:
        if kind(run.config) == kind(config) and run.recorded.get("host") == socket.gethostname():
            rates = _rates(run)
            if rates:
                yield run.name, rates


def _rates(run: Run) -> dict[str, float]:
    """Seconds an image of each stage; {} if the run's files cannot be read, so that other runs are used."""
    try:
        train = len(run.load_scores("train")["ids"])
        val = len(run.load_scores("val")["ids"]) if run.has("scores", "val.npz") else 0
        metrics = run.load_metrics()
    except UserError:
        return {}
    if "phase" not in metrics:
        return {}
    counted = work(fitted(run.config, train), train, val)
    # An early stop may have come.
    counted["training"] = float((metrics["phase"] == "main").sum() * copies(run.config) * train)
    return {
        stage: seconds / counted[stage]
        for stage, seconds in run.state.get("seconds", {}).items()
        if counted.get(stage)
    }


def time_left(run: Run, expected: dict[str, float] | None, train: int) -> float | None:
    """Seconds until the whole run is over: the rest of this stage, and the stages after it.

    expected: the estimated seconds of each stage. train: training images, which a run of few steps sees in
    more epochs. None if the estimates or the state of the run do not tell.
    """
    state = run.state
    stage = state.get("stage")
    eta = state.get("eta_seconds")
    if expected is None or stage not in expected or eta is None:
        return None
    stages = list(expected)
    left = eta + sum(expected[later] for later in stages[stages.index(stage) + 1 :])
    if stage in ("warm-up", "training"):
        settings = fitted(run.config, train)
        warm_up = warm_up_epochs(settings)
        last = warm_up if stage == "warm-up" else settings.training.epochs
        epochs = last if stage == "warm-up" else last - warm_up
        begun = len(run.load_metrics()) + 1
        left += max(0, last - begun) * expected[stage] / max(1, epochs)
    return left
