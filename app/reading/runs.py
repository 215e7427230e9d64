"""What pages read, cached by file and time of change: runs, artefacts, images, the predictor.

Large things are shared between sessions and reruns (`st.cache_resource`) and read-only: a copy of a 50,000 x 80 array at every
move of a slider would cost more than what is done with it.
"""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.reading import ground_truth as datasets
from ccd_core.data.images import read_image
from ccd_core.errors import UserError
from ccd_core.explore.browsing import ComparedScores, Signals, mean_views, signals
from ccd_core.paths import DEMO_RUN
from ccd_core.predict.server import PredictorClient
from ccd_core.runs.run import Run

# -- runs ----------------------------------------------------------------------------------------


def workspace() -> Path:
    return Path(os.environ.get("CCD_RUNS", "runs")).resolve()


def open_run(path: Path) -> Run:
    """`Run.open`, read again only when its settings have changed. Raises UserError where `path` is no run."""
    try:
        changed = (path / "config.yaml").stat().st_mtime_ns
    except OSError:
        raise UserError(f"{path} is not a run: it has no config.yaml.") from None
    return _run(str(path), changed)


@st.cache_resource(max_entries=512, show_spinner=False)
def _run(path: str, changed: int) -> Run:
    return Run.open(path)


def known_runs() -> dict[str, Path]:
    """Name -> folder of every run to choose from: one named at the start, those of the workspace, newest first, the demo."""
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
        dated = [
            ((path / "config.yaml").stat().st_mtime, path)
            for path in folder.iterdir()
            if (path / "config.yaml").is_file()
        ]
    except OSError:
        return []
    return [path for _, path in sorted(dated, reverse=True)]


def default_run(runs: dict[str, Path]) -> str:
    if os.environ.get("CCD_OPEN_RUN"):
        return next(iter(runs))
    return next(
        (name for name, path in runs.items() if open_run(path).status == "finished"), next(iter(runs))
    )


# -- a run's artefacts ---------------------------------------------------------------------------


def _changed(run: Run, *parts: str) -> int:
    return datasets.changed_at(run.file(*parts))


@st.cache_resource(max_entries=12, show_spinner=False)
def _arrays(path: str, name: str, changed: float) -> dict[str, np.ndarray]:
    run = Run.open(path)
    arrays = (
        {"global": run.load_global, "labels": run.load_labels}[name]()
        if name in ("global", "labels")
        else run.load_scores(name)
    )
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def global_arrays(run: Run) -> dict[str, np.ndarray]:
    return _arrays(str(run.path), "global", _changed(run, "global.npz"))


def label_arrays(run: Run) -> dict[str, np.ndarray]:
    return _arrays(str(run.path), "labels", _changed(run, "labels.npz"))


def scores(run: Run, split: str) -> dict[str, np.ndarray]:
    return _arrays(str(run.path), split, _changed(run, "scores", f"{split}.npz"))


@st.cache_resource(max_entries=4, show_spinner=False)
def _image_ids(path: str, changed: float) -> tuple[list[str], dict[str, int]]:
    ids = _arrays(path, "global", changed)["ids"].tolist()
    return ids, {image: row for row, image in enumerate(ids)}


def image_ids(run: Run) -> tuple[list[str], dict[str, int]]:
    """Ids of the training images in the order of every [N, ...] array of the run, and the row of each id."""
    return _image_ids(str(run.path), _changed(run, "global.npz"))


@st.cache_resource(max_entries=2, show_spinner=False)
def _views(path: str, changed: float) -> pd.DataFrame:
    return Run.open(path).load_views()


def views(run: Run) -> pd.DataFrame:
    """One row a local view; shared between sessions, not to be written to."""
    return _views(str(run.path), _changed(run, "views.parquet"))


@st.cache_resource(max_entries=1, show_spinner=False)
def _view_probabilities(path: str, changed: float) -> np.ndarray:
    values = Run.open(path).load_view_probabilities()
    values.setflags(write=False)
    return values


def view_probabilities(run: Run) -> np.ndarray:
    """[V, C] float32 in the order of `views`; shared between sessions, not to be written to."""
    return _view_probabilities(str(run.path), _changed(run, "views.parquet"))


# -- browsing ------------------------------------------------------------------------------------


@st.cache_resource(max_entries=2, show_spinner=False)
def _opinions(path: str, labels: float, scored: float, data: datasets.Key) -> ComparedScores:
    run = Run.open(path)
    arrays = label_arrays(run)
    given = scores(run, "train")["scores"] if scored else None
    found = datasets.targets(run, "train", arrays["ids"])
    truth = None
    if found is not None:
        truth = np.full(arrays["initial"].shape, np.nan, np.float32)
        truth[found[0]] = found[1]
    return ComparedScores(arrays["initial"], given, truth)


@st.cache_resource(max_entries=64, show_spinner=False)
def _signals(path: str, cls: int | None, labels: float, scored: float, data: datasets.Key) -> Signals:
    opinions = _opinions(path, labels, scored, data)
    return signals(opinions if cls is None else opinions.of(cls))


def image_signals(run: Run, cls: int | None = None) -> Signals:
    """What images are filtered and sorted by, over all classes or for one."""
    return _signals(
        str(run.path),
        cls,
        _changed(run, "labels.npz"),
        _changed(run, "scores", "train.npz"),
        datasets.key(run),
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _view_steps(path: str, scored: float) -> list[tuple[float, float | None]]:
    run = Run.open(path)
    used = [run.load_json("view_threshold.json")["threshold"]] if run.has("view_threshold.json") else []
    steps = np.unique(
        np.round([*np.arange(0, 0.1, 0.0025), *np.arange(0.1, 1.001, 0.01), *np.clip(used, 0, 1)], 4)
    )
    means = mean_views(scores(run, "train")["scores"], steps) if scored else [None] * len(steps)
    return [
        (float(step), None if mean is None else float(mean)) for step, mean in zip(steps, means, strict=True)
    ]


def view_steps(run: Run) -> list[tuple[float, float | None]]:
    """View thresholds to choose from, fine where most scores lie, and the mean views an image that the kept classifier gives at each."""
    return _view_steps(str(run.path), _changed(run, "scores", "train.npz"))


@st.cache_resource(max_entries=2, show_spinner=False)
def _view_places(path: str, changed: float) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    table = _views(path, changed)
    codes = table["image"].cat.codes.to_numpy()
    order = np.argsort(codes, kind="stable")
    names = table["image"].cat.categories.tolist()
    starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
    return order, starts, {name: code for code, name in enumerate(names)}


def views_of(run: Run, image: str) -> pd.DataFrame:
    """The rows of `views` that are of one image; their index is that of `view_probabilities`."""
    changed = _changed(run, "views.parquet")
    order, starts, code_of = _view_places(str(run.path), changed)
    code = code_of.get(image)
    return views(run).iloc[[] if code is None else order[starts[code] : starts[code + 1]]]


def images_with_view_of(run: Run, cls: str) -> np.ndarray:
    """[N] bool: training images of which a view was taken for class `cls`."""
    table, (ids, row_of) = views(run), image_ids(run)
    names = table["image"].cat.categories
    found = np.zeros(len(ids), bool)
    codes = np.unique(table["image"].cat.codes.to_numpy()[(table["class"] == cls).to_numpy()])
    found[[row_of[names[code]] for code in codes]] = True
    return found


# -- images --------------------------------------------------------------------------------------


def image_path(run: Run, image: str) -> Path:
    path = datasets.find_image(run, image)
    if path is None:
        raise UserError(f"The data set of this run has no image {image!r} on this machine.")
    return path


def image_of(run_name: str, image: str) -> tuple[Path, int]:
    """File of an image and when it was changed (ns), by names alone. Raises UserError for what the app does not show."""
    runs = known_runs()
    if run_name not in runs:
        raise UserError(f"There is no run {run_name!r}.")
    path = image_path(open_run(runs[run_name]), image)
    try:
        return path, path.stat().st_mtime_ns
    except OSError:
        raise UserError(f"The file of image {image!r} is gone.") from None


@st.cache_data(max_entries=2048, show_spinner=False)
def _jpeg(path: str, changed: int, longer_side: int) -> bytes:
    from PIL import Image

    picture = Image.fromarray(read_image(path, at_least=longer_side))
    picture.thumbnail((longer_side, longer_side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def jpeg(path: Path, longer_side: int) -> bytes:
    """The image as JPEG, no larger than `longer_side`."""
    return _jpeg(str(path), datasets.changed_at(path), longer_side)


def data_url(path: Path, longer_side: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(path, longer_side)).decode()


# -- what needs a model --------------------------------------------------------------------------

Model = tuple[str, int, int]


def model_key(run: Run) -> Model:
    """What a run's model says is kept under this: a run that is made anew, or trains on, answers anew."""
    return (
        str(run.path),
        datasets.changed_at(run.file("config.yaml")),
        datasets.changed_at(run.file("checkpoints", "best.safetensors")),
    )


@st.cache_resource(max_entries=1, on_release=lambda client: client.close(), show_spinner=False)
def _predictor(model: Model) -> PredictorClient:
    return PredictorClient(model[0])


def predictor(run: Run) -> PredictorClient:
    """Whom to ask about the run; also on another thread, where Streamlit's caches are out of reach."""
    return _predictor(model_key(run))


def wake_predictor(run: Run, after: float = 0) -> None:
    """Have the run's predictor start on the side where somebody is about to need it: after what a page shows, before they ask."""
    if run.has("checkpoints", "best.safetensors"):
        predictor(run).wake(after)


def predictor_ready(run: Run) -> bool:
    """Whether the run's predictor answers at once, without being started."""
    return predictor(run).ready


def ask(run: Run, question: str, **arguments: Any) -> dict[str, Any]:
    """Any question of `ccd_core.serving.QUESTIONS` to the run's predictor; paths as strings."""
    return predictor(run).ask(question, **arguments)


def predict(run: Run, paths: list[Path]) -> dict[str, Any]:
    return ask(run, "predict", paths=[str(path) for path in paths])


@st.cache_data(
    max_entries=64, show_spinner="Asking the model; the first time it takes a few seconds to start ..."
)
def _explain(
    model: Model, image: str, changed: int, thresholds: tuple[float, ...], warmed_up: bool
) -> dict[str, Any]:
    return _predictor(model).ask("explain", path=image, thresholds=list(thresholds), warmed_up=warmed_up)


def explain(run: Run, image: Path, thresholds: tuple[float, ...], warmed_up: bool = False) -> dict[str, Any]:
    """What `Predictor.explain` says of an image."""
    return _explain(model_key(run), str(image), datasets.changed_at(image), thresholds, warmed_up)


@st.cache_data(max_entries=64, show_spinner="Computing the maps of the other methods ...")
def _cam_methods(
    model: Model, image: str, changed: int, cls: int, thresholds: tuple[float, ...]
) -> dict[str, Any]:
    return _predictor(model).ask("cam_methods", path=image, cls=cls, thresholds=list(thresholds))


def cam_methods(run: Run, image: Path, cls: int, thresholds: tuple[float, ...]) -> dict[str, Any]:
    """What `Predictor.cam_methods` says of an image."""
    return _cam_methods(model_key(run), str(image), datasets.changed_at(image), cls, thresholds)


@st.cache_data(max_entries=256, show_spinner="Asking CLIP about these views ...")
def _clip_views(model: Model, image: str, changed: int, boxes: list[list[float]]) -> list[list[float]]:
    return _predictor(model).ask("clip_views", path=image, boxes=boxes)["p"]


def clip_views(run: Run, image: Path, boxes: list[list[float]]) -> list[list[float]]:
    """[V][C] CLIP's probabilities of parts of an image; boxes as fractions of it."""
    return _clip_views(model_key(run), str(image), datasets.changed_at(image), boxes)
