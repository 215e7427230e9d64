"""What a run needs: how many images pass through its models, and how many bytes it writes."""

from __future__ import annotations

from ccd_core.config import CCDConfig
from ccd_core.runs.run import Run

PARAMETERS = {
    "resnet18": 11.2e6,
    "resnet34": 21.3e6,
    "resnet50": 23.5e6,
    "resnet101": 42.5e6,
    "resnet152": 58.1e6,
}
MEAN_VIEWS = 10.0  # views an image, assumed for a fixed view threshold (Sec. 4.3)


def work(config: CCDConfig, train: int, val: int) -> dict[str, float]:
    """How many images each stage passes through its model, if the main phase has no early stop.

    train, val: images of the splits. A stage that a run with these settings does not have is left out.
    """
    epochs = config.training.epochs
    warm_up = min(config.training.warmup_epochs, epochs) if config.labels.update else epochs
    threshold = config.views.threshold
    cells = config.predict.grid**2 if config.predict.blend > 0 and config.predict.grid > 1 else 0
    views = MEAN_VIEWS if isinstance(threshold, float) else threshold.mean_views
    counted = {
        "images": train + val,
        "global": train + cells * (train + val),
        "warm-up": warm_up * train,
        "views": views * train if config.labels.update else 0,
        "training": (epochs - warm_up) * train,
        "scores": train + val,
    }
    return {stage: float(count) for stage, count in counted.items() if count}


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
    if parameters:
        model = 4.0 * parameters
    elif alike and alike.has("checkpoints", "best.safetensors"):
        model = float(alike.file("checkpoints", "best.safetensors").stat().st_size)
    elif config.classifier.backbone in PARAMETERS:
        model = 4 * PARAMETERS[config.classifier.backbone]
    else:
        return None
    views = work(config, train, val).get("views", 0)
    return 7 * model + 4 * classes * (5 * train + val) + views * (2 * classes + 40)
