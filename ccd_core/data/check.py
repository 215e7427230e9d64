"""Examine a data set: which files are there or missing, and whether the counts match the published ones.

report = examine_dataset("voc2012:/data")
"""

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
from ccd_core.data.decoding.images import read_image
from ccd_core.data.listing.names import count_of
from ccd_core.data.sources import SOURCES, Part, Source, archives_in_words, find_base, in_a_row
from ccd_core.data.types import Boxes, Dataset, ImageList, Progress
from ccd_core.errors import ImageError, UserError

EXAMPLES = 20  # a report names at most so many missing or broken images


@dataclass(frozen=True)
class SplitReport:
    """What was found about one split.

    `published` and `agrees` are None if no count is published. The fields about labels are None if there is
    no ground truth.
    """

    images: int
    published: int | None
    agrees: bool | None
    missing: int
    missing_examples: list[str]
    repeated: int  # entries of the list whose name occurs earlier in it
    labelled: int | None = None
    without_class: int | None = None  # NUS-WIDE's "none images"
    classes_an_image: float | None = None
    boxes: int | None = None
    class_counts: dict[str, int] | None = None
    label_problem: str | None = None
    broken: int | None = None  # None if the images were not decoded
    broken_examples: dict[str, str] = field(default_factory=dict)  # {name: what is wrong with the image}


@dataclass(frozen=True)
class PartReport:
    """A file or folder of a public data set: whether it was found, and which archive holds it."""

    path: str
    found: bool
    comes_with: str
    size: str | None
    urls: list[str]


@dataclass(frozen=True)
class DatasetReport:
    """The result of `examine_dataset`.

    `problem` says why the data set could not be opened. `advice` says what to do about each thing that is
    wrong.
    """

    spec: str
    ok: bool
    problem: str | None = None
    parts: list[PartReport] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: dict[str, SplitReport] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # {name: why} of what looks like an image
    advice: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """The report as dictionaries and lists, ready for JSON."""
        return asdict(self)


def examine_dataset(
    spec: str, classes: Path | None = None, decode: bool = False, progress: Progress | None = None
) -> DatasetReport:
    """Examine a data set. Whatever is wrong with it is reported and never raised.

    `decode` also reads every image, in worker processes, and calls `progress(done, total)`. Without it, even
    a full-size data set takes only seconds.
    """
    parts = _parts(spec)
    try:
        dataset = open_dataset(spec, classes)
    except UserError as error:
        return DatasetReport(spec, ok=False, problem=str(error), parts=parts)
    broken = _broken_images(dataset, progress) if decode else None
    splits = {split: _examine_split(dataset, split, broken) for split in dataset.splits}
    advice = _advice(dataset, splits)
    return DatasetReport(
        spec,
        ok=not advice,
        parts=parts,
        classes=list(dataset.classes),
        splits=splits,
        notes=[*dataset.notes, *_notes(dataset, splits)],
        left_out=dataset.left_out,
        advice=advice,
    )


def _parts(spec: str) -> list[PartReport]:
    kind, _, place = spec.partition(":")
    if kind not in SOURCES or not place:
        return []
    source = SOURCES[kind]
    root = Path(place).expanduser()
    all_names = tuple(name for part in source.parts for name in part.names)
    base = find_base(kind, root, all_names) or root / source.places[0]
    return [_examine_part(part, base, source) for part in source.parts]


def _examine_part(part: Part, base: Path, source: Source) -> PartReport:
    paths = [base / name for name in part.names]
    found = [path for path in paths if path.exists()]
    archives = [archive for archive in source.archives if archive.name in part.comes_with]
    return PartReport(
        path=str((found or paths)[0]),
        found=bool(found),
        comes_with=part.comes_with,
        size=in_a_row([archive.size for archive in archives]) if archives else None,
        urls=[archive.urls[0] for archive in archives],
    )


def _examine_split(dataset: Dataset, split: str, broken: dict[str, dict[str, str]] | None) -> SplitReport:
    images = dataset.splits[split]
    missing = missing_images(images)
    source = SOURCES.get(_kind(dataset))
    published = source.counts[split] if source else None
    agrees = len(images) in (published, (source.also or {}).get(split)) if source else None
    unreadable = None  # images that are there but cannot be read
    if broken is not None:
        unreadable = {name: reason for name, reason in broken[split].items() if name not in missing}
    return SplitReport(
        images=len(images),
        published=published,
        agrees=agrees,
        missing=len(missing),
        missing_examples=list(islice(missing, EXAMPLES)),
        repeated=len(images) - len(set(images.ids)),
        broken=None if unreadable is None else len(unreadable),
        broken_examples=dict(islice((unreadable or {}).items(), EXAMPLES)),
        **_label_facts(dataset, split),
    )


def _label_facts(dataset: Dataset, split: str) -> dict[str, Any]:
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
    """Names of the images whose file does not exist, in the list's order. The values are all None.

    Each folder is listed once, because asking for every single file would be much slower.
    """
    files_in: dict[str, set[str]] = {}
    missing: dict[str, None] = {}
    for name, path in zip(images.ids, images.paths, strict=True):
        folder, file = os.path.split(path)
        if folder not in files_in:
            files_in[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if file not in files_in[folder]:
            missing[name] = None
    return missing


def _broken_images(dataset: Dataset, progress: Progress | None) -> dict[str, dict[str, str]]:
    """For each split, {name: what is wrong} of every image that cannot be read."""
    total = sum(map(len, dataset.splits.values()))
    done = 0
    broken: dict[str, dict[str, str]] = {}
    pool = ProcessPoolExecutor(
        max_workers=os.cpu_count(), initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    try:
        for split, images in dataset.splits.items():
            broken[split] = {}
            reasons = pool.map(_what_is_wrong, map(os.fspath, images.paths), chunksize=32)
            for name, reason in zip(images.ids, reasons, strict=True):
                if reason:
                    broken[split][name] = reason
                done += 1
                if progress:
                    progress(done, total)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, the remaining images are not read
    return broken


def _what_is_wrong(path: str) -> str | None:
    try:
        read_image(path)
    except ImageError as error:
        return str(error)
    return None


def _notes(dataset: Dataset, splits: dict[str, SplitReport]) -> list[str]:
    """One sentence for each thing that is worth knowing and not wrong."""
    notes = []
    source = SOURCES.get(_kind(dataset))
    if source and any(report.agrees and report.images != report.published for report in splits.values()):
        notes.append(f"The counts are right: {source.why_also}.")
    for split, report in splits.items():
        if report.without_class and report.labelled:
            percent = 100 * report.without_class / report.labelled
            notes.append(
                f"{report.without_class:,} images of {split} ({percent:.1f} %) show none of the classes; "
                "they stay in the data set, and all their targets are 0."
            )
        if report.repeated:
            notes.append(f"The list of {split} names {report.repeated:,} images more than once.")
    if "val" not in splits:
        return notes
    never = [name for name, count in (splits["val"].class_counts or {}).items() if not count]
    if never:
        named = ", ".join(never[:5]) + (f" and {len(never) - 5} more" if len(never) > 5 else "")
        subject = "this class has" if len(never) == 1 else "these classes have"
        notes.append(f"No image of val shows {named}; {subject} no AP.")
    in_both = set(dataset.splits["train"].ids) & set(dataset.splits["val"].ids)
    if source and in_both:
        notes.append(
            f"Train and val share {count_of(len(in_both), 'image')}; scores on val are then not those of new "
            "images."
        )
    return notes


def _advice(dataset: Dataset, splits: dict[str, SplitReport]) -> list[str]:
    """One sentence for each thing that has to be put right. The list is empty if all is well."""
    advice = []
    source = SOURCES.get(_kind(dataset))
    remedy = _remedy(_kind(dataset))
    if source and "val" not in splits:
        advice.append(f"The split val is missing, so nothing can be scored; {remedy}.")
    for split, report in splits.items():
        if report.missing:
            example = report.missing_examples[0]
            advice.append(
                f"{count_of(report.missing, 'listed image')} of {split} cannot be found, such as {example}; "
                f"{remedy}."
            )
        if report.broken:
            name, reason = next(iter(report.broken_examples.items()))
            advice.append(
                f"{count_of(report.broken, 'image')} of {split} cannot be read and will be left out of runs, "
                f"such as {name}: {reason}"
            )
        if report.agrees is False:
            advice.append(
                f"The split {split} has {report.images:,} images and {report.published:,} are published; "
                f"{remedy}."
            )
        if report.label_problem:
            advice.append(f"The labels of {split} cannot be read: {report.label_problem}")
    return advice


def _remedy(kind: str) -> str:
    """What to do about missing files of a data set of this kind."""
    source = SOURCES.get(kind)
    if source is None:
        return "look for them"
    if source.archives:
        return f"unpack {archives_in_words(kind)} again"
    return "see `ccd data fetch nuswide DIR`"


def _kind(dataset: Dataset) -> str:
    return dataset.spec.partition(":")[0]
