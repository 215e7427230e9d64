"""The comparisons that the app shows: tables and sweeps of the workspace, and those that ship with CCD.

A comparison's folder may come from somebody else. So it is read by `ccd_core.baselines.tables`, which checks
it, and a run that it names is looked for in the folder itself and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from app.reading import readable_folders
from app.reading.cached import cached_by
from app.reading.runs import open_run
from ccd_core.baselines import tables
from ccd_core.baselines.tables import SWEEP, TABLE, SeedResult, SweepFile, SweepPoint, TableFile, TableRow
from ccd_core.comparison.collect import seed_result
from ccd_core.comparison.plan import PlannedRun
from ccd_core.config import TAKEN_OUT
from ccd_core.errors import UserError
from ccd_core.paths import DEMO_RUN
from ccd_core.runs.run import Run

SHIPPED = DEMO_RUN.parent
MOST_BYTES = 64 * 2**20  # of a table.json or sweep.json; 19 methods, 3 seeds and 80 classes need 0.2 MB
MOST_RUNS = 2000  # of a table or a sweep
Scored = TableRow | SweepPoint
Row = TypeVar("Row", TableRow, SweepPoint)


# -- which comparisons there are ---------------------------------------------------------------------------


def places() -> list[Path]:
    """The folders whose comparisons are shown: the workspace and the folder `comparisons` beside it.

    An app that others reach reads its workspace only.
    """
    workspace = readable_folders.workspace()
    shared = readable_folders.readable_folders() is not None
    return [workspace] if shared else [workspace, workspace.parent / "comparisons"]


def known_comparisons() -> dict[str, Path]:
    """Name -> folder of every comparison: those of `places`, newest first, then those that ship.

    Of those that ship, tables stand first.
    """
    found: dict[str, Path] = {}
    shipped = sorted(tables.comparisons(SHIPPED), key=lambda folder: (not has_table(folder), folder.name))
    for folder in [*(one for place in places() for one in tables.comparisons(place)), *shipped]:
        found.setdefault(folder.name, folder)
    return found


def has_table(folder: Path) -> bool:
    return (folder / TABLE).is_file()


def has_sweep(folder: Path) -> bool:
    return (folder / SWEEP).is_file()


# -- what they hold ----------------------------------------------------------------------------------------


@cached_by(max_entries=16)
def _table(file: Path) -> TableFile:
    _refuse_large(file)
    found = tables.read_table(file.parent)
    _refuse_long(file, found.rows)
    return found


@cached_by(max_entries=16)
def _sweep(file: Path) -> SweepFile:
    _refuse_large(file)
    found = tables.read_sweep(file.parent)
    _refuse_long(file, found.points)
    return found


def _refuse_large(file: Path) -> None:
    try:
        size = file.stat().st_size
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from None
    if size > MOST_BYTES:
        raise UserError(
            f"{file} has {size / 2**20:,.0f} MiB, and no comparison has more than {MOST_BYTES / 2**20:.0f}; "
            "it is not read."
        )


def _refuse_long(file: Path, rows: Sequence[Scored]) -> None:
    if (count := sum(len(row.runs) for row in rows)) > MOST_RUNS:
        raise UserError(f"{file} names {count:,} runs, and the page shows at most {MOST_RUNS:,}.")


def table_now(folder: Path) -> TableFile:
    """table.json, with the runs that have gone on since it was written as they are now.

    Raises UserError if the file is damaged.
    """
    table = _table(folder / TABLE)
    return table.model_copy(update={"rows": tuple(_now(row, folder) for row in table.rows)})


def sweep_now(folder: Path) -> SweepFile:
    """sweep.json, with the runs that have gone on since it was written as they are now.

    Raises UserError if the file is damaged.
    """
    sweep = _sweep(folder / SWEEP)
    return sweep.model_copy(update={"points": tuple(_now(point, folder) for point in sweep.points)})


def _now(row: Row, folder: Path) -> Row:
    return row.model_copy(update={"runs": tuple(_result_now(result, folder) for result in row.runs)})


def _result_now(result: SeedResult, folder: Path) -> SeedResult:
    """A run that was not done, as it is now; a finished one is read once."""
    if result.done:
        return result
    try:
        path = run_folder(folder, result)
        if not (path / "config.yaml").is_file():
            return result.model_copy(update={"status": "created"})
        run = open_run(path)
        if run.status == "finished":
            return _finished(run, result.seed, folder)
        return result.model_copy(update={"status": run.status, "error": run.state.get("error")})
    except UserError as error:
        return result.model_copy(update={"status": "failed", "error": str(error)})


@cached_by("scores/ap.json", "state.json", max_entries=256)
def _finished(run: Run, seed: int, _folder: Path) -> SeedResult:
    return seed_result(PlannedRun("", seed, run.path, run.config), _folder.resolve())


def run_folder(folder: Path, result: SeedResult) -> Path:
    """Where a run of the comparison lies. Raises UserError for a place outside of the folder."""
    name = PurePosixPath(result.run)
    inside = bool(name.parts) and not name.is_absolute() and ".." not in name.parts and "\0" not in result.run
    base = folder.resolve()
    path = base.joinpath(*name.parts)
    if not inside or not Path(os.path.realpath(path)).is_relative_to(base):
        raise UserError(f"The comparison {folder.name} names a run outside of its folder, {result.run!r}.")
    return path


def first_run(folder: Path, row: Scored) -> Run | None:
    """The first run of a row that has finished and lies in the comparison's folder; None without one."""
    for result in row.runs:
        if result.done and (run := opened(folder, result)) is not None and run.status == "finished":
            return run
    return None


def opened(folder: Path, result: SeedResult) -> Run | None:
    """A run of the comparison, whatever its status; None if it is not there or cannot be read."""
    try:
        return open_run(run_folder(folder, result))
    except UserError:
        return None


def data_set_name(comparison: TableFile | SweepFile) -> str:
    """The data set as a reader knows it: its kind, where its path was left out."""
    return comparison.dataset.removesuffix(f":{TAKEN_OUT}")


def row_titles(rows: Sequence[Scored]) -> list[str]:
    """A title for each row, with a number where two rows have the same."""
    titles: list[str] = []
    for row in rows:
        title = row.title if isinstance(row, TableRow) else row.label
        titles.append(f"{title} ({len(titles) + 1})" if title in titles else title)
    return titles
