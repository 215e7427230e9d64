"""Page Results: learning curves, and precision against recall."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import state
from app.figures.curves import pr_curves, pr_grid, runs_learning
from app.parts.results.classes import compared_runs
from app.reading.scores import scored, sorted_scores
from app.widgets import pick_page, show_figure
from ccd_core.evaluation.sorted_scores import SortedScores
from ccd_core.runs.run import Run

FEW = 6  # classes whose curves are shown at first, the worst half of them
MOST = 12  # classes in one figure
SMALL = 96  # small curves a page: 1,000 at once take a browser a minute
SMALL_POINTS = 120  # of a small curve


def curves_part(run: Run, split: str) -> None:
    """Learning curves of one run or several, and precision-recall curves of the chosen one."""
    runs = compared_runs(run)
    st.header("Learning curves", anchor=False)
    _learning_curves(run, runs)
    if scored(run, split).targets is None:
        st.caption("Precision and recall need ground truth.")
        return
    st.header("Precision and recall", anchor=False)
    st.caption(
        "Of the images labelled, how many are right (precision); of the images that have the class, how many "
        "are labelled (recall). Hover to read the threshold off."
    )
    scores = sorted_scores(run, split)
    ap = _average_precisions(run, split)
    present = [c for c in range(len(run.classes)) if scores.positives[c]]
    if st.toggle("All classes, small", key=state.SMALL_CURVES, bind="query-params"):
        _small_curves(run, scores, ap, present)
    else:
        _curves_of_classes(run, scores, ap, present)


def _learning_curves(run: Run, runs: dict[str, Run]) -> None:
    data: dict[str, tuple[pd.DataFrame, int | None]] = {}
    for name, one in runs.items():
        metrics = one.load_metrics()
        if not len(metrics):
            continue
        best = one.load_json("checkpoints", "best.json") if one.has("checkpoints", "best.json") else None
        data[name] = (metrics, best["epoch"] if best else None)
        if best and one is run:
            st.caption(
                "Solid: validation; dotted: training labels. "
                f"Star: the kept epoch, here {best['epoch'] + 1}: {best['kept_because']}. "
                "The choice uses no ground truth."
            )
    if data:
        show_figure(runs_learning(data), key="result_curves")


def _average_precisions(run: Run, split: str) -> list[float]:
    """AP of each class as the run measured it, 0 where it did not."""
    report = run.load_scores_of(split)
    measured = report["AP"] if report else {}
    return [(measured.get(name) or 0) / 100 for name in run.classes]


def _small_curves(run: Run, scores: SortedScores, ap: list[float], present: list[int]) -> None:
    order = sorted(present, key=lambda c: -ap[c])
    page = pick_page(max(1, -(-len(order) // SMALL)), state.CURVES_PAGE)
    order = order[SMALL * (page - 1) : SMALL * page]
    curves = {run.classes[c]: scores.curve(c, SMALL_POINTS) for c in order}
    show_figure(pr_grid(curves, {run.classes[c]: ap[c] for c in order}), key="pr_grid")


def _curves_of_classes(run: Run, scores: SortedScores, ap: list[float], present: list[int]) -> None:
    worst = sorted(present, key=lambda c: ap[c])[: FEW // 2]
    chosen = st.multiselect(
        "Classes",
        [run.classes[c] for c in present],
        default=[run.classes[c] for c in worst],
        key=state.CURVE_CLASSES,
        bind="query-params",
        max_selections=MOST,
    )
    if chosen:
        curves = {name: scores.curve(run.classes.index(name)) for name in chosen}
        show_figure(pr_curves(curves), key="pr_curves")
    else:
        st.info("Choose one or more classes above.")
