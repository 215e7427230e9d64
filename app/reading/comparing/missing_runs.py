"""The runs that a comparison lacks: which they are, with which settings, and how they are started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.reading.comparing.comparisons import Scored, opened, run_folder
from ccd_core.baselines.tables import SeedResult, TableRow
from ccd_core.comparison.plan import PlannedRun
from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.jobs import control
from ccd_core.runs.run import Run


def missing_runs(rows: Sequence[Scored]) -> list[tuple[Scored, SeedResult]]:
    """The runs that have not finished and that no process works on."""
    return [
        (row, result)
        for row in rows
        for result in row.runs
        if not result.done and result.status not in ("running", "queued", "finished")
    ]


def settings_source(folder: Path, rows: Sequence[Scored]) -> Run | None:
    """The run whose settings the missing ones get; None where the comparison has none that fits.

    Of a table it is CCD's, or that of another method with the settings that all have in common; of a sweep,
    one with the base settings.
    """
    fit = [row for row in rows if isinstance(row, TableRow) or row.is_base]
    for row in sorted(fit, key=lambda row: isinstance(row, TableRow) and row.method != "ccd"):
        for result in row.runs:
            run = opened(folder, result)
            if run is not None and (run.config.method.recipe == "common" or run.config.method.name == "ccd"):
                return run
    return None


def plan_missing(folder: Path, rows: Sequence[Scored]) -> list[PlannedRun]:
    """The missing runs, the first seed of every row first, with the comparison's settings.

    A run that has begun keeps its own settings. Another one gets those of another seed of its row, or else
    those of `settings_source` with the row's method or changes. Raises UserError if there is no such run, or
    if a row's changes are no settings.
    """
    source = settings_source(folder, rows)
    planned = [
        PlannedRun(
            row.method if isinstance(row, TableRow) else row.label,
            result.seed,
            run_folder(folder, result),
            _settings_of(folder, row, result, source),
        )
        for row, result in missing_runs(rows)
    ]
    seeds = list(dict.fromkeys(one.seed for one in planned))
    return sorted(planned, key=lambda one: seeds.index(one.seed))


def _settings_of(folder: Path, row: Scored, result: SeedResult, source: Run | None) -> CCDConfig:
    own = opened(folder, result)
    if own is not None:
        return own.config
    for other in row.runs:
        if (run := opened(folder, other)) is not None:
            return run.config.changed(seed=result.seed)
    if source is None:
        raise UserError(
            f"The comparison {folder.name} has no run whose settings the missing ones could have; the "
            "command that made it starts them."
        )
    if isinstance(row, TableRow):
        recipe = "own" if row.recipe == "own" else "common"
        return source.config.with_method(row.method, recipe).changed(seed=result.seed)
    return source.config.changed(**_nested(row.changes)).changed(seed=result.seed)


def _nested(changes: dict[str, Any]) -> dict[str, Any]:
    """{"labels.alpha": 0.2} as {"labels": {"alpha": 0.2}}."""
    nested: dict[str, Any] = {}
    for name, value in changes.items():
        *sections, last = name.split(".")
        target = nested
        for section in sections:
            target = target.setdefault(section, {})
        target[last] = value
    return nested


def start_runs(planned: Sequence[PlannedRun]) -> None:
    """Hand runs to the jobs queue of this machine, on the device that is chosen for them there.

    Each waits for the ones before it on its device. Raises UserError if one cannot be started; those before
    it then wait or run.
    """
    for one in planned:
        if (one.path / "config.yaml").is_file():
            control.resume(one.path)
        else:
            control.start(one.config.changed(device="auto"), one.path)
