"""Sweeps: one setting with several values, the paper's Figures 6 and 7, and its Table 2.

A point computes only the stages that its settings touch. What it has in common with an earlier run of the
same seed is taken over: CLIP's outputs, the classifier after warm-up, and the local views. The result is the
same to the bit, because a run that goes on from these files ends with the same weights.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccd_core.baselines.registry import method_of
from ccd_core.baselines.tables import SweepFile, SweepPoint
from ccd_core.comparison.collect import check_scorable, counts_of, seed_result
from ccd_core.comparison.plan import RUNS, PlannedRun
from ccd_core.comparison.published import FIGURES, TABLE_2, VOC12
from ccd_core.config import CCDConfig, differences
from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.files import write_json
from ccd_core.runs.run import Run
from ccd_core.settings.presets import nested

# {figure: (title, setting, values)}; the values of 6a are the paper's, the others cover its axes.
FIGURES_OF_PAPER: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "6a": ("Fig. 6a: mean number of views an image", "views.threshold.mean_views", (4, 6, 10, 14)),
    "6b": ("Fig. 6b: weight of the initial label", "labels.alpha", (0, 0.2, 0.4, 0.6, 0.8, 1)),
    "7": ("Fig. 7: CAM threshold", "views.cam_threshold", (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)),
}
ABLATION: dict[str, dict[str, Any]] = {
    "none": {"labels.update": False, "bias.mode": "none", "training.beta": 0.0},
    "update": {"bias.mode": "none", "training.beta": 0.0},
    "update + debias": {"training.beta": 0.0},
    "update + consistency": {"bias.mode": "none"},
    "all: CCD": {},
}
CONTROLS: dict[str, dict[str, Any]] = {
    "control: random boxes": {"views.policy": "random"},
    "control: boxes moved": {"views.policy": "moved"},
    "control: constant bias": {"bias.mode": "constant"},
}

# Settings that the stages up to and including the warm-up do not depend on. A setting that is not named here
# is taken to touch everything, so a new one is safe.
AFTER_WARM_UP = (
    "views.",
    "labels.",
    "training.beta",
    "training.jitter",
    "training.shared_flip",
    "training.keep",
)
# The same for the local views, of runs that have any.
AFTER_VIEWS = (
    "labels.alpha",
    "labels.clamp_local",
    "labels.views_required",
    "training.beta",
    "training.jitter",
    "training.shared_flip",
    "training.keep",
)
# What labels are made of, CLIP's outputs of whole images or of patches, depends on these alone.
BEFORE_CLIP = ("data.", "clip.", "precision", "method.")
SHARED = "shared.json"  # which stages a run was given, in its folder


@dataclass(frozen=True)
class Point:
    """One point: its name, its place on the x axis, and what it changes, {setting: value}."""

    label: str
    value: float | None
    changes: dict[str, Any] = field(default_factory=dict)
    is_control: bool = False
    published: float | None = None


def ablation_points(dataset_kind: str) -> list[Point]:
    """The rows of Table 2, with three controls."""
    of_paper = TABLE_2 if dataset_kind == VOC12 else {}
    rows = [Point(name, None, changes, False, of_paper.get(name)) for name, changes in ABLATION.items()]
    return rows + [Point(name, None, changes, True) for name, changes in CONTROLS.items()]


def value_points(setting: str, values: Sequence[Any], dataset_kind: str) -> list[Point]:
    """One point for each value of a setting."""
    of_paper = FIGURES.get(setting, {}) if dataset_kind == VOC12 else {}
    points = []
    for value in values:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        shown = f"{number:g}" if number is not None else str(value)
        points.append(Point(shown, number, {setting: value}, False, of_paper.get(number or 0.0)))
    return points


def changed(base: CCDConfig, changes: dict[str, Any]) -> CCDConfig:
    """`base` with {setting: value}. Raises UserError for a setting or a value that does not exist."""
    return base.changed(**nested(changes)) if changes else base


def sweep_runs(base: CCDConfig, points: Sequence[Point], seeds: Sequence[int], out: Path) -> list[PlannedRun]:
    """The runs of a sweep, all points of a seed together, so that they can share.

    Raises UserError for a setting or a value that does not exist.
    """
    planned = []
    for seed in seeds:
        for number, point in enumerate(points):
            config = changed(base, point.changes).changed(seed=seed)
            name = "".join(c if c.isalnum() or c in ".-" else "-" for c in point.label)
            planned.append(PlannedRun(point.label, seed, out / RUNS / f"{number:02d}-{name}-{seed}", config))
    return planned


def share_stages(one: PlannedRun) -> None:
    """Give a run that has not begun the stages of a finished or running neighbour that it has in common.

    This is for CCD, with labels from patches too. Runs of other methods begin at the beginning.
    """
    if (one.path / "config.yaml").is_file() or not one.config.method.is_ccd:
        return
    best: tuple[str, ...] = ()
    giver: Run | None = None
    for folder in sorted(one.path.parent.glob("*/config.yaml")):
        other = Run.open(folder.parent)
        stages = common_stages(other, one.config)
        if len(stages) > len(best):
            best = stages
            giver = other
    run = one.create()
    if giver is not None:
        for stage in best:
            for source, target in FILES[stage]:
                if giver.has(*source.split("/")):
                    _take_over(giver.file(*source.split("/")), run.file(*target.split("/")))
        write_json(run.file(SHARED), {"from": giver.name, "stages": list(best)})


# {stage: files of the giver and what they are for the taker}. The classifier after warm-up is a checkpoint.
FILES: dict[str, tuple[tuple[str, str], ...]] = {
    "global": (
        ("dataset.npz", "dataset.npz"),
        ("images.json", "images.json"),
        ("global.npz", "global.npz"),
    ),
    "warm-up": (
        ("checkpoints/warmup.safetensors", "checkpoints/warmup.safetensors"),
        ("checkpoints/warmup.safetensors", "checkpoints/last.safetensors"),
    ),
    "views": (("views.parquet", "views.parquet"), ("view_threshold.json", "view_threshold.json")),
}


def common_stages(other: Run, config: CCDConfig) -> tuple[str, ...]:
    """The stages that `other` has finished and that would be the same under `config`."""
    if not other.config.method.is_ccd or other.config.seed != config.seed:
        # CLIP's outputs do not depend on the seed, but they are in the cache, which all runs share.
        return ()
    settings = differences(other.config, config.changed(device=other.config.device))
    settings = [name for name in settings if name != "preset_name"]
    found: tuple[str, ...] = ()
    if other.has("global.npz") and not any(name.startswith(BEFORE_CLIP) for name in settings):
        found = ("global",)
    updates = other.config.labels.update
    warmed_up = other.has("checkpoints", "warmup.safetensors") and updates
    if found and warmed_up and all(name.startswith(AFTER_WARM_UP) for name in settings):
        found = (*found, "warm-up")
        has_views = other.has("views.parquet") and config.labels.update
        if has_views and all(name.startswith(AFTER_VIEWS) for name in settings):
            found = (*found, "views")
    return found


def _take_over(source: Path, target: Path) -> None:
    """The same file under another name. Checkpoints are copied, because a run may write into its own.

    All other files of a run are replaced and never written in place, so a hard link does, where the disk has
    them.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".safetensors":
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copy2(source, target)


def collect_sweep(
    planned: Sequence[PlannedRun],
    points: Sequence[Point],
    base: CCDConfig,
    seeds: Sequence[int],
    out: Path,
    title: str,
    setting: str | None,
    figure: Any,
) -> SweepFile:
    """sweep.json of the runs, whether they have finished or not."""
    dataset = open_dataset(base.data.spec, base.data.classes)
    check_scorable(dataset)
    counts = counts_of(dataset, base)
    made = []
    for point in points:
        of_point = [one for one in planned if one.row == point.label]
        made.append(
            SweepPoint(
                label=point.label,
                value=point.value,
                changes=point.changes,
                is_control=point.is_control,
                is_base=of_point[0].config.changed(seed=base.seed) == base,
                published=point.published,
                shared=_shared_of(of_point[0].path),
                runs=tuple(seed_result(one, out) for one in of_point),
            )
        )
    return SweepFile(
        title=title,
        setting=setting,
        figure=figure,
        dataset=counts.dataset,
        dataset_kind=counts.kind,
        classes=counts.classes,
        train_images=counts.train,
        val_images=counts.val,
        preset=base.preset_name,
        method=base.method.name,
        seeds=tuple(seeds),
        made=time.time(),
        points=tuple(made),
    )


def _shared_of(path: Path) -> tuple[str, ...]:
    """Which stages a run was given by another one."""
    try:
        found = json.loads((path / SHARED).read_text())["stages"]
        return tuple(stage for stage in FILES if stage in found)
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def check_sweepable(base: CCDConfig) -> None:
    """Raises UserError for a method that has nothing to vary."""
    if not method_of(base).trains:
        raise UserError(f"The method {base.method.name} trains nothing, so there is no setting to vary.")
