"""The JSON files of a run, as types: state.json, bias.json, scores/ap.json, checkpoints/best.json, stop.json.

A run's folder may be damaged, or come from somebody else. So what is read from it is checked against these
types before it is used.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, InstanceOf, TypeAdapter
from typing_extensions import TypedDict

Document = TypeVar("Document")

# A text may hold odd bytes of a file name, which pydantic's own `str` does not take.
Text = InstanceOf[str]
Number = Annotated[float, Field(gt=-1e15, lt=1e15)]  # neither NaN nor infinite
Count = Annotated[int, Field(ge=0, lt=2**53)]
ProcessId = Annotated[int, Field(gt=0, lt=2**31)]
Status = Literal["created", "queued", "running", "finished", "stopped", "failed"]
Place = Literal["local", "slurm"]


class SkippedImage(TypedDict):
    """An image that cannot be used, and why."""

    id: Text
    reason: Text


class SlurmPart(TypedDict, total=False):
    """The part of state.json of a run on a cluster: its job's number, its options, and how the job ended."""

    job: Text  # `slurm_state.job_number` says whether it is a number
    options: dict[str, Any]
    over: Text


class RunState(TypedDict, total=False):
    """state.json. Times are seconds since 1970; `seconds` are the seconds that each stage took."""

    status: Status
    error: Text | None
    stage: Text
    detail: Text
    done: Count
    total: Count
    eta_seconds: Number | None
    seconds: dict[Text, Number]
    heartbeat: Number
    pid: ProcessId | None  # None in the file of a run on a cluster
    pid_created: Number
    pid_ticks: Count
    host: Text | None
    boot: Text
    memory_kills: Count
    launched: Number
    began: Number
    place: Place
    slurm: SlurmPart
    skipped: list[SkippedImage]
    skipped_count: Count


class ClassBias(TypedDict):
    """One class of bias.json. `estimated` is the file's old word for measured on low-entropy images."""

    bias: Number
    count: Count
    mean_probability: Number
    estimated: bool


class BiasFile(TypedDict):
    """bias.json: the CLIP bias of each class, and how it was measured."""

    entropy_threshold: Number
    mode: Text
    images_used: Count
    classes: dict[Text, ClassBias]


class Scores(TypedDict):
    """Scores of predictions or labels, in percent. The AP of a class without a positive is None."""

    mAP: Number
    micro_AP: Number
    F1: Number
    AP: dict[Text, Number | None]


class ScoresFile(TypedDict, total=False):
    """scores/ap.json: scores of the kept model on each split, and those of each kind of label."""

    epoch: Count
    train: Scores | None
    val: Scores | None
    labels: dict[Text, Scores]
    clip: dict[Text, Scores | None]
    classifier: dict[Text, Scores | None]


class SafeguardFile(TypedDict):
    """safeguard.json: how often the classifier's first class is CLIP's, where CLIP is sure."""

    images: Count
    share: Number | None
    split: Text
    doubtful: bool


class BestFile(TypedDict):
    """checkpoints/best.json: which epoch's model is kept, counted from 0, and why."""

    epoch: Count
    kept_because: Text


class StopRequest(TypedDict):
    """stop.json: when a process was asked to stop, and which one."""

    asked: Number
    pid: ProcessId | None
    host: Text | None


Digests = dict[Text, Text]  # digests.json: file -> digest


@cache
def _adapter(kind: type[Document]) -> TypeAdapter[Document]:
    return TypeAdapter(kind)


def checked(kind: type[Document], value: object) -> Document:
    """`value`, as read from a JSON file, if its keys and their types are those of `kind`.

    Further keys stay in it. Raises ValueError if it is anything else.
    """
    _adapter(kind).validate_python(value, strict=True)  # type: ignore[arg-type]
    return value  # type: ignore[return-value]
