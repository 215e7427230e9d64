"""The JSON files of a run, as types: state.json, bias.json, scores/ap.json, checkpoints/best.json."""

from __future__ import annotations

from typing import Any, TypedDict


class SkippedImage(TypedDict):
    """An image that cannot be used, and why."""

    id: str
    reason: str


class SlurmPart(TypedDict, total=False):
    """The part of state.json of a run on a cluster: its job's number, its options, and how the job ended."""

    job: str
    options: dict[str, Any]
    over: str


class RunState(TypedDict, total=False):
    """state.json. Times are seconds since 1970; `seconds` are the seconds that each stage took."""

    status: str  # created, queued, running, finished, stopped or failed
    error: str | None
    stage: str
    detail: str
    done: int
    total: int
    eta_seconds: float | None
    seconds: dict[str, float]
    heartbeat: float
    pid: int  # None in the file of a run on a cluster
    pid_created: float
    host: str | None
    boot: str
    memory_kills: int
    launched: float
    began: float
    place: str  # local or slurm
    slurm: SlurmPart
    skipped: list[SkippedImage]
    skipped_count: int


class ClassBias(TypedDict):
    """One class of bias.json. `estimated` is the file's old word for measured on low-entropy images."""

    bias: float
    count: int
    mean_probability: float
    estimated: bool


class BiasFile(TypedDict):
    """bias.json: the CLIP bias of each class, and how it was measured."""

    entropy_threshold: float
    mode: str
    images_used: int
    classes: dict[str, ClassBias]


class Scores(TypedDict):
    """Scores of predictions or labels, in percent. The AP of a class without a positive is None."""

    mAP: float
    micro_AP: float
    F1: float
    AP: dict[str, float | None]


class ScoresFile(TypedDict, total=False):
    """scores/ap.json: scores of the kept model on each split, and those of each kind of label."""

    epoch: int
    train: Scores | None
    val: Scores | None
    labels: dict[str, Scores]


class BestFile(TypedDict):
    """checkpoints/best.json: which epoch's model is kept, counted from 0, and why."""

    epoch: int
    kept_because: str


NUMBER = (int, float)
KINDS_OF_STATE: dict[str, tuple[type, ...]] = {
    "status": (str,),
    "error": (str, type(None)),
    "stage": (str,),
    "detail": (str,),
    "done": (int,),
    "total": (int,),
    "eta_seconds": (*NUMBER, type(None)),
    "seconds": (dict,),
    "heartbeat": NUMBER,
    "pid": (int, type(None)),
    "pid_created": NUMBER,
    "host": (str, type(None)),
    "boot": (str,),
    "memory_kills": (int,),
    "launched": NUMBER,
    "began": NUMBER,
    "place": (str,),
    "slurm": (dict,),
    "skipped": (list,),
    "skipped_count": (int,),
}


def is_state(value: Any) -> bool:
    """Whether `value`, as read from a state.json, can be one: a table whose entries have the right kinds."""
    if not isinstance(value, dict):
        return False
    return all(isinstance(value[key], kinds) for key, kinds in KINDS_OF_STATE.items() if key in value)
