"""What pages read, cached by file and time of change: runs, artefacts, data sets, thumbnails, the predictor."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from ccd_core.data import Dataset, GroundTruth, open_dataset
from ccd_core.data.images import read_image
from ccd_core.errors import UserError
from ccd_core.runs import Run, list_runs
from ccd_core.serving import PredictorClient

DEMO_RUN = Path(__file__).resolve().parent.parent / "assets" / "demo_run"


def workspace() -> Path:
    return Path(os.environ.get("CCD_RUNS", "runs")).resolve()


def known_runs() -> dict[str, Path]:
    """Name -> folder of every run to choose from: those of the workspace, newest first, one named at the start, the demo."""
    found = {run.name: run.path for run in list_runs(workspace())}
    opened = os.environ.get("CCD_OPEN_RUN")
    if opened:
        found = {Path(opened).name: Path(opened)} | found
    if (DEMO_RUN / "config.yaml").is_file():
        found.setdefault(DEMO_RUN.name, DEMO_RUN)
    return found


def default_run(runs: dict[str, Path]) -> str:
    if os.environ.get("CCD_OPEN_RUN"):
        return next(iter(runs))
    return next((name for name, path in runs.items() if Run.open(path).status == "finished"), next(iter(runs)))


def _changed(run: Run, *parts: str) -> float:
    return run.file(*parts).stat().st_mtime if run.has(*parts) else 0.0


@st.cache_data(max_entries=16, show_spinner=False)
def _arrays(path: str, name: str, changed: float) -> dict[str, np.ndarray]:
    run = Run.open(path)
    return {"global": run.load_global, "labels": run.load_labels}[name]() if name in ("global", "labels") else run.load_scores(name)


def global_arrays(run: Run) -> dict[str, np.ndarray]:
    return _arrays(str(run.path), "global", _changed(run, "global.npz"))


def label_arrays(run: Run) -> dict[str, np.ndarray]:
    return _arrays(str(run.path), "labels", _changed(run, "labels.npz"))


def scores(run: Run, split: str) -> dict[str, np.ndarray]:
    return _arrays(str(run.path), split, _changed(run, "scores", f"{split}.npz"))


@st.cache_data(max_entries=4, show_spinner=False)
def _views(path: str, changed: float) -> pd.DataFrame:
    return Run.open(path).load_views()


def views(run: Run) -> pd.DataFrame:
    return _views(str(run.path), _changed(run, "views.parquet"))


@st.cache_resource(max_entries=2, show_spinner=False)
def _view_probabilities(path: str, changed: float) -> np.ndarray:
    return Run.open(path).load_view_probabilities()


def view_probabilities(run: Run) -> np.ndarray:
    """[V, C] float32 in the order of `views`; shared between sessions, not to be written to."""
    return _view_probabilities(str(run.path), _changed(run, "views.parquet"))


@st.cache_resource(max_entries=4, show_spinner="Opening the data set ...")
def _dataset(spec: str, classes: str | None) -> Dataset:
    return open_dataset(spec, Path(classes) if classes else None)


def dataset(run: Run) -> Dataset:
    """The run's data set. Raises UserError where its images are not on this machine."""
    return _dataset(run.config.data.spec, str(run.config.data.classes) if run.config.data.classes else None)


@st.cache_resource(max_entries=8, show_spinner=False)
def _ground_truth(spec: str, classes: str | None, split: str) -> GroundTruth | None:
    return _dataset(spec, classes).ground_truth(split)


def ground_truth(run: Run, split: str = "train") -> GroundTruth | None:
    try:
        return _ground_truth(run.config.data.spec, str(run.config.data.classes) if run.config.data.classes else None, split)
    except UserError:
        return None


@st.cache_data(max_entries=4, show_spinner=False)
def _targets(path: str, split: str, ids: tuple[str, ...]) -> tuple[list[int], np.ndarray] | None:
    truth = ground_truth(Run.open(path), split)
    if truth is None:
        return None
    known = set(truth.ids)
    rows = [row for row, image in enumerate(ids) if image in known]
    return rows, truth.rows([ids[row] for row in rows])


def targets(run: Run, split: str, ids: np.ndarray) -> tuple[list[int], np.ndarray] | None:
    """Rows of `ids` that have ground truth, and their targets [n, C]; None where there is none."""
    return _targets(str(run.path), split, tuple(ids.tolist()))


def image_path(run: Run, image: str) -> Path:
    path = dataset(run).path(image)
    if path is None:
        raise UserError(f"The data set of this run has no image {image!r} on this machine.")
    return path


@st.cache_data(max_entries=512, show_spinner=False)
def jpeg(path: str, longer_side: int) -> bytes:
    """The image as JPEG, no larger than `longer_side`."""
    from PIL import Image

    picture = Image.fromarray(read_image(path, at_least=longer_side))
    picture.thumbnail((longer_side, longer_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def data_url(path: Path, longer_side: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(str(path), longer_side)).decode()


@st.cache_resource(max_entries=1, on_release=lambda client: client.close(), show_spinner=False)
def _predictor(path: str) -> PredictorClient:
    return PredictorClient(path)


@st.cache_data(max_entries=64, show_spinner="Asking the model; the first time it takes a few seconds to start ...")
def explain(run_path: str, image: str, thresholds: tuple[float, ...]) -> dict[str, Any]:
    return _predictor(run_path).ask("explain", path=image, thresholds=list(thresholds))


def predict(run: Run, paths: list[Path]) -> dict[str, Any]:
    return _predictor(str(run.path)).ask("predict", paths=[str(path) for path in paths])
