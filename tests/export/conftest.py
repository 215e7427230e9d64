"""Exports of the tiny run, each made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.export import export_run


@pytest.fixture(scope="session")
def limits(tiny_run) -> Thresholds:
    """A threshold at which the tiny run gives half of the images labels, and the others none."""
    best = np.concatenate([tiny_run.load_scores(split)["scores"].max(1) for split in ("train", "val")])
    return Thresholds.same(tiny_run.classes, round(float(np.median(best)), 4))


@pytest.fixture(scope="session")
def exported(tiny_run, limits, tmp_path_factory) -> Callable[[str], Path]:
    """`exported("coco")`: the folder of this export of the tiny run."""
    made: dict[str, Path] = {}

    def export(to: str) -> Path:
        if to not in made:
            out = tmp_path_factory.mktemp("exports") / to
            made[to] = export_run(tiny_run, to, out, thresholds=limits, device="cpu")
        return made[to]

    return export


@pytest.fixture(scope="session")
def expected(tiny_run, limits) -> dict[str, list[str]]:
    """Image -> its labels, the surest first, as `ccd predict` gives them."""
    found = {}
    for split in ("train", "val"):
        stored = tiny_run.load_scores(split)
        for name, scores in zip(stored["ids"].tolist(), stored["scores"], strict=True):
            found[name] = limits.labels(tiny_run.classes, scores)
    return found
