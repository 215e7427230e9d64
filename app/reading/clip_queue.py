"""What CLIP says of parts of an image: asked of the predictor on the side, a few crops at a time, and remembered.

Nobody waits for more than they want to: a page gives a question `PATIENCE` and shows what is known. Its browser then has CLIP asked on
(`look_on`), and asks for the page anew when there is more to show. What is on its way is not lost meanwhile, whatever the person does, and
another image's question waits for one short question at most.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import streamlit as st

from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from ccd_core.errors import UserError
from ccd_core.predict.server import PredictorClient
from ccd_core.runs.run import Run

PATIENCE = 0.2  # seconds that a page waits before it goes on with what is known
A_QUESTION = 0.12  # seconds that one question is to take, so that others get in between
AT_LEAST, AT_MOST = 2, 64  # crops in one question

Box = tuple[float, float, float, float]


@dataclass
class Asked:
    """What CLIP was asked about one image: probabilities [C] of each box, the question on its way, and why the last one failed."""

    said: dict[Box, list[float]] = field(default_factory=dict)
    question: Future | None = None
    error: str = ""


@dataclass
class Pace:
    """Crops a second, as the last questions went; a single slow one, such as the first, which waits for CLIP to be loaded, only halves it."""

    crops: float = 50.0


@dataclass
class Pursuit:
    """What a page that shows `path` wants to know, in stages, each of which changes what it shows."""

    run: Run
    path: Path
    asked: Asked
    stages: list[list[Box]]


@st.cache_resource(max_entries=24, show_spinner=False)
def _asked(run_path: str, settings: int, image_path: str, changed: int) -> Asked:
    return Asked()


@st.cache_resource(max_entries=4, show_spinner=False)
def _pace(run_path: str) -> Pace:
    return Pace()


@st.cache_resource(show_spinner=False)
def _line() -> ThreadPoolExecutor:
    """Where questions queue, so that one nobody waits for any more can be taken out."""
    return ThreadPoolExecutor(1, "clip")


@st.cache_resource(show_spinner=False)
def _pursuits() -> WeakValueDictionary[str, Pursuit]:
    """Token -> what a session's page wants to know now, for as long as the session lasts."""
    return WeakValueDictionary()


def asked_about(run: Run, path: Path) -> Asked:
    """What has been asked about this image, shared between sessions."""
    settings = datasets.changed_at(
        run.file("config.yaml")
    )  # CLIP is not trained: its opinion outlives a checkpoint
    return _asked(str(run.path), settings, str(path), datasets.changed_at(path))


def known(run: Run, path: Path, boxes: np.ndarray) -> np.ndarray:
    """[V, C] what CLIP has said of the boxes [V, 4] (fractions of the image); nan where it has not been asked yet."""
    said, blank = asked_about(run, path).said, [np.nan] * len(run.classes)
    return np.array([said.get(key(box), blank) for box in boxes], np.float32).reshape(
        len(boxes), len(run.classes)
    )


def ask(run: Run, path: Path, boxes: np.ndarray, patience: float = PATIENCE) -> None:
    """Ask about the unknown ones of the boxes [V, 4] in their order, until all are known, `patience` seconds have passed or one question fails."""
    asked, before = asked_about(run, path), st.session_state.get("asked")
    if before is not None and before is not asked and before.question:
        before.question.cancel()  # of the image this person looked at before, where it has not been put yet
    st.session_state["asked"] = asked
    _ask_on(run, path, asked, list(map(key, boxes)), patience)


def _ask_on(run: Run, path: Path, asked: Asked, boxes: list[Box], patience: float) -> None:
    pace, until = _pace(str(run.path)), time.monotonic() + patience
    while not asked.error and (missing := [box for box in dict.fromkeys(boxes) if box not in asked.said]):
        if asked.question is None or asked.question.done():
            part = missing[: max(AT_LEAST, min(AT_MOST, int(A_QUESTION * pace.crops)))]
            asked.question = _line().submit(_put, loaders.predictor(run), asked, pace, str(path), part)
        wait([asked.question], max(0.0, until - time.monotonic()))
        if time.monotonic() >= until:
            return


def pursue(run: Run, path: Path, stages: Sequence[np.ndarray]) -> str:
    """Where `look_on` finds what this session's page wants to know from now on: stages of boxes [V, 4]."""
    token = st.session_state.setdefault("asking_token", secrets.token_urlsafe(16))
    pursuit = Pursuit(run, path, asked_about(run, path), [list(map(key, stage)) for stage in stages])
    st.session_state["pursuit"] = _pursuits()[token] = pursuit  # the session holds it
    return token


def look_on(token: str) -> dict[str, Any] | None:
    """Ask on for `PATIENCE` and say `how_far` it has come, on any thread; None for a page that is gone.

    Beside it seconds: left, as the last questions went; failed: whether CLIP cannot be asked.
    """
    pursuit = _pursuits().get(token)
    if pursuit is None:
        return None
    run, asked = pursuit.run, pursuit.asked
    try:
        _ask_on(run, pursuit.path, asked, [box for stage in pursuit.stages for box in stage], PATIENCE)
    except (UserError, OSError) as error:
        asked.error = str(error)  # the model's files went away
    now = how_far(pursuit.stages, asked.said.keys())
    return now | {
        "seconds": round(seconds_for(run, now["total"] - now["known"])),
        "failed": bool(asked.error),
    }


def how_far(stages: Sequence[Iterable[Box]], said: Set[Box]) -> dict[str, Any]:
    """Of the boxes of all stages, known and total; stages: how many are complete; waking: whether the first one is not."""
    wanted = [set(stage) for stage in stages]
    every = set().union(*wanted)
    complete = [stage <= said for stage in wanted]
    return {
        "known": len(every & said),
        "total": len(every),
        "stages": sum(complete),
        "waking": not complete[0],
    }


def _put(client: PredictorClient, asked: Asked, pace: Pace, path: str, part: list[Box]) -> None:
    began = time.monotonic()
    try:
        answer = client.ask("clip_views", path=path, boxes=[list(box) for box in part])
    except UserError as error:
        asked.error = str(error)
    else:
        asked.said.update(zip(part, answer["p"], strict=True))
        pace.crops = max(len(part) / (time.monotonic() - began), pace.crops / 2)


def seconds_for(run: Run, crops: int) -> float:
    """How long CLIP takes for so many crops, as the last question went."""
    return crops / _pace(str(run.path)).crops


def key(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = (round(float(side), 4) for side in box)
    return x0, y0, x1, y1
