"""Read the runs of a comparison into table.json and examples.npz. Needs no torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ccd_core.baselines.registry import METHODS, label_source
from ccd_core.baselines.tables import Examples, SeedResult, TableFile, TableRow
from ccd_core.comparison.plan import PlannedRun
from ccd_core.comparison.published import published_map
from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.data.types import Dataset
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

SHOWN = 48  # images of each split in examples.npz
EPOCH_CHOICES = {
    "last": "last epoch",
    "first_local_minimum": "first local minimum of the gain in train-label mAP",
    "first_local_minimum_of_all": "first local minimum of the gain in train-label mAP, all epochs",
}


class Counts(NamedTuple):
    """What a comparison says of its data set."""

    dataset: str
    kind: str
    classes: tuple[str, ...]
    train: int
    val: int


def counts_of(dataset: Dataset, config: CCDConfig) -> Counts:
    """The data set in a comparison's file, without this machine's paths."""
    splits = {name: len(images) for name, images in dataset.splits.items()}
    spec = config.without_paths().data.spec
    return Counts(spec, spec.partition(":")[0], dataset.classes, splits["train"], splits.get("val", 0))


def collect_table(
    planned: Sequence[PlannedRun], base: CCDConfig, seeds: Sequence[int], recipe: str, out: Path
) -> TableFile:
    """table.json of the runs, whether they have finished or not.

    Raises UserError if the data set has no ground truth for its validation images.
    """
    dataset = open_dataset(base.data.spec, base.data.classes)
    check_scorable(dataset)
    counts = counts_of(dataset, base)
    rows = []
    for name in dict.fromkeys(one.row for one in planned):
        method = METHODS[name]
        of_row = [one for one in planned if one.row == name]
        config = of_row[0].config
        rows.append(
            TableRow(
                method=name,
                title=method.title,
                group=method.group,
                labels=label_source(config),
                recipe=config.method.recipe if method.trains else "none",
                epoch_choice=EPOCH_CHOICES[config.training.keep] if method.trains else "no epochs",
                published=published_map(name, counts.kind),
                note=" ".join(filter(None, (method.note, blend_note(of_row)))),
                runs=tuple(seed_result(one, out, alone=True) for one in of_row),
            )
        )
    return TableFile(
        dataset=counts.dataset,
        dataset_kind=counts.kind,
        classes=counts.classes,
        train_images=counts.train,
        val_images=counts.val,
        preset=base.preset_name,
        recipe="own" if recipe == "own" else "common",
        seeds=tuple(seeds),
        made=time.time(),
        rows=tuple(rows),
    )


def check_scorable(dataset: Dataset) -> None:
    """Raises UserError if methods cannot be compared on this data set."""
    if dataset.ground_truth("val") is None:
        raise UserError(
            f"The data set {dataset.spec} has no labelled validation images, so methods cannot be compared "
            "on it; add a split `val` with labels."
        )


def blend_note(of_row: Sequence[PlannedRun]) -> str:
    """What to say of a row whose runs blend their predictions with CLIP's; "" of others."""
    config = of_row[0].config
    if not config.blends:
        return ""
    found = [run.load_ap().get("val") for one in of_row if (run := one.run) and run.status == "finished"]
    maps = [scores["mAP"] for scores in found if scores]
    so_far = f" is {sum(maps) / len(maps):.1f}" if maps else " is another"
    return (
        "Its classifier alone, as in all rows. With CLIP's share in predictions "
        f"(predict.blend={config.predict.blend:g}), as `ccd run` gives it, its mAP{so_far}."
    )


def seed_result(one: PlannedRun, out: Path, alone: bool = False) -> SeedResult:
    """What one run has given so far. alone: of its classifier, without CLIP's share in its predictions."""
    folder = one.path.relative_to(out).as_posix()
    if (run := one.run) is None:
        return SeedResult(seed=one.seed, run=folder, status="created")
    state = run.state
    status = run.status
    if status != "finished":
        return SeedResult(seed=one.seed, run=folder, status=status, error=state.get("error"))
    report = run.load_ap()
    blended = report.get("val")
    scores = (report.get("classifier") or {}).get("val", blended) if alone else blended
    best = run.load_best()
    labels = (report.get("labels") or {}).get("final")
    return SeedResult(
        seed=one.seed,
        run=folder,
        status=status,
        seconds=round(sum(state.get("seconds", {}).values()), 1),
        epoch=best["epoch"] + 1 if best else None,
        epochs=len(run.load_metrics()) if best else None,
        mAP=scores["mAP"] if scores else None,
        micro_AP=scores["micro_AP"] if scores else None,
        F1=scores["F1"] if scores else None,
        AP=scores["AP"] if scores else {},
        label_mAP=labels["mAP"] if labels else None,
    )


def collect_examples(planned: Sequence[PlannedRun], base: CCDConfig) -> Examples | None:
    """What every method says of some images, with the first seed; None before any run has finished."""
    first = {one.row: one for one in reversed(planned)}
    finished = [first[name] for name in dict.fromkeys(one.row for one in planned) if first[name].finished]
    if not finished:
        return None
    dataset = open_dataset(base.data.spec, base.data.classes)
    runs = [Run.open(one.path) for one in finished]
    val_ids = runs[0].load_scores("val")["ids"][:SHOWN]
    train_ids = runs[0].load_labels()["ids"][:SHOWN]
    found = [run.load_scores("val") for run in runs]
    # The classifier's own where they are blended with CLIP's: all methods are compared alike.
    scores = [_rows(one, "classifier" if "classifier" in one else "scores", val_ids) for one in found]
    labels = [
        _rows(run.load_labels(), "final", train_ids)
        if METHODS[one.row].trains
        else np.full((len(train_ids), len(dataset.classes)), np.nan, np.float32)
        for one, run in zip(finished, runs, strict=True)
    ]
    return Examples(
        np.array([one.row for one in finished]),
        val_ids,
        np.stack(scores),
        _truth(dataset, "val", val_ids),
        train_ids,
        np.stack(labels),
        _truth(dataset, "train", train_ids),
    )


def _rows(arrays: dict[str, np.ndarray], name: str, ids: np.ndarray) -> np.ndarray:
    """[M, C] float32, the rows of the images `ids`, with NaN for an image that is not there."""
    row_of = {image: row for row, image in enumerate(arrays["ids"].tolist())}
    values = arrays[name]
    found = np.full((len(ids), values.shape[1]), np.nan, np.float32)
    for number, image in enumerate(ids.tolist()):
        if image in row_of:
            found[number] = values[row_of[image]]
    return found


def _truth(dataset: Dataset, split: str, ids: np.ndarray) -> np.ndarray:
    """[M, C] float32 of 0 and 1; NaN without ground truth."""
    found = np.full((len(ids), len(dataset.classes)), np.nan, np.float32)
    truth = dataset.ground_truth(split)
    if truth is not None:
        rows, targets = truth.matched(ids.tolist())
        found[rows] = targets
    return found
