"""The part of a report that compares several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ccd_core.config import differences
from ccd_core.report import charts
from ccd_core.report.markup import note, section, table
from ccd_core.report.one_run import ROWS, SPLITS, duration, main_scores
from ccd_core.runs.run import Run

NOT_COMPARED = ("data.workers", "data.cache_gb", "device")


def comparison(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Scores, curves, classes and settings of the runs, side by side. names: one for each run."""
    return [
        _scores(runs, names),
        *_curves(runs, names),
        *_classes(runs, names),
        _settings(runs, names),
    ]


def _scores(runs: Sequence[Run], names: Sequence[str]) -> str:
    rows = []
    for run, name in zip(runs, names, strict=True):
        labels = run.load_ap().get("labels") or {}
        found: list[Any] = [labels.get("global"), labels.get("final")]
        found += [run.load_scores_of(split) for split in ("train", "val")]
        best = run.load_best()
        rows.append(
            (
                name,
                *("-" if one is None else f"{one['mAP']:.1f}" for one in found),
                best["epoch"] + 1 if best else "-",
                duration(run) if run.state.get("seconds") else "-",
            )
        )
    head = (
        "run",
        "CLIP alone",
        "final labels",
        "classifier, train",
        "classifier, validation",
        "epoch",
        "time",
    )
    return section("Scores", table(head, rows), lead="mAP against ground truth, in percent.")


def _curves(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    curves = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        metrics = run.load_metrics()
        if not len(metrics):
            continue
        column = "val_map" if metrics["val_map"].notna().any() else "train_map"
        known = metrics[metrics[column].notna()]
        if len(known):
            best = run.load_best()
            found = list(zip((known["epoch"] + 1).tolist(), known[column].tolist(), strict=True))
            kept = best["epoch"] + 1 if best else None
            curves.append(charts.Line(name, charts.colour_of(place), found, kept))
    if not curves:
        return []
    chart = charts.lines(curves, "epoch", "mAP (%)", "Learning curves of the runs")
    lead = (
        "mAP on validation, or on the training labels where nothing is held out; rings are the kept epochs."
    )
    return [section("Learning curves", chart, lead=lead)]


def _classes(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    measured = [
        (name, run.load_scores_of(scores[0]))
        for run, name in zip(runs, names, strict=True)
        if (scores := main_scores(run))
    ]
    columns = [(name, report["AP"]) for name, report in measured if report]
    if not columns:
        return []
    classes = list(dict.fromkeys(name for _, column in columns for name in column))

    def spread(name: str) -> float:
        known = [value for _, column in columns if (value := column.get(name)) is not None]
        return max(known) - min(known) if len(known) > 1 else -1.0

    ordered = sorted(classes, key=lambda name: -spread(name))
    shown = ordered[:ROWS]
    chart = charts.points(
        shown,
        [(title, [column.get(name) for name in shown]) for title, column in columns],
        "Points: average precision of each class in each run, joined by a line",
    )
    splits = {scores[0] for run in runs if (scores := main_scores(run))}
    measured_on = " or ".join(title for split, title in SPLITS.items() if split in splits)
    lead = f"AP in percent, on {measured_on}; the classes in which the runs differ most come first."
    said = (
        ""
        if len(classes) <= ROWS
        else note(f"{len(classes) - ROWS:,} classes that differ less are not drawn.")
    )
    return [section("Average precision by class", chart, said, lead=lead)]


def _settings(runs: Sequence[Run], names: Sequence[str]) -> str:
    """The settings in which a run differs from the first, without paths."""
    shared = [run.config.without_paths() for run in runs]
    keys = list(dict.fromkeys(key for other in shared[1:] for key in differences(shared[0], other)))
    rows = []
    for key in keys:
        if key in NOT_COMPARED:
            continue
        rows.append((key, *(_value(config.model_dump(mode="json"), key) for config in shared)))
    title = "Settings that differ"
    if not rows:
        return section(title, lead="The runs have the same settings.")
    return section(title, table(("setting", *names), rows, numbers_from=len(names) + 1))


def _value(settings: dict[str, Any], key: str) -> str:
    value: Any = settings
    for part in key.split("."):
        value = value.get(part, "-") if isinstance(value, dict) else "-"
    return str(value)
