"""The runs that the app shows, and the arrays and tables in a run's folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from app.reading.cached import cached_by, mtime_ns
from app.reading.readable_folders import workspace
from ccd_core.errors import UserError
from ccd_core.paths import DEMO_RUN
from ccd_core.runs.run import Run

# -- runs --------------------------------------------------------------------------------------------


def open_run(path: Path) -> Run:
    """`Run.open`, read again only when its settings have changed. Raises UserError where `path` is no run."""
    changed = mtime_ns(path / "config.yaml")
    if not changed:
        raise UserError(f"{path} is not a run: it has no config.yaml.")
    return _run(str(path), changed)


@st.cache_resource(max_entries=512, show_spinner=False)
def _run(path: str, changed: int) -> Run:
    return Run.open(path)


def known_runs() -> dict[str, Path]:
    """Name -> folder of every run to choose from.

    First the run that `ccd app` was started with, then those of the workspace, newest first, then the demo.
    """
    found: dict[str, Path] = {}
    opened = os.environ.get("CCD_OPEN_RUN")
    if opened:
        found[Path(opened).name] = Path(opened)
    for path in _newest_first(workspace()):
        try:
            open_run(path)
        except UserError:
            continue
        found.setdefault(path.name, path)
    if (DEMO_RUN / "config.yaml").is_file():
        found.setdefault(DEMO_RUN.name, DEMO_RUN)
    return found


def _newest_first(folder: Path) -> list[Path]:
    try:
        dated = [(mtime_ns(path / "config.yaml"), path) for path in folder.iterdir()]
    except OSError:
        return []
    return [path for changed, path in sorted(dated, reverse=True) if changed]


def default_run(runs: dict[str, Path]) -> str:
    """The run to show where none was named: the one that the app was started with, or a finished one."""
    first = next(iter(runs))
    if os.environ.get("CCD_OPEN_RUN"):
        return first
    return next((name for name, path in runs.items() if open_run(path).status == "finished"), first)


# -- what is in a run's folder -----------------------------------------------------------------------


@cached_by("{name}.npz", max_entries=12)
def _arrays(run: Run, name: str) -> dict[str, np.ndarray]:
    load = {"global": run.load_global, "labels": run.load_labels}
    arrays = load[name]() if name in load else run.load_scores(name.rpartition("/")[2])
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def global_arrays(run: Run) -> dict[str, np.ndarray]:
    """ids [N], p_global [N, C], entropy [N]: what CLIP said of the whole training images."""
    return _arrays(run, "global")


def label_arrays(run: Run) -> dict[str, np.ndarray]:
    """ids [N]; initial, local and final labels [N, C]; n_views [N]."""
    return _arrays(run, "labels")


def scores(run: Run, split: str) -> dict[str, np.ndarray]:
    """ids [N] and the classifier's scores [N, C] of the images of a split."""
    return _arrays(run, f"scores/{split}")


@cached_by("global.npz", "labels.npz", max_entries=4)
def image_ids(run: Run) -> tuple[list[str], dict[str, int]]:
    """Ids of the training images in the order of every [N, ...] array of the run, and the row of each id.

    A run that was given labels never asks CLIP, so it has no global.npz.
    """
    asks_clip = run.config.method.supervision == "none" or run.has("global.npz")
    ids = (global_arrays(run) if asks_clip else label_arrays(run))["ids"].tolist()
    return ids, {image: row for row, image in enumerate(ids)}


@cached_by("views.parquet", max_entries=2)
def views(run: Run) -> pd.DataFrame:
    """One row a local view; shared between sessions, not to be written to."""
    return run.load_views()


@cached_by("views.parquet", max_entries=1)
def view_probabilities(run: Run) -> np.ndarray:
    """[V, C] float32 in the order of `views`; shared between sessions, not to be written to."""
    values = run.load_view_probabilities()
    values.setflags(write=False)
    return values


@cached_by("views.parquet", max_entries=2)
def _rows_of_images(run: Run) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Rows of `views` image by image, where each image's begin in them, and the number of each image."""
    codes = views(run)["image"].cat.codes.to_numpy()
    order = np.argsort(codes, kind="stable")
    names = views(run)["image"].cat.categories.tolist()
    starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
    return order, starts, {name: code for code, name in enumerate(names)}


def views_of(run: Run, image: str) -> pd.DataFrame:
    """The rows of `views` that are of one image; their index is that of `view_probabilities`."""
    order, starts, code_of = _rows_of_images(run)
    code = code_of.get(image)
    return views(run).iloc[[] if code is None else order[starts[code] : starts[code + 1]]]


def images_with_view_of(run: Run, cls: str) -> np.ndarray:
    """[N] bool: training images of which a view was taken for class `cls`."""
    table = views(run)
    ids, row_of = image_ids(run)
    names = table["image"].cat.categories
    found = np.zeros(len(ids), bool)
    codes = np.unique(table["image"].cat.codes.to_numpy()[(table["class"] == cls).to_numpy()])
    found[[row_of[names[code]] for code in codes]] = True
    return found
