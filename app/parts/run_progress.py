"""How far a run is, in words: its stages and their times, what it is at, and how long the rest will take."""

from __future__ import annotations

from app.reading.cached import cached_by
from app.reading.ground_truth import dataset
from app.reading.runs import known_runs, open_run
from app.widgets import literal
from ccd_core.errors import UserError
from ccd_core.jobs import estimates
from ccd_core.runs.files.documents import RunState
from ccd_core.runs.needs import stages_of
from ccd_core.runs.run import Run

COLOURS = {"finished": "green", "running": "blue", "queued": "orange", "failed": "red"}


def duration(seconds: float) -> str:
    """2 s, 3 min, 1 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def stages(run: Run, status: str, state: RunState) -> str:
    """Every stage in its order as a badge: done with its time, at work, or to come.

    Empty for a run that waits for its first stage. state: what is in the run's state.json.
    """
    seconds = state.get("seconds", {})
    if status == "queued" and not seconds:
        return ""
    words = []
    for stage in stages_of(run.config):
        text: str = stage
        colour = "gray"
        if stage in seconds:
            text = f"{stage} {duration(seconds[stage])}"
            colour = "green"
        if stage == state.get("stage") and status != "finished":
            colour = COLOURS.get(status, "gray")
        words.append(f":{colour}-badge[{text}]")
    if total := sum(seconds.values()):
        end = "so far" if status in ("running", "queued") else "in all"
        words.append(f":gray[{duration(total)} {end}]")
    return " ".join(words)


def doing(state: RunState) -> str:
    """What an unfinished run is at: stage, epoch, images."""
    detail = f", {literal(state['detail'])}" if state.get("detail") else ""
    return f"{state['stage']}{detail}: {state['done']:,} of {state['total']:,}"


def progress(run: Run, state: RunState) -> tuple[float, str]:
    """Share of the stage or epoch that is done, and a line with the time left in it and in the run."""
    total = state.get("total") or 0
    if not total:
        words = [state.get("stage", "starting"), literal(state.get("detail") or "")]
        return 0.0, ": ".join(word for word in words if word) + " ..."
    text = doing(state)
    left = state.get("eta_seconds")
    if left:
        part = "epoch" if state.get("detail") else "stage"
        text += f" · {duration(left)} left in this {part}"
    expected = _expected(run)
    whole = estimates.time_left(run, *expected) if expected else None
    if whole:
        text += f", about {duration(whole)} until the run is over"
    return min(1.0, state["done"] / total), text


def warm_up(run: Run) -> int:
    """Epochs before the labels are updated; 0 for a run that never updates them."""
    if not run.config.labels.update:
        return 0
    metrics = run.load_metrics()
    done = int((metrics["phase"] == "warm-up").sum()) if len(metrics) else 0
    return max(run.config.training.warmup_epochs, done)  # few images are warmed up for more epochs


@cached_by(copied=True, max_entries=16, ttl=600)
def _expected(run: Run) -> tuple[dict[str, float], int] | None:
    """Seconds that each stage of a run will take, from finished runs like it, and its training images.

    None where there is no such run.
    """
    try:
        splits = dataset(run).splits
    except UserError:
        return None
    train = len(splits["train"]) if "train" in splits else 0
    val = len(splits["val"]) if "val" in splits else 0
    earlier = [open_run(path) for path in known_runs().values()]
    seconds = estimates.estimate(run.config, train, val, len(run.classes), earlier).seconds
    return (seconds, train) if seconds else None
