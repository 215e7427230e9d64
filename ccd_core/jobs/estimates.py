"""How long a run will take and how much disk it will fill, from the speed of finished runs on this machine.

The work of a stage is counted in images that pass through a model. A finished run of the same kind (same
CLIP, classifier, sizes and device) says how long one of them takes here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from statistics import median

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

RUNS_ASKED = 5
PARAMETERS = {
    "resnet18": 11.2e6,
    "resnet34": 21.3e6,
    "resnet50": 23.5e6,
    "resnet101": 42.5e6,
    "resnet152": 58.1e6,
}
MEAN_VIEWS = 10.0  # assumed where a run has a fixed view threshold (4.3)


@dataclass(frozen=True)
class Estimate:
    """Seconds a stage, None where nothing like it has finished here; bytes of disk; what both rest on."""

    seconds: dict[str, float] | None
    disk: float | None
    basis: str


def work(config: CCDConfig, train: int, val: int) -> dict[str, float]:
    """Images that each stage passes through its model; the main phase is counted as if no early stop came."""
    epochs = config.training.epochs
    warm_up = min(config.training.warmup_epochs, epochs) if config.labels.update else epochs
    threshold = config.views.threshold
    views = MEAN_VIEWS if isinstance(threshold, float) else threshold.mean_views
    counted = {
        "images": train + val,
        "global": train,
        "warm-up": warm_up * train,
        "views": views * train if config.labels.update else 0,
        "training": (epochs - warm_up) * train,
        "scores": train + val,
    }
    return {stage: float(count) for stage, count in counted.items() if count}


def kind(config: CCDConfig) -> tuple[object, ...]:
    """Runs with the same answer need the same time for one image."""
    device = "cpu" if config.device.startswith("cpu") else config.device.partition(":")[0]
    return (
        config.clip.model,
        config.clip.size,
        config.classifier.backbone,
        config.classifier.image_size,
        config.classifier.cam_size,
        device,
    )


def estimate(config: CCDConfig, train: int, val: int, classes: int, earlier: Iterable[Run]) -> Estimate:
    """What `config` will need for `train` and `val` images, from runs that finished on this machine, newest
    first.
    """
    finished = [run for run in earlier if run.status == "finished"]
    disk = _disk(
        config,
        train,
        val,
        classes,
        next((run for run in finished if run.config.classifier.backbone == config.classifier.backbone), None),
    )
    alike = [
        run
        for run in finished
        if kind(run.config) == kind(config) and run.recorded.get("host") == socket.gethostname()
    ]
    asked = dict(islice(((run.name, found) for run in alike if (found := _rates(run))), RUNS_ASKED))
    rates: dict[str, list[float]] = {}
    for found in asked.values():
        for stage, rate in found.items():
            rates.setdefault(stage, []).append(rate)
    needed = work(config, train, val)
    if not asked or any(stage not in rates for stage in needed):
        return Estimate(None, disk, "No run of this kind has finished on this machine yet.")
    # the slowest for `global`: embeddings kept from an earlier run make the others look fast
    seconds = {
        stage: count * (max if stage == "global" else median)(rates[stage]) for stage, count in needed.items()
    }
    return Estimate(
        seconds, disk, f"From how fast {', '.join(asked)} went on this machine, if all epochs are run."
    )


def _rates(run: Run) -> dict[str, float]:
    """Seconds an image of each stage; {} where the run's files do not tell, which is no reason to say nothing
    of other runs.
    """
    try:
        train = len(run.load_scores("train")["ids"])
        val = len(run.load_scores("val")["ids"]) if run.has("scores", "val.npz") else 0
        metrics = run.load_metrics()
    except UserError:
        return {}
    if "phase" not in metrics:
        return {}
    counted = work(run.config, train, val)
    counted["training"] = float((metrics["phase"] == "main").sum() * train)  # an early stop may have come
    return {
        stage: seconds / counted[stage]
        for stage, seconds in run.state.get("seconds", {}).items()
        if counted.get(stage)
    }


def _disk(config: CCDConfig, train: int, val: int, classes: int, alike: Run | None = None) -> float | None:
    """Bytes: checkpoints with the optimiser's two moments (last, warm-up) and without (best), then what grows
    with the images.
    """
    if alike and alike.has("checkpoints", "best.safetensors"):
        model = float(alike.file("checkpoints", "best.safetensors").stat().st_size)
    elif config.classifier.backbone in PARAMETERS:
        model = 4 * PARAMETERS[config.classifier.backbone]
    else:
        return None
    views = work(config, train, val).get("views", 0)
    return 7 * model + 4 * classes * (5 * train + val) + views * (2 * classes + 40)


def time_left(run: Run, expected: dict[str, float] | None) -> float | None:
    """Seconds until the whole run is over, or None where too little is known: this epoch, epochs to come,
    then the stages after.
    """
    state = run.state
    settings = run.config.training
    stage = state.get("stage")
    eta = state.get("eta_seconds")
    if expected is None or stage not in expected or eta is None:
        return None
    stages = list(expected)
    left = eta + sum(expected[later] for later in stages[stages.index(stage) + 1 :])
    if stage in ("warm-up", "training"):
        done = len(run.load_metrics()) + 1
        last = (
            settings.epochs if stage == "training" or not run.config.labels.update else settings.warmup_epochs
        )
        epochs = last if stage == "warm-up" else settings.epochs - settings.warmup_epochs
        left += max(0, last - done) * expected[stage] / max(1, epochs)
    return left
