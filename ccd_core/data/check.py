"""What is there of a data set, what is missing, and do the counts agree with the published ones: `examine_dataset("voc2012:/data")`."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.data import open_dataset
from ccd_core.data.images import read_image
from ccd_core.data.sources import SOURCES, archives_in_words, find_base, in_a_row
from ccd_core.data.types import Boxes, Dataset, ImageList, Progress
from ccd_core.errors import ImageError, UserError

EXAMPLES = 20  # of missing or broken images that a report names


@dataclass(frozen=True)
class SplitReport:
    """One split. `published` and `agrees` are None where nobody has published a count; the rest is None without ground truth."""

    images: int
    published: int | None
    agrees: bool | None
    missing: int
    missing_examples: list[str]
    repeated: int  # names that are listed more than once
    labelled: int | None = None
    without_class: int | None = None  # NUS-WIDE's "none images"
    classes_an_image: float | None = None
    boxes: int | None = None
    class_counts: dict[str, int] | None = None
    label_problem: str | None = None
    broken: int | None = None  # None where images were not decoded
    broken_examples: dict[str, str] = field(default_factory=dict)  # name: what is wrong


@dataclass(frozen=True)
class PartReport:
    """A file or folder of a public data set: is it there, what does it come with, and from where."""

    path: str
    found: bool
    comes_with: str
    size: str | None
    urls: list[str]


@dataclass(frozen=True)
class DatasetReport:
    """The whole examination. `problem` says why the data set could not be opened; `advice` what to do about what was found."""

    spec: str
    ok: bool
    problem: str | None = None
    parts: list[PartReport] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: dict[str, SplitReport] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def examine_dataset(
    spec: str, classes: Path | None = None, decode: bool = False, progress: Progress | None = None
) -> DatasetReport:
    """Look at a data set; never raises for what is wrong with it, but says so in the report.

    `decode` reads every image too, in worker processes, and reports `progress(done, total)`; without it a full-size data set takes seconds.
    """
    parts = _parts(spec)
    try:
        dataset = open_dataset(spec, classes)
    except UserError as error:
        return DatasetReport(spec, ok=False, problem=str(error), parts=parts)
    broken = _broken_images(dataset, progress) if decode else None
    splits = {split: _examine_split(dataset, split, broken) for split in dataset.splits}
    notes, advice = _notes(dataset, splits), _advice(dataset, splits)
    return DatasetReport(spec, not advice, None, parts, list(dataset.classes), splits, notes, advice)


def _parts(spec: str) -> list[PartReport]:
    kind, _, place = spec.partition(":")
    if kind not in SOURCES or not place:
        return []
    source, root = SOURCES[kind], Path(place).expanduser()
    base = (
        find_base(kind, root, tuple(name for part in source.parts for name in part.names))
        or root / source.places[0]
    )
    reports = []
    for part in source.parts:
        there = [base / name for name in part.names if (base / name).exists()]
        archives = [archive for archive in source.archives if archive.name in part.comes_with]
        size = in_a_row([archive.size for archive in archives]) if archives else None
        reports.append(
            PartReport(
                str((there or [base / part.names[0]])[0]),
                bool(there),
                part.comes_with,
                size,
                [one.urls[0] for one in archives],
            )
        )
    return reports


def _examine_split(dataset: Dataset, split: str, broken: dict[str, dict[str, str]] | None) -> SplitReport:
    images, source = dataset.splits[split], SOURCES.get(_kind(dataset))
    published = source.counts[split] if source else None
    right = {published, (source.also or {}).get(split)} if source else set()
    missing = missing_images(images)
    wrong = (
        None
        if broken is None
        else {name: reason for name, reason in broken[split].items() if name not in missing}
    )
    return SplitReport(
        images=len(images),
        published=published,
        agrees=None if published is None else len(images) in right,
        missing=len(missing),
        missing_examples=list(islice(missing, EXAMPLES)),
        repeated=len(images) - len(set(images.ids)),
        broken=None if wrong is None else len(wrong),
        broken_examples=dict(islice((wrong or {}).items(), EXAMPLES)),
        **_labels(dataset, split),
    )


def _labels(dataset: Dataset, split: str) -> dict[str, Any]:
    try:
        truth = dataset.ground_truth(split)
    except UserError as error:
        return {"label_problem": str(error)}
    if truth is None:
        return {}
    positives = truth.targets.sum(axis=0, dtype=np.int64).tolist()
    return {
        "labelled": len(truth.ids),
        "without_class": int((truth.targets.max(axis=1) == 0).sum()),
        "classes_an_image": sum(positives) / len(truth.ids),
        "boxes": len(truth.boxes.classes) if isinstance(truth.boxes, Boxes) else None,
        "class_counts": dict(zip(dataset.classes, positives, strict=True)),
    }


def missing_images(images: ImageList) -> dict[str, None]:
    """Names of the images whose file is not there, in the list's order; folders are listed once instead of asking for every file."""
    there: dict[str, set[str]] = {}
    missing: dict[str, None] = {}
    for name, path in zip(images.ids, images.paths, strict=True):
        folder, file = os.path.split(path)
        if folder not in there:
            there[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if file not in there[folder]:
            missing[name] = None
    return missing


def _broken_images(dataset: Dataset, progress: Progress | None) -> dict[str, dict[str, str]]:
    """Per split, what is wrong with every image that cannot be read."""
    total, done = sum(map(len, dataset.splits.values())), 0
    broken: dict[str, dict[str, str]] = {}
    pool = ProcessPoolExecutor(
        max_workers=os.cpu_count(), initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    try:
        for split, images in dataset.splits.items():
            broken[split] = {}
            for name, reason in zip(
                images.ids, pool.map(_what_is_wrong, map(str, images.paths), chunksize=32), strict=True
            ):
                if reason:
                    broken[split][name] = reason
                done += 1
                if progress:
                    progress(done, total)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the images that are left
    return broken


def _what_is_wrong(path: str) -> str | None:
    try:
        read_image(path)
    except ImageError as error:
        return str(error)
    return None


def _notes(dataset: Dataset, splits: dict[str, SplitReport]) -> list[str]:
    notes, source = [], SOURCES.get(_kind(dataset))
    if source and any(report.agrees and report.images != report.published for report in splits.values()):
        notes.append(f"The counts are right: {source.why_also}.")
    for split, report in splits.items():
        if report.without_class and report.labelled:
            notes.append(
                f"{report.without_class:,} images of {split} ({100 * report.without_class / report.labelled:.1f} %) show none of the classes; "
                "they stay, and everything is false of them."
            )
        if report.repeated:
            notes.append(f"The list of {split} names {report.repeated:,} images more than once.")
    never = (
        [name for name, count in (splits["val"].class_counts or {}).items() if not count]
        if "val" in splits
        else []
    )
    if never:
        named = ", ".join(never[:5]) + (f" and {len(never) - 5} more" if len(never) > 5 else "")
        notes.append(
            f"No image of val shows {named}: {'this class has' if len(never) == 1 else 'these classes have'} no AP."
        )
    if (
        source
        and "val" in splits
        and (both := set(dataset.splits["train"].ids) & set(dataset.splits["val"].ids))
    ):
        notes.append(
            f"{len(both):,} images are in train and in val; scores on val are then not those of new images."
        )
    return notes


def _advice(dataset: Dataset, splits: dict[str, SplitReport]) -> list[str]:
    """One sentence for each thing to put right; none means that all is well."""
    kind, advice = _kind(dataset), []
    source = SOURCES.get(kind)
    where = (
        f"unpack {archives_in_words(kind)} again"
        if source and source.archives
        else "see `ccd data fetch nuswide DIR`"
        if source
        else "look for them"
    )
    if source and "val" not in splits:
        advice.append(f"The split val is not there, so that nothing can be scored; {where}.")
    for split, report in splits.items():
        if report.missing:
            advice.append(
                f"{report.missing:,} listed images of {split} are not there, such as {report.missing_examples[0]}; {where}."
            )
        if report.broken:
            name, reason = next(iter(report.broken_examples.items()))
            advice.append(
                f"{report.broken:,} images of {split} cannot be read and will be left out of runs, such as {name}: {reason}"
            )
        if report.agrees is False:
            advice.append(
                f"The split {split} has {report.images:,} images and {report.published:,} are published; {where}."
            )
        if report.label_problem:
            advice.append(f"The labels of {split} cannot be read: {report.label_problem}")
    return advice


def _kind(dataset: Dataset) -> str:
    return dataset.spec.partition(":")[0]
