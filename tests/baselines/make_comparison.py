"""A small comparison with made-up numbers, in the files that `ccd table` and `ccd sweep` leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ccd_core.baselines.tables import (
    Examples,
    SeedResult,
    SweepFile,
    SweepPoint,
    TableFile,
    TableRow,
    write_examples,
    write_sweep,
    write_table,
)

CLASSES = ("cat", "cup", "house")
EPOCH_CHOICE = "first local minimum of the gain in train-label mAP"
# (method, title, group, labels, recipe, published)
METHODS = (
    ("bce", "BCE", "full", "all labels", "common", 90.1),
    ("asl", "ASL (masked)", "partial", "10 % of the entries, label seed 0", "common", None),
    ("ll_r", "LL-R", "single", "one positive an image, label seed 1200", "common", 89.7),
    ("an", "Naive AN", "label_free", "CLIP's top class", "common", 85.5),
    ("cdul", "CDUL", "label_free", "CLIP's probabilities and 3 x 3 tiles", "common", 88.6),
    ("ccd", "CCD", "label_free", "CLIP, debiased, with local views", "common", 90.1),
    ("clip_zero_shot", "CLIP zero-shot", "training_free", "none", "none", None),
)


def _result(name: str, seed: int, score: float) -> SeedResult:
    ap = {"cat": round(score, 2), "cup": round(score - 4, 2), "house": None}
    trains = not name.startswith("clip")
    return SeedResult(
        seed=seed,
        run=f"runs/{name}-{seed}",
        status="finished",
        seconds=40.0 + seed,
        epoch=5 if trains else None,
        epochs=6 if trains else None,
        mAP=score,
        micro_AP=score - 1,
        F1=score - 12,
        AP=ap,
        label_mAP=70.0 if trains else None,
    )


def make_table() -> TableFile:
    """Seven methods and three seeds; CDUL's last run has failed, and LL-R's is still missing."""
    rows = []
    for number, (method, title, group, labels, recipe, published) in enumerate(METHODS):
        runs = [_result(method, seed, 90.0 - 3 * number + 0.5 * seed) for seed in range(3)]
        if method == "cdul":
            runs[2] = SeedResult(seed=2, run="runs/cdul-2", status="failed", error="The disk is full.")
        if method == "ll_r":
            runs[2] = SeedResult(seed=2, run="runs/ll_r-2", status="created")
        rows.append(
            TableRow(
                method=method,
                title=title,
                group=group,
                labels=labels,
                recipe=recipe,
                epoch_choice=EPOCH_CHOICE if recipe != "none" else "no epochs",
                published=published,
                runs=tuple(runs),
            )
        )
    return TableFile(
        dataset="voc2012:taken-out",
        dataset_kind="voc2012",
        classes=CLASSES,
        train_images=40,
        val_images=16,
        preset="demo",
        recipe="common",
        seeds=(0, 1, 2),
        made=1_795_000_000.0,
        rows=tuple(rows),
    )


def make_sweep() -> SweepFile:
    """Fig. 6b with four values of alpha and two seeds."""
    points = tuple(
        SweepPoint(
            label=str(alpha),
            value=alpha,
            changes={"labels.alpha": alpha},
            is_base=alpha == 0.4,
            published=90.1 if alpha == 0.4 else None,
            shared=("global", "warm-up", "views") if number else (),
            runs=tuple(_result("ccd", seed, 80.0 + number + seed) for seed in range(2)),
        )
        for number, alpha in enumerate((0.0, 0.2, 0.4, 1.0))
    )
    return SweepFile(
        title="Fig. 6b: weight of the initial label",
        setting="labels.alpha",
        figure="6b",
        dataset="voc2012:taken-out",
        dataset_kind="voc2012",
        classes=CLASSES,
        train_images=40,
        val_images=16,
        preset="demo",
        seeds=(0, 1),
        made=1_795_000_000.0,
        points=points,
    )


def make_examples() -> Examples:
    rng = np.random.default_rng(0)
    methods = np.array([name for name, *_ in METHODS])
    count = len(methods)
    labels = rng.random((count, 4, 3)).astype(np.float32)
    labels[-1] = np.nan
    return Examples(
        methods=methods,
        val_ids=np.array(["val_0", "val_1"]),
        val_scores=rng.random((count, 2, 3)).astype(np.float32),
        val_truth=np.array([[1, 0, 0], [0, 1, 1]], np.float32),
        train_ids=np.array([f"train_{number}" for number in range(4)]),
        train_labels=labels,
        train_truth=np.eye(4, 3, dtype=np.float32),
    )


def write_comparison(folder: Path) -> Path:
    """All three files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder, make_table())
    write_sweep(folder, make_sweep())
    write_examples(folder, make_examples())
    return folder
