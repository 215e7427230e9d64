"""All that a run needs, looked at in seconds before its first long stage.

    notes = preflight(config, dataset, out)

`run_ccd` asks first of all, so `ccd run` and every job do. `ccd run --check` and the page Train ask without
starting a run:

    python -m ccd_core.preflight OUT < config.yaml

Nothing is fetched or written. Where a server would have to be asked, one that has not answered within three
seconds counts as absent.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from ccd_core.baselines.learn import check_baseline
from ccd_core.clip.check import check_teacher
from ccd_core.config import CCDConfig, build
from ccd_core.data import open_dataset
from ccd_core.data.types import Dataset
from ccd_core.errors import UserError
from ccd_core.machine.device import check_device
from ccd_core.machine.gpus import devices_of
from ccd_core.method.backbones import check_backbone
from ccd_core.runs.needs import disk_bytes
from ccd_core.weights.hub import NotHere


@dataclass(frozen=True)
class Findings:
    """What was found. problems: a sentence for each thing that would end the run. notes: good to know."""

    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


def preflight(config: CCDConfig, dataset: Dataset, out: str | Path) -> tuple[str, ...]:
    """Notes about a run that can begin. Raises one UserError with a sentence for everything that is missing.

    out: the run's folder, which need not exist yet.
    """
    found = examine(config, dataset, out)
    if found.problems:
        raise UserError(" ".join(found.problems))
    return found.notes


def examine(config: CCDConfig, dataset: Dataset, out: str | Path) -> Findings:
    """Look at the device, the teacher, the classifier, the disk and the images of a run."""
    problems: list[str] = []
    notes: list[str] = []
    parameters: list[int] = []

    def look(check: Callable[[], None]) -> None:
        try:
            check()
        except UserError as error:
            text = str(error)
            problems.append(text if text.endswith((".", "!", "?")) else f"{text}.")
        except NotHere as absent:
            notes.append(f"{absent} are fetched when the run begins.")

    def devices() -> None:
        for device in devices_of(config.device):
            check_device(device)

    def teacher() -> list[str]:
        patches = config.method.from_patches
        return check_teacher(config.clip, dataset.classes, config.labels.update, patches)

    def backbone() -> None:
        chosen = config.classifier
        sizes = (chosen.image_size, chosen.cam_size)
        options = chosen.backbone_options
        parameters.append(check_backbone(chosen.backbone, chosen.weights, options, sizes))

    look(devices)
    look(lambda: check_baseline(config))
    look(lambda: notes.extend(teacher()))
    look(backbone)
    look(lambda: _check_folder(config, dataset, Path(out), *parameters))
    look(lambda: _check_images(dataset))
    notes += _about_labels(dataset)
    return Findings(tuple(problems), tuple(notes))


def _check_images(dataset: Dataset) -> None:
    if not len(dataset.splits["train"]):
        raise UserError(f"{dataset.spec} has no training images.")


def _about_labels(dataset: Dataset) -> list[str]:
    notes = []
    if len(dataset.classes) == 1:
        notes.append(
            f"There is one class, {dataset.classes[0]}. CLIP compares classes with each other, so every "
            "image will get it; add a second one, such as background."
        )
    # Ground truth of the other kinds may take a minute to read.
    cheap = dataset.spec.startswith(("folder:", "csv:", "hf:"))
    if cheap and not any(dataset.read_ground_truth(split) for split in dataset.splits):
        notes.append("The images have no labels. None are needed; the run is not scored.")
    return notes


def _check_folder(config: CCDConfig, dataset: Dataset, out: Path, parameters: int | None = None) -> None:
    """Whether the run's folder can be written, and the disk below it is large enough."""
    place = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"The run's folder {out} cannot be written: {place} is not open to you.")
    counts = {split: len(images) for split, images in dataset.splits.items()}
    needed = disk_bytes(
        config, counts["train"], counts.get("val", 0), len(dataset.classes), parameters=parameters
    )
    free = shutil.disk_usage(place).free
    if needed and free < needed:
        raise UserError(
            f"The run writes about {needed / 2**20:,.0f} MiB, but {place} has only "
            f"{free / 2**20:,.0f} MiB free; free some space, or choose another folder with --out."
        )


def main(out: str) -> None:
    """Answer with JSON about the settings on standard input."""
    try:
        config = build(yaml.safe_load(sys.stdin))
        found = examine(config, open_dataset(config.data.spec, config.data.classes), out)
    except UserError as error:
        found = Findings((str(error),))
    print(json.dumps({"problems": found.problems, "notes": found.notes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
