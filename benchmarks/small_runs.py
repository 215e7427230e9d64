"""Runs that take seconds, and the comparison of two of them, for the benchmarks that kill and queue runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ccd_core.config import CCDConfig
from ccd_core.runs.run import Run
from ccd_core.toy.scenes import write_dataset

SMALL = {
    "device": "cpu",
    "precision": "fp32",
    "clip": {"size": 96, "batch_size": 32, "round_to": 32},
    "classifier": {
        "backbone": "timm:test_resnet",
        "backbone_options": {},
        "weights": None,
        "image_size": 64,
        "cam_size": 64,
    },
    "views": {"threshold": {"mean_views": 2.0}, "frame": 160, "offset": 20},
    "training": {"warmup_epochs": 2, "keep": "last"},
}


@contextmanager
def small_world(train: int, val: int, epochs: int) -> Iterator[tuple[Path, CCDConfig]]:
    """A workspace with queue and cache of its own, and settings of a small run on so many scenes."""
    with tempfile.TemporaryDirectory(prefix="ccd-", ignore_cleanup_errors=True) as folder:
        os.environ["CCD_HOME"] = str(Path(folder, "home"))
        scenes = write_dataset(Path(folder, "scenes"), {"train": train, "val": val})
        workspace = Path(folder, "runs")
        workspace.mkdir()
        config = CCDConfig.preset("demo").changed(data={"spec": f"demo:{scenes}", "workers": 0}, **SMALL)
        yield workspace, config.changed(training={"epochs": epochs})


def differing(one: Run, other: Run) -> list[str]:
    """The names of the labels, scores, APs and weights in which two finished runs differ by a bit."""
    labels = other.load_labels()
    found = [
        name
        for name, values in one.load_labels().items()
        if not np.array_equal(values, labels[name], equal_nan=values.dtype.kind == "f")
    ]
    for split in ("train", "val"):
        if not np.array_equal(one.load_scores(split)["scores"], other.load_scores(split)["scores"]):
            found.append(f"scores of {split}")
    if one.load_ap() != other.load_ap():
        found.append("AP")
    weights = load_file(other.file("checkpoints", "best.safetensors"))
    for name, value in load_file(one.file("checkpoints", "best.safetensors")).items():
        if not np.array_equal(value, weights[name]):
            found.append(name)
    return found
