"""Page Results: AP of one run or several, learning curves, precision-recall curves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from app.figures import results as figures
from app.reading import runs as loaders
from app.reading.labels import SCROLLS_FROM
from app.reading.scores import SPLITS, judged, ranking
from app.widgets import show_figure
from ccd_core.config import differences
from ccd_core.runs.run import Run

FEW = 6  # classes whose curves are shown at first
SMALL = 96  # small curves a page: 1,000 at once take a browser a minute


def compared_runs(run: Run) -> dict[str, Run]:
    """The chosen run and those picked to stand beside it; `?beside=` in the link."""
    paths = loaders.known_runs()
    others = [name for name, path in paths.items() if path != run.path]
    if not others:
        return {run.name: run}
    beside = st.multiselect(
        "Compare with other runs",
        others,
        key="beside",
        bind="query-params",
        placeholder="one run or more",
        max_selections=6,
    )
    return {run.name: run} | {name: loaders.open_run(paths[name]) for name in beside if name in paths}


def classes_part(run: Run, split: str) -> None:
    bar = st.container(horizontal=True, vertical_alignment="bottom")  # breaks into rows where it is narrow
    with bar:
        runs = compared_runs(run)
    columns = {}
    for name, one in runs.items():
        report = one.load_ap().get(split)
        if report:
            columns[name] = report["AP"]
        else:
            st.info(f"Run {name} has no scores against ground truth for {SPLITS[split]}.")
    final = (run.load_ap().get("labels") or {}).get("final")
    with bar:
        if final and st.toggle(
            "with the final labels' AP",
            key="with_labels",
            bind="query-params",
            help="Of the pseudo-labels, on the training images.",
        ):
            columns["final labels (training images)"] = final["AP"]
        choices = ["AP", "name"] + (["difference"] if len(columns) > 1 else [])
        order = st.segmented_control(
            "Sort by",
            choices,
            default=choices[-1] if len(columns) > 1 else "AP",
            required=True,
            key="sort",
            bind="query-params",
        )
    if not columns:
        return
    first = next(iter(columns.values()))
    spread = {
        c: max(v) - min(v)
        if len(v := [x for col in columns.values() if (x := col.get(c)) is not None]) > 1
        else 0.0
        for c in first
    }
    keys: dict[str, Callable[[str], str | float]] = {
        "AP": lambda c: -(first[c] if first[c] is not None else -1),
        "name": str,
        "difference": lambda c: -spread[c],
    }
    names = sorted(first, key=keys[order])
    figure = (
        figures.ap_bars(first, names, _positives(run, split))
        if len(columns) == 1
        else figures.ap_points(columns, names)
    )
    with st.container(height=SCROLLS_FROM if figure.layout.height > SCROLLS_FROM else "content"):
        show_figure(figure, key="ap")
    with st.expander("Table", expanded=len(columns) > 1):
        _table(run, columns, names)
    if len(runs) > 1:
        _settings_that_differ(runs)


def _positives(run: Run, split: str) -> dict[str, int]:
    """How many images of the split have each class; empty where the ground truth is not on this machine."""
    known = judged(run, split)
    return {} if known.targets is None else dict(zip(run.classes, known.targets.sum(0).tolist(), strict=True))


def _table(run: Run, columns: dict[str, dict[str, float | None]], names: list[str]) -> None:
    table = pd.DataFrame(
        {"class": names} | {name: [column.get(c) for c in names] for name, column in columns.items()}
    )
    values = list(columns)
    if len(values) == 2:
        table["difference"] = table[values[1]].astype(float) - table[values[0]].astype(float)
    means = pd.DataFrame(
        [{"class": "mean"} | {name: table[name].astype(float).mean() for name in table.columns[1:]}]
    )
    styled = (
        pd.concat([means, table], ignore_index=True)
        .style.format(precision=1, na_rep="-")
        .map(_heat, subset=values)
    )
    if "difference" in table:
        styled = styled.map(
            lambda value: _difference(value, max(1.0, float(table["difference"].abs().max()))),
            subset=["difference"],
        )
    st.dataframe(styled, hide_index=True, height=min(520, 36 * (len(names) + 2)))
    st.download_button(
        "Download the table as CSV",
        table.to_csv(index=False),
        f"{run.name}-ap.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _heat(value: float | None) -> str:
    """A cell's background by its AP in percent; half transparent, so that it fits light and dark."""
    return (
        ""
        if value is None or np.isnan(value)
        else f"background-color: rgba(0, 114, 178, {0.65 * (value / 100) ** 2:.2f})"
    )


def _difference(value: float | None, most: float) -> str:
    if value is None or np.isnan(value):
        return ""
    return f"background-color: rgba({'0, 158, 115' if value > 0 else '213, 94, 0'}, {0.65 * min(1, abs(value) / most):.2f})"


def _settings_that_differ(runs: dict[str, Run]) -> None:
    st.header("Settings that differ", anchor=False)
    first, *others = runs.values()
    keys = list(dict.fromkeys(key for other in others for key in differences(first.config, other.config)))
    if not keys:
        st.caption("None: the runs have the same settings.")
        return
    rows = []
    for key in keys:
        row = {"setting": key}
        for name, one in runs.items():
            value: object = one.config.model_dump(mode="json")
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            row[name] = "-" if value is None else str(value)
        rows.append(row)
    st.dataframe(rows, hide_index=True)


def curves_part(run: Run, split: str) -> None:
    runs = compared_runs(run)
    st.header("Learning curves", anchor=False)
    data = {}
    for name, one in runs.items():
        metrics = one.load_metrics()
        if len(metrics):
            best = one.load_json("checkpoints", "best.json") if one.has("checkpoints", "best.json") else None
            data[name] = (metrics, best["epoch"] if best else None)
            if best and one is run:
                st.caption(
                    f"Solid: validation; dotted: training labels. Star: the kept epoch, here {best['epoch'] + 1}: {best['kept_because']}. The choice uses no ground truth."
                )
    if data:
        show_figure(figures.runs_learning(data), key="result_curves")
    known = judged(run, split)
    if known.targets is None:
        st.caption("Precision and recall need ground truth.")
        return
    st.header("Precision and recall", anchor=False)
    st.caption(
        "Of the images labelled, how many are right (precision); of the images that have the class, how many are labelled (recall). Hover to read the threshold off."
    )
    ranked = ranking(run, split)
    present = [c for c in range(len(run.classes)) if ranked.positives[c]]
    ap = _average_precisions(run, split)
    every = st.toggle("All classes, small", key="small", bind="query-params")
    if every:
        order = sorted(present, key=lambda c: -ap[c])
        pages = max(1, -(-len(order) // SMALL))
        page = min(st.pagination(pages, key="pr_page", bind="query-params"), pages) if pages > 1 else 1
        order = order[SMALL * (page - 1) : SMALL * page]
        show_figure(
            figures.pr_grid(
                {run.classes[c]: ranked.curve(c, 120) for c in order}, {run.classes[c]: ap[c] for c in order}
            ),
            key="pr_grid",
        )
        return
    worst = [run.classes[c] for c in sorted(present, key=lambda c: ap[c])[: FEW // 2]]
    chosen = st.multiselect(
        "Classes",
        [run.classes[c] for c in present],
        default=worst,
        key="pr",
        bind="query-params",
        max_selections=12,
    )
    if chosen:
        show_figure(
            figures.pr_curves({name: ranked.curve(run.classes.index(name)) for name in chosen}),
            key="pr_curves",
        )
    else:
        st.info("Choose one or more classes above.")


def _average_precisions(run: Run, split: str) -> np.ndarray:
    report = (run.load_ap().get(split) or {}).get("AP", {})
    return np.array([(report.get(name) or 0) / 100 for name in run.classes])
