"""The files of a comparison: table.json of `ccd table`, sweep.json of `ccd sweep`, and examples.npz.

All three lie in the folder of the comparison, beside `runs/`, which has one run for each method and seed. A
folder may come from somebody else, so what is read is checked against the types below. This module needs
neither torch nor a browser.

All scores are percent. The AP of a class without a positive is None.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ccd_core.errors import UserError
from ccd_core.files import read_arrays, reading, write_arrays, write_json

TABLE = "table.json"
SWEEP = "sweep.json"
EXAMPLES = "examples.npz"
VERSION: Literal[1] = 1

Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
# What a method is told of the training images: every label, some entries, one positive an image, nothing.
# The last two groups use no label. "training_free" scores images with CLIP alone and trains no classifier.
Group = Literal["full", "partial", "single", "label_free", "training_free"]
GROUPS: dict[Group, str] = {
    "full": "All labels",
    "partial": "10 % of the labels",
    "single": "One positive label an image",
    "label_free": "No labels",
    "training_free": "No labels, no training",
}
USES_LABELS: tuple[Group, ...] = ("full", "partial", "single")
Measure = Literal["mAP", "micro_AP", "F1"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeanAndDeviation(NamedTuple):
    """Of the finished runs of a row. The deviation is the sample's, and None for a single run."""

    mean: float
    deviation: float | None
    runs: int


class SeedResult(_Part):
    """One run of a row. The scores are those of the kept model on the validation images."""

    seed: int
    run: str = Field(description="Folder of the run, relative to the comparison's folder, with slashes.")
    status: str = Field(description="As `Run.status`: created, queued, running, finished, stopped, failed.")
    seconds: Seconds | None = Field(None, description="Of all stages that this run computed itself.")
    epoch: Count | None = Field(None, description="Which epoch is kept, counted from 1; None: no training.")
    epochs: Count | None = Field(None, description="How many epochs were trained; None: no training.")
    mAP: Percent | None = None
    micro_AP: Percent | None = None
    F1: Percent | None = Field(None, description="Macro F1 at the threshold 0.5.")
    AP: dict[str, Percent | None] = Field(default_factory=dict, description="{class: AP}")
    label_mAP: Percent | None = Field(None, description="mAP of the labels that it was trained on last.")
    error: str | None = Field(None, description="Why the run failed.")

    @property
    def done(self) -> bool:
        return self.mAP is not None


class _Scored(_Part):
    runs: tuple[SeedResult, ...] = ()

    def over_seeds(self, measure: Measure = "mAP") -> MeanAndDeviation | None:
        """Mean and sample deviation of a measure over the finished runs; None without any."""
        return mean_and_deviation([getattr(run, measure) for run in self.runs])

    def class_ap(self, name: str) -> MeanAndDeviation | None:
        """Mean and sample deviation of the AP of class `name` over the finished runs."""
        return mean_and_deviation([run.AP.get(name) for run in self.runs])

    @property
    def seconds(self) -> float | None:
        """Mean seconds of a finished run."""
        found = mean_and_deviation([run.seconds for run in self.runs if run.done])
        return found.mean if found else None


class TableRow(_Scored):
    """One method, with one run for each seed."""

    method: str = Field(description="Name in `registry.METHODS`, as in `ccd run --method`.")
    title: str = Field(description="Name to show, such as `Naive AN`.")
    group: Group
    labels: str = Field(description="Where the training labels come from, in a few words.")
    recipe: Literal["common", "own", "none"] = Field(description="none: the method trains nothing.")
    epoch_choice: str = Field(description="How the kept epoch was chosen, in a few words.")
    published: Percent | None = Field(None, description="mAP in the paper's Table 1 on this data set.")
    note: str = Field("", description="What a reader must know about this row; may be empty.")

    @property
    def uses_labels(self) -> bool:
        return self.group in USES_LABELS


class TableFile(_Part):
    """table.json: rows in the order of the paper's Table 1, then what is new."""

    version: Literal[1] = VERSION
    kind: Literal["table"] = "table"
    dataset: str = Field(description="Specification of the data set, without this machine's paths.")
    dataset_kind: str = Field(description="demo, folder, voc2012, ... : what published numbers belong to.")
    classes: tuple[str, ...]
    train_images: Count
    val_images: Count
    preset: str
    recipe: Literal["common", "own"]
    seeds: tuple[int, ...]
    made: float = Field(description="Seconds since 1970.")
    rows: tuple[TableRow, ...]


class SweepPoint(_Scored):
    """One value of the setting that is varied, or one row of the ablation."""

    label: str = Field(description="The value to show, such as `0.4`, or the row's name.")
    value: float | None = Field(None, description="Its place on the x axis; None: not a number.")
    changes: dict[str, Any] = Field(description="{setting: value} against the base settings.")
    is_control: bool = Field(False, description="A control, such as random boxes, and no part of the method.")
    is_base: bool = Field(False, description="Whether it is what the base settings have.")
    published: Percent | None = Field(None, description="mAP that the paper's text gives on this data set.")
    shared: tuple[str, ...] = Field(
        (), description="Stages that were taken from another point: global, warm-up, views."
    )


class SweepFile(_Part):
    """sweep.json: one setting with several values, or the paper's Table 2."""

    version: Literal[1] = VERSION
    kind: Literal["sweep"] = "sweep"
    title: str = Field(description="Such as `Fig. 6b: weight of the initial label`.")
    setting: str | None = Field(description="Dotted name of the setting; None for the ablation.")
    figure: Literal["6a", "6b", "7", "table2"] | None = None
    dataset: str
    dataset_kind: str
    classes: tuple[str, ...]
    train_images: Count
    val_images: Count
    preset: str
    method: str = "ccd"
    seeds: tuple[int, ...]
    made: float
    points: tuple[SweepPoint, ...]


class Examples(NamedTuple):
    """examples.npz: what each method says of some images, with the first seed.

    methods: [K] str, in the order of the rows that have finished. val_scores: [K, M, C] float32 in [0, 1],
    the kept model's scores of M validation images. train_labels: [K, L, C] float32, the labels of L training
    images that the method was trained on last, NaN for an unknown entry and for a method without training.
    truth arrays: [M, C] and [L, C] of 0 and 1, NaN without ground truth.
    """

    methods: np.ndarray
    val_ids: np.ndarray
    val_scores: np.ndarray
    val_truth: np.ndarray
    train_ids: np.ndarray
    train_labels: np.ndarray
    train_truth: np.ndarray


def mean_and_deviation(values: Sequence[float | None]) -> MeanAndDeviation | None:
    """Mean and sample deviation of the values that are known; None if none is."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return MeanAndDeviation(statistics.fmean(known), deviation, len(known))


File = TypeVar("File", TableFile, SweepFile)


def read_table(folder: str | Path) -> TableFile:
    """table.json of a comparison's folder. Raises UserError if there is none or it is damaged."""
    return _read(Path(folder) / TABLE, TableFile, "ccd table")


def read_sweep(folder: str | Path) -> SweepFile:
    """sweep.json of a comparison's folder. Raises UserError if there is none or it is damaged."""
    return _read(Path(folder) / SWEEP, SweepFile, "ccd sweep")


def write_table(folder: str | Path, table: TableFile) -> None:
    write_json(Path(folder) / TABLE, table.model_dump(mode="json"))


def write_sweep(folder: str | Path, sweep: SweepFile) -> None:
    write_json(Path(folder) / SWEEP, sweep.model_dump(mode="json"))


def read_examples(folder: str | Path) -> Examples | None:
    """examples.npz of a comparison's folder; None if there is none. Raises UserError if it is damaged."""
    path = Path(folder) / EXAMPLES
    if not path.is_file():
        return None
    arrays = read_arrays(path)
    with reading(path):
        found = Examples(**{name: arrays[name] for name in Examples._fields})
        shape = found.val_scores.shape
        if shape[:2] != (len(found.methods), len(found.val_ids)) or found.val_truth.shape != shape[1:]:
            raise ValueError("arrays of different lengths")
        shape = found.train_labels.shape
        if shape[:2] != (len(found.methods), len(found.train_ids)) or found.train_truth.shape != shape[1:]:
            raise ValueError("arrays of different lengths")
    return found


def write_examples(folder: str | Path, examples: Examples) -> None:
    write_arrays(Path(folder) / EXAMPLES, **examples._asdict())


def comparisons(workspace: str | Path) -> list[Path]:
    """The folders directly below `workspace` that hold a table.json or a sweep.json, newest first."""
    found: dict[Path, float] = {}
    for name in (TABLE, SWEEP):
        for path in Path(workspace).glob(f"*/{name}"):
            found[path.parent] = max(found.get(path.parent, 0.0), path.stat().st_mtime)
    return sorted(found, key=lambda folder: found[folder], reverse=True)


def _read(path: Path, kind: type[File], command: str) -> File:
    if not path.is_file():
        raise UserError(f"{path.parent} has no {path.name}; `{command}` writes it.")
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path} is damaged: {where}: {first['msg'].lower()}. Run `{command}` again."
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
