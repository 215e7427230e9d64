"""How far a run is, in words: its stages and their times, what it is at, and how long that and the rest will take."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from ccd_core.errors import UserError
from ccd_core.jobs import estimates
from ccd_core.runs.progress import STAGES
from ccd_core.runs.run import Run

COLOURS = {"finished": "green", "running": "blue", "queued": "orange", "failed": "red"}


def duration(seconds: float) -> str:
    """2 s, 3 min, 1 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def stages(run: Run, status: str, state: dict[str, Any]) -> str:
    """Every stage in its order as a badge: done with its time, at work, to come; empty for a run that waits for its first."""
    seconds, now = state.get("seconds", {}), state.get("stage")
    if status == "queued" and not seconds:
        return ""
    words = []
    for stage in STAGES[:-1]:
        if not run.config.labels.update and stage in ("views", "training"):
            continue
        took = f" {duration(seconds[stage])}" if stage in seconds else ""
        colour = (
            COLOURS.get(status, "gray")
            if stage == now and status != "finished"
            else "green"
            if took
            else "gray"
        )
        words.append(f":{colour}-badge[{stage}{took}]")
    total = sum(seconds.values())
    return " ".join(words) + (
        f" :gray[{duration(total)} {'so far' if status in ('running', 'queued') else 'in all'}]"
        if total
        else ""
    )


def doing(state: dict[str, Any]) -> str:
    """What an unfinished run is at: stage, epoch, images."""
    detail = f", {state['detail']}" if state.get("detail") else ""
    return f"{state['stage']}{detail}: {state['done']:,} of {state['total']:,}"


def progress(run: Run, state: dict[str, Any]) -> tuple[float, str]:
    """Share of the stage or epoch that is done, and a line with the time left in it and in the run."""
    total = state.get("total") or 0
    if not total:
        return 0.0, ": ".join(
            word for word in (state.get("stage", "starting"), state.get("detail")) if word
        ) + " ..."
    text = doing(state)
    if state.get("eta_seconds"):
        text += (
            f" · {duration(state['eta_seconds'])} left in this {'epoch' if state.get('detail') else 'stage'}"
        )
    whole = estimates.time_left(run, expected(str(run.path)))
    return min(1.0, state["done"] / total), text + (
        f", about {duration(whole)} until the run is over" if whole else ""
    )


def warm_up(run: Run) -> int:
    """Epochs before the labels are updated; 0 for a run that never updates them."""
    return run.config.training.warmup_epochs if run.config.labels.update else 0


@st.cache_data(max_entries=16, ttl=600, show_spinner=False)
def expected(path: str) -> dict[str, float] | None:
    """Seconds that each stage of a run will take, from finished runs like it."""
    run = Run.open(path)
    try:
        dataset = datasets.dataset(run)
    except UserError:
        return None
    train, val = (len(dataset.splits[name]) if name in dataset.splits else 0 for name in ("train", "val"))
    earlier = [Run.open(other) for other in loaders.known_runs().values()]
    return estimates.estimate(run.config, train, val, len(run.classes), earlier).seconds
