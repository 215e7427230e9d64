"""How long a run will take here, measured: each of its models works for a moment with random weights.

    seconds = measured_seconds(config, dataset)

Nothing is fetched, so the answer is there before any weights are. What is measured is the time for one image
in every stage; `runs.needs.work` says how many images a stage has.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ccd_core.clip.teacher import place_of
from ccd_core.clip.towers import Tower, any_size
from ccd_core.config import CCDConfig
from ccd_core.data.decoding.images import read_image, resize
from ccd_core.data.types import Dataset
from ccd_core.errors import ImageError
from ccd_core.machine.device import make_accelerator
from ccd_core.method.backbones import make_backbone
from ccd_core.runs.needs import work
from ccd_core.training.schedule import fitted
from ccd_core.weights.folding import fold_norms

DECODED = 12  # images of the data set that are read
MOMENT = 1.0  # seconds that a model works at least, after the first batch
VIEW_AREA = 0.6  # of a local view, as a share of the square of its longer side; of CAM boxes on photographs


def measured_seconds(config: CCDConfig, dataset: Dataset) -> dict[str, float]:
    """Seconds of each stage of a run with these settings on this machine, if all epochs are run.

    Takes some ten seconds. Raises UserError where there is no such CLIP or backbone.
    """
    accelerator = make_accelerator(config.device, config.precision)
    device = accelerator.device

    def timed(step: Callable[[], object], images: int) -> float:
        """Seconds an image of a step with so many images."""
        with accelerator.autocast():
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            began = time.perf_counter()
            steps = 0
            while time.perf_counter() - began < MOMENT:
                step()
                steps += 1
                if device.type == "cuda":
                    torch.cuda.synchronize()
        return (time.perf_counter() - began) / (steps * images)

    tower = _tower(config).eval()
    if config.clip.fold_norms:
        fold_norms(tower, *tower.native_size)
    tower.to(device)
    batch = _batch(config.clip.size, device)
    side = config.clip.size

    def ask() -> None:
        with torch.inference_mode():
            tower(torch.zeros(batch, 3, side, side, device=device))

    clip = timed(ask, batch)
    chosen = config.classifier
    sizes = (chosen.image_size, chosen.cam_size)
    backbone, _ = make_backbone(chosen.backbone, None, chosen.backbone_options, sizes)
    evaluated = copy.deepcopy(backbone).eval()
    if chosen.fold_norms:
        fold_norms(evaluated, sizes[0], sizes[0])
    evaluated.to(device)

    def look(size: int) -> Callable[[], None]:
        pixels = torch.zeros(_batch(size, device), 3, size, size, device=device)

        def step() -> None:
            with torch.inference_mode():
                evaluated(pixels)

        return step

    training = torch.zeros(config.training.batch_size, 3, sizes[0], sizes[0], device=device)
    score = timed(look(sizes[0]), _batch(sizes[0], device))
    cam = timed(look(sizes[1]), _batch(sizes[1], device))
    images = len(dataset.splits["train"])
    config = fitted(config, images)
    train = score  # where the head alone learns
    if config.classifier.frozen < 1:
        backbone.to(device).train()
        train = timed(lambda: _train(backbone, training), len(training))

    decode = _decoding(dataset, max(chosen.image_size, config.clip.size))
    count = work(config, images, len(dataset.splits.get("val", ())))
    each = {
        "images": decode,
        "global": clip + decode,
        "warm-up": train,
        "views": VIEW_AREA * clip,
        "training": train,
        "scores": score,
    }
    seconds = {stage: number * each[stage] for stage, number in count.items()}
    if "views" in seconds:
        seconds["views"] += 2 * images * (cam + decode)  # two passes over the images
    return seconds


def _tower(config: CCDConfig) -> Tower:
    """The image tower of the run's CLIP, with random weights."""
    from ccd_core.clip.weights import architecture

    name, pretrained = place_of(config.clip.model, config.clip.pretrained)
    return any_size(architecture(name, pretrained).visual)


def _batch(size: int, device: torch.device) -> int:
    """Images of one step: so many that the machine is busy, and so few that a step is short."""
    return max(1, (16 if device.type == "cuda" else 4) * 224**2 // size**2)


def _train(backbone: nn.Module, pixels: Tensor) -> None:
    backbone.zero_grad()
    backbone(pixels).float().mean().backward()


def _decoding(dataset: Dataset, size: int) -> float:
    """Seconds to read one image of the data set and to resize it."""
    images = dataset.splits["train"]
    step = max(1, len(images) // DECODED)
    began = time.perf_counter()
    read = 0
    for row in range(0, len(images), step):
        try:
            resize(read_image(images.paths[row], at_least=size), size, size)
            read += 1
        except ImageError:
            continue
    return (time.perf_counter() - began) / max(1, read)
