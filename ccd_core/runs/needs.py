"""What a run needs: its stages, how many images pass through its models, and how many bytes it writes."""

from __future__ import annotations

from ccd_core.config import CCDConfig
from ccd_core.runs.progress import STAGES, Stage
from ccd_core.runs.run import Run

PARAMETERS = {
    "resnet18": 11.2e6,
    "resnet34": 21.3e6,
    "resnet50": 23.5e6,
    "resnet101": 42.5e6,
    "resnet152": 58.1e6,
}
MEAN_VIEWS = 10.0  # views an image, assumed for a fixed view threshold (Sec. 4.3)


TILES = 9  # an image, of CDUL and of the maximum over tiles


def work(config: CCDConfig, train: int, val: int) -> dict[str, float]:
    """How many images each stage passes through its model, if the main phase has no early stop.

    train, val: images of the splits. A stage that a run with these settings does not have is left out; the
    others stand in their order.
    """
    epochs = config.training.epochs
    method = config.method
    counted: dict[str, float] = {"images": train + val, "global": _clip_passes(config, train, val)}
    if method.trains:
        warm_up = warm_up_epochs(config)
        threshold = config.views.threshold
        views = MEAN_VIEWS if isinstance(threshold, float) else threshold.mean_views
        counted |= {
            "warm-up": warm_up * train,
            "views": views * train if method.is_ccd and config.labels.update else 0,
            "training": (epochs - warm_up) * copies(config) * train,
            "scores": train + val,
        }
    return {stage: float(count) for stage, count in counted.items() if count}


def stages_of(config: CCDConfig) -> list[Stage]:
    """The stages that a run with these settings has, in their order."""
    there = work(config, 1, 1)
    return [stage for stage in STAGES if stage in there]


def warm_up_epochs(config: CCDConfig) -> int:
    """How many epochs belong to the stage `warm-up`: all where CCD does not update its labels."""
    epochs = config.training.epochs
    if config.method.is_ccd and not config.labels.update:
        return epochs
    return min(config.training.warmup_epochs, epochs)


def copies(config: CCDConfig) -> int:
    """How many copies of an image a step of the main phase sees: CCD's weak and strong one (Eq. 8)."""
    return 2 if config.method.is_ccd and config.training.beta > 0 else 1


def _clip_passes(config: CCDConfig, train: int, val: int) -> float:
    """How many images or tiles the stage `global` shows to CLIP, if none is in the cache."""
    method = config.method
    if method.supervision != "none":
        return 0
    if not method.trains:
        tiles = TILES * (train + val) if method.name == "clip_grid" else 0
        return 2 * train + val + tiles
    patches = 2 * train if method.from_patches else 0
    if not method.is_ccd:
        return train + patches + (TILES * train if method.name.startswith("cdul") else 0)
    cells = config.predict.grid**2 if config.blends and config.predict.grid > 1 else 0
    return train + val + patches + cells * val


def disk_bytes(
    config: CCDConfig,
    train: int,
    val: int,
    classes: int,
    alike: Run | None = None,
    parameters: int | None = None,
) -> float | None:
    """Bytes that a run writes; None if the size of its classifier is not known.

    Two checkpoints (last, warm-up) hold the model and the optimiser's two moments, and one (best) the model
    alone. The other files grow with the images. alike: a finished run with the same backbone. parameters: the
    number of the backbone's, if it is known.
    """
    if not config.method.trains:
        model = 0.0
    elif parameters:
        model = 4.0 * parameters
    elif alike and alike.has("checkpoints", "best.safetensors"):
        model = float(alike.file("checkpoints", "best.safetensors").stat().st_size)
    elif config.classifier.backbone in PARAMETERS:
        model = 4 * PARAMETERS[config.classifier.backbone]
    else:
        return None
    views = work(config, train, val).get("views", 0)
    return 7 * model + 4 * classes * (5 * train + val) + views * (2 * classes + 40)
