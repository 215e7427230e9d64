"""What is found of a data set, under its field on the page Train: one line with a tick or a warning, and the details folded.

The first look at a large data set takes a while (COCO's annotations are parsed), so it happens in a thread, once for all browser tabs,
and the page goes on meanwhile. `ccd data check SPEC` says the same and decodes every image, too.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pandas as pd
import streamlit as st

from app.figures import theme as figures
from app.reading import ground_truth as datasets
from app.reading import readable_folders as roots
from app.widgets import show_figure
from ccd_core.data.check import DatasetReport, SplitReport, examine_dataset
from ccd_core.errors import UserError

PATIENCE = 0.5  # seconds that the page waits; most data sets have been looked at by then


def checked_dataset(spec: str, classes: Path | None) -> DatasetReport | None:
    """What is found, or None while it is being looked at; the page comes again when that is over."""
    try:
        place = spec.partition(":")[2]
        for path in [place, classes]:
            if path:
                roots.permitted(path)
    except UserError as error:
        return DatasetReport(spec, ok=False, problem=str(error))
    future, began = _examination(spec, str(classes) if classes else None, datasets.changes(spec, classes))
    wait([future], PATIENCE)
    if not future.done():
        st.fragment(_come_again, run_every=1)(future, began)
        return None
    return future.result()


def show_report(report: DatasetReport, key: str) -> None:
    """The line and, folded, the rest."""
    missing = [part for part in report.parts if not part.found]
    if report.problem:
        st.caption(f":red[:material/error: {report.problem}]")
        if len(missing) == len(report.parts):
            return
    else:
        words = f"{len(report.classes):,} classes, {', '.join(f'{one.images:,} {split}' for split, one in report.splits.items())} images"
        truth = (
            "ground truth for scores"
            if any(one.labelled for one in report.splits.values())
            else "no ground truth, so no scores"
        )
        published = (
            ", counts as published" if any(one.agrees for one in report.splits.values()) and report.ok else ""
        )
        st.caption(
            f"{':green[:material/check_circle:]' if report.ok else ':orange[:material/warning:]'} {words}, {truth}{published}."
        )
        if report.advice:
            st.caption(f":orange[{report.advice[0]}]")
    more = f", {len(report.advice) - 1} more to look at" if len(report.advice) > 1 else ""
    with st.expander(f"What was found{more}", icon=":material/fact_check:", key=f"found_{key}"):
        _details(report, key)


def _details(report: DatasetReport, key: str) -> None:
    for sentence in report.advice[1:]:
        st.caption(f":orange[{sentence}]")
    counts = {split: one.class_counts for split, one in report.splits.items() if one.class_counts}
    absent = [name for one in report.splits.values() for name in one.missing_examples]
    if report.splits:
        left, right = st.columns([2, 3])
        left.dataframe(_table(report.splits), width="stretch")
        with right:
            if counts:
                show_figure(figures.class_counts(counts), key=f"counts_{key}")
            else:
                st.caption("How many images show each class is not known: there is no ground truth.")
            if absent:
                st.caption(f"Files that are not there, the first {len(absent)}:")
                st.code("\n".join(absent), language=None, height=160)
    for part in report.parts:
        comes = "" if part.found else f" comes with {part.comes_with}{f', {part.size}' if part.size else ''}"
        st.caption(
            f"{':green[:material/check:]' if part.found else ':red[:material/close:]'} `{part.path}`{comes}"
        )
    for note in report.notes:
        st.caption(note)
    left, right = st.columns([1, 4], vertical_alignment="center")
    left.button(
        "Look again",
        icon=":material/refresh:",
        key=f"look_{key}",
        on_click=_examination.clear,
        width="stretch",
    )
    right.caption(
        "`ccd data check` decodes every image, too, as the run does when it begins; the run leaves out what it cannot read."
    )


def _table(splits: dict[str, SplitReport]) -> pd.DataFrame:
    """One column a split, one row a fact."""

    def count(number: float | None) -> str:
        return "–" if number is None else f"{number:,.2f}" if isinstance(number, float) else f"{number:,}"

    facts = {
        "images": "images", "published": "published", "missing files": "missing", "with labels": "labelled", "without any class": "without_class",
        "classes an image": "classes_an_image", "boxes": "boxes",
    }  # fmt: skip
    return pd.DataFrame(
        {
            split: {label: count(getattr(one, name)) for label, name in facts.items()}
            for split, one in splits.items()
        }
    )


# -- looked at once, beside the page ----------------------------------------------------------------


@st.cache_resource(max_entries=32, ttl=900, show_spinner=False)
def _examination(
    spec: str, classes: str | None, changed: tuple[int, ...]
) -> tuple[Future[DatasetReport], float]:
    """What is being found, and when it was begun."""
    return _threads().submit(_look, spec, Path(classes) if classes else None), time.time()


@st.cache_resource(show_spinner=False)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="data set")


def _look(spec: str, classes: Path | None) -> DatasetReport:
    try:
        return examine_dataset(spec, classes)
    except OSError as error:
        return DatasetReport(
            spec, ok=False, problem=f"{error.filename or spec} cannot be read: {error.strerror}."
        )


def _come_again(future: Future[DatasetReport], began: float) -> None:
    if future.done():
        st.rerun()
    st.caption(
        f":material/hourglass_top: Looking at the data set, {time.time() - began:.0f} s. The first time takes seconds, for COCO's annotations up to a "
        "minute; after that it is remembered. Settings can be changed meanwhile."
    )
