"""Page Train: what is found of a data set, as one line under its field, with the details folded.

The first look at a large data set takes a while (COCO's annotations are parsed), so it happens in a thread,
once for all browser tabs, and the page goes on meanwhile. `ccd data check SPEC` says the same and decodes
every image, too.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pandas as pd
import streamlit as st

from app.figures.training import class_counts
from app.reading.cached import DataKey
from app.reading.readable_folders import permitted_tree
from app.widgets import literal, show_figure
from ccd_core.data.check import DatasetReport, SplitReport, examine_dataset
from ccd_core.errors import UserError
from ccd_core.paths import split_place

PATIENCE = 0.5  # seconds that the page waits; most data sets have been looked at by then
# Row of the table -> attribute of a SplitReport.
FACTS = {
    "images": "images",
    "published": "published",
    "missing files": "missing",
    "with labels": "labelled",
    "without any class": "without_class",
    "classes an image": "classes_an_image",
    "boxes": "boxes",
}


def checked_dataset(spec: str, classes: Path | None) -> DatasetReport | None:
    """What is found, or None while it is being looked at; the page runs again when that is over."""
    try:
        for path in (*split_place(spec.partition(":")[2]), classes):
            if path:
                permitted_tree(path)
    except UserError as error:
        return DatasetReport(spec, ok=False, problem=str(error))
    future, began = _examination(DataKey.of(spec, classes))
    wait([future], PATIENCE)
    if not future.done():
        st.fragment(_wait_for, run_every=1)(future, began)
        return None
    return future.result()


def show_report(report: DatasetReport, key: str) -> None:
    """The line and, folded, the rest."""
    missing = [part for part in report.parts if not part.found]
    if report.problem:
        st.caption(f":red[:material/error: {literal(report.problem, keep_code=True)}]")
        if len(missing) == len(report.parts):
            return
    else:
        st.caption(_line(report))
        if report.advice:
            _advise(report.advice[0])
    title = "What was found"
    if len(report.advice) > 1:
        title += f", {len(report.advice) - 1} more to look at"
    with st.expander(title, icon=":material/fact_check:", key=f"found_{key}"):
        _details(report, key)


def _line(report: DatasetReport) -> str:
    splits = report.splits.values()
    icon = ":green[:material/check_circle:]" if report.ok else ":orange[:material/warning:]"
    images = ", ".join(f"{split.images:,} {name}" for name, split in report.splits.items())
    truth = "no ground truth, so no scores"
    if any(split.labelled for split in splits):
        truth = "ground truth for scores"
    published = ", counts as published" if report.ok and any(split.agrees for split in splits) else ""
    return f"{icon} {len(report.classes):,} classes, {images} images, {truth}{published}."


def _advise(sentence: str) -> None:
    st.caption(f":orange[{literal(sentence, keep_code=True)}]")


def _details(report: DatasetReport, key: str) -> None:
    for sentence in report.advice[1:]:
        _advise(sentence)
    if report.splits:
        left, right = st.columns([2, 3])
        left.dataframe(_table(report.splits), width="stretch")
        with right:
            _classes_and_absent_files(report, key)
    for part in report.parts:
        icon = ":green[:material/check:]" if part.found else ":red[:material/close:]"
        text = f"{icon} {literal(f'`{part.path}`', keep_code=True)}"
        if not part.found:
            text += f" comes with {literal(part.comes_with)}"
            text += f", {part.size}" if part.size else ""
        st.caption(text)
    for note in report.notes:
        st.caption(literal(note, keep_code=True))
    left, right = st.columns([1, 4], vertical_alignment="center")
    left.button(
        "Look again",
        icon=":material/refresh:",
        key=f"look_{key}",
        on_click=_examination.clear,
        width="stretch",
    )
    right.caption(
        "`ccd data check` decodes every image, too, as the run does when it begins; "
        "the run leaves out what it cannot read."
    )


def _classes_and_absent_files(report: DatasetReport, key: str) -> None:
    counts = {name: split.class_counts for name, split in report.splits.items() if split.class_counts}
    absent = [name for split in report.splits.values() for name in split.missing_examples]
    if counts:
        show_figure(class_counts(counts), key=f"counts_{key}")
    else:
        st.caption("How many images show each class is not known: there is no ground truth.")
    if absent:
        st.caption(f"Files that are not there, the first {len(absent)}:")
        st.code("\n".join(absent), language=None, height=160)


def _table(splits: dict[str, SplitReport]) -> pd.DataFrame:
    """One column a split, one row a fact."""

    def count(number: float | None) -> str:
        if number is None:
            return "–"
        return f"{number:,.2f}" if isinstance(number, float) else f"{number:,}"

    return pd.DataFrame(
        {
            name: {label: count(getattr(split, fact)) for label, fact in FACTS.items()}
            for name, split in splits.items()
        }
    )


# -- looked at once, beside the page -----------------------------------------------------------------------


@st.cache_resource(max_entries=32, ttl=900, show_spinner=False)
def _examination(key: DataKey) -> tuple[Future[DatasetReport], float]:
    """What is being found, and when it was begun."""
    classes = Path(key.classes) if key.classes else None
    return _threads().submit(_examine, key.spec, classes), time.time()


@st.cache_resource(show_spinner=False)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="data set")


def _examine(spec: str, classes: Path | None) -> DatasetReport:
    try:
        return examine_dataset(spec, classes)
    except OSError as error:
        problem = f"{error.filename or spec} cannot be read: {error.strerror}."
        return DatasetReport(spec, ok=False, problem=problem)


def _wait_for(future: Future[DatasetReport], began: float) -> None:
    if future.done():
        st.rerun()
    st.caption(
        f":material/hourglass_top: Looking at the data set, {time.time() - began:.0f} s. The first time "
        "takes seconds, for COCO's annotations up to a minute; after that it is remembered. Settings can be "
        "changed meanwhile."
    )
