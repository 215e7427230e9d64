"""What CLIP says of parts of an image: asked in the background, a few crops at a time, and remembered.

A page waits `PATIENCE` seconds for an answer and then shows what is known. After that its browser has CLIP
asked on (`poll`) and asks for the page again when there is more to show. An answer that is on its way is
never lost, and a question about another image waits for at most one short question.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict
from weakref import WeakValueDictionary

import numpy as np
import streamlit as st

from app import state
from app.reading.asking import predictor
from app.reading.cached import cached_by
from ccd_core.data.types import UnitBox
from ccd_core.errors import UserError
from ccd_core.predict.server import PredictorClient
from ccd_core.runs.run import Run

PATIENCE = 0.2  # seconds that a page waits before it goes on with what is known
QUESTION_SECONDS = 0.12  # how long one question is to take, so that others get in between
FEWEST, MOST = 2, 64  # crops in one question


@dataclass
class Query:
    """All that CLIP was asked about one image.

    results: the probabilities [C] of each box; question: the one on its way; error: why the last one failed.
    """

    results: dict[UnitBox, list[float]] = field(default_factory=dict)
    question: Future | None = None
    error: str = ""


@dataclass
class Throughput:
    """How many crops a second CLIP takes, by the last questions.

    A single slow question only halves it: the first one waits until CLIP is loaded.
    """

    crops: float = 50.0


@dataclass
class Subscription:
    """What the page of one session wants to know of the image `path`.

    stages: lists of boxes, in the order in which they are asked about. Every stage changes what the page
    shows.
    """

    run: Run
    path: Path
    query: Query
    stages: list[list[UnitBox]]


class Coverage(TypedDict):
    """How many of the boxes of all stages are known, of how many in total; how many stages are complete.

    waking: whether not even the first stage is.
    """

    known: int
    total: int
    stages: int
    waking: bool


class Progress(Coverage):
    """The same with the seconds that are left, and whether CLIP cannot be asked."""

    seconds: int
    failed: bool


@cached_by("config.yaml", max_entries=24)  # not the checkpoint: CLIP is not trained
def query_about(run: Run, path: Path) -> Query:
    """What CLIP was asked about an image, shared between sessions."""
    return Query()


@cached_by(max_entries=4)
def _throughput(run: Run) -> Throughput:
    return Throughput()


@st.cache_resource(show_spinner=False)
def _line() -> ThreadPoolExecutor:
    """Where questions wait in line, so that one nobody waits for any more can be taken out."""
    return ThreadPoolExecutor(1, "clip")


@st.cache_resource(show_spinner=False)
def _subscriptions() -> WeakValueDictionary[str, Subscription]:
    """Token -> what the page of a session wants to know now, for as long as the session lasts."""
    return WeakValueDictionary()


def unit_box(box: Sequence[float]) -> UnitBox:
    """A box as CLIP is asked about it: rounded to 1e-4 of a side, so that equal boxes are one question."""
    x0, y0, x1, y1 = (round(float(side), 4) for side in box)
    return x0, y0, x1, y1


def known_probabilities(run: Run, path: Path, boxes: np.ndarray) -> np.ndarray:
    """[V, C] what CLIP has said of the boxes [V, 4] (fractions of the image), NaN where it was not asked."""
    results = query_about(run, path).results
    blank = [np.nan] * len(run.classes)
    rows = [results.get(unit_box(box), blank) for box in boxes]
    return np.array(rows, np.float32).reshape(len(boxes), len(run.classes))


def query_clip(run: Run, path: Path, boxes: np.ndarray, patience: float = PATIENCE) -> None:
    """Ask about the boxes [V, 4] that are not known yet, in their order.

    Returns when all are known, when `patience` seconds have passed or when one question fails.
    """
    query = query_about(run, path)
    before = st.session_state.get(state.CLIP_QUERY)
    if before is not None and before is not query and before.question:
        before.question.cancel()  # it is about the image looked at before, and may still wait in line
    st.session_state[state.CLIP_QUERY] = query
    _query_on(run, path, query, [unit_box(box) for box in boxes], patience)


def _query_on(run: Run, path: Path, query: Query, boxes: list[UnitBox], patience: float) -> None:
    throughput = _throughput(run)
    until = time.monotonic() + patience
    while not query.error and (missing := [box for box in dict.fromkeys(boxes) if box not in query.results]):
        if query.question is None or query.question.done():
            part = missing[: max(FEWEST, min(MOST, int(QUESTION_SECONDS * throughput.crops)))]
            query.question = _line().submit(_put, predictor.client(run), query, throughput, str(path), part)
        wait([query.question], max(0.0, until - time.monotonic()))
        if time.monotonic() >= until:
            return


def _put(
    client: PredictorClient, query: Query, throughput: Throughput, path: str, part: list[UnitBox]
) -> None:
    began = time.monotonic()
    try:
        answer = client.ask("clip_views", path=path, boxes=[list(box) for box in part], whole=True)
    except UserError as error:
        query.error = str(error)
    else:
        query.results.update(zip(part, answer["p"], strict=True))
        throughput.crops = max(len(part) / (time.monotonic() - began), throughput.crops / 2)


def subscribe(run: Run, path: Path, stages: Sequence[np.ndarray]) -> str:
    """The token under which `poll` finds what this session's page wants to know from now on.

    stages: boxes [V, 4] each.
    """
    token = st.session_state.setdefault(state.CLIP_TOKEN, secrets.token_urlsafe(16))
    boxes = [[unit_box(box) for box in stage] for stage in stages]
    subscription = Subscription(run, path, query_about(run, path), boxes)
    _subscriptions()[token] = subscription
    st.session_state[state.CLIP_SUBSCRIPTION] = subscription  # the session holds it
    return token


def poll(token: str) -> Progress | None:
    """Ask on for `PATIENCE` seconds, on any thread, and say how far it has come; None if the page is gone."""
    subscription = _subscriptions().get(token)
    if subscription is None:
        return None
    run = subscription.run
    query = subscription.query
    boxes = [box for stage in subscription.stages for box in stage]
    try:
        _query_on(run, subscription.path, query, boxes, PATIENCE)
    except (UserError, OSError) as error:
        query.error = str(error)  # the model's files went away
    now = coverage(subscription.stages, query.results.keys())
    seconds = round((now["total"] - now["known"]) / _throughput(run).crops)
    return Progress(**now, seconds=seconds, failed=bool(query.error))


def coverage(stages: Sequence[Iterable[UnitBox]], known: Set[UnitBox]) -> Coverage:
    """How far CLIP was asked about the boxes of all stages, when it has answered about `known`."""
    wanted = [set(stage) for stage in stages]
    every = set().union(*wanted)
    complete = [stage <= known for stage in wanted]
    return {
        "known": len(every & known),
        "total": len(every),
        "stages": sum(complete),
        "waking": not complete[0],
    }
