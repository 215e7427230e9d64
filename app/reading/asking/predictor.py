"""What a run's classifier and CLIP say of images: asked of the predictor, a process of its own.

The app itself never loads torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.reading.cached import cached_by
from app.reading.readable_folders import refuse_unknown
from ccd_core.errors import UserError
from ccd_core.predict.server import PredictorClient
from ccd_core.runs.run import Run

# Answers are cached under the times of these files, so they expire when the run is made anew or trained on.
MODEL_FILES = ("config.yaml", "checkpoints/best.safetensors")
STARTING = "Asking the model; the first time it takes a few seconds to start ..."


@cached_by(*MODEL_FILES, max_entries=1, on_release=lambda client: client.close())
def _client(run: Run) -> PredictorClient:
    return PredictorClient(str(run.path))


def client(run: Run) -> PredictorClient:
    """The run's predictor. May be called on any thread, and so may be what it returns.

    Raises UserError where the run's CLIP is a file that is not opened unasked.
    """
    refuse_unknown(run, "clip.model", "clip.pretrained")
    return _client(run)


def wake_predictor(run: Run, after: float = 0) -> None:
    """Start the run's predictor in the background, `after` seconds from now: somebody will need it."""
    with suppress(UserError):
        if run.has("checkpoints", "best.safetensors"):
            client(run).wake(after)


def predictor_ready(run: Run) -> bool:
    """Whether the run's predictor answers at once, without being started."""
    with suppress(UserError):
        return client(run).ready
    return False


def ask_predictor(run: Run, question: str, **arguments: Any) -> dict[str, Any]:
    """Any question of `ccd_core.predict.server.QUESTIONS` to the run's predictor; paths as strings."""
    return client(run).ask(question, **arguments)


def predict(run: Run, paths: list[Path]) -> dict[str, Any]:
    """What `Predictor.predict` says of images: scores and errors."""
    return ask_predictor(run, "predict", paths=[str(path) for path in paths])


@cached_by(*MODEL_FILES, copied=True, max_entries=64, show_spinner=STARTING)
def explain(run: Run, image: Path, thresholds: tuple[float, ...], warmed_up: bool = False) -> dict[str, Any]:
    """What `Predictor.explain` says of an image."""
    return ask_predictor(run, "explain", path=str(image), thresholds=list(thresholds), warmed_up=warmed_up)


@cached_by(*MODEL_FILES, copied=True, max_entries=64, show_spinner=STARTING)
def attend(run: Run, image: Path, classes: Sequence[int]) -> dict[str, Any]:
    """What `Predictor.attend` says of the classes: maps, boxes, and CLIP's probabilities."""
    return ask_predictor(run, "attend", path=str(image), classes=list(classes))


@cached_by(
    *MODEL_FILES, copied=True, max_entries=64, show_spinner="Computing the maps of the other methods ..."
)
def cam_methods(run: Run, image: Path, cls: int, thresholds: tuple[float, ...]) -> dict[str, Any]:
    """What `Predictor.cam_methods` says of an image."""
    return ask_predictor(run, "cam_methods", path=str(image), cls=cls, thresholds=list(thresholds))


@cached_by(*MODEL_FILES, copied=True, max_entries=256, show_spinner="Asking CLIP about these views ...")
def clip_views(run: Run, image: Path, boxes: list[list[float]]) -> list[list[float]]:
    """[V][C] CLIP's probabilities of parts of an image; boxes as fractions of it."""
    return ask_predictor(run, "clip_views", path=str(image), boxes=boxes)["p"]
