"""Which runs a comparison needs, and which of them are missing. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ccd_core.baselines.registry import METHODS
from ccd_core.config import CCDConfig, nested_changes
from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

RUNS = "runs"


@dataclass(frozen=True)
class PlannedRun:
    """One run of a comparison. row: the method, or the point of a sweep, that it belongs to."""

    row: str
    seed: int
    path: Path
    config: CCDConfig

    @property
    def run(self) -> Run | None:
        """The run that is there; None if there is none, or one that cannot be read."""
        if not (self.path / "config.yaml").is_file():
            return None
        try:
            return Run.open(self.path)
        except UserError:
            return None  # whoever computes it says why

    @property
    def finished(self) -> bool:
        return (run := self.run) is not None and run.status == "finished"

    def create(self) -> Run:
        """The run's folder, made if it is not there.

        Raises UserError if the folder has a run with other settings.
        """
        classes = open_dataset(self.config.data.spec, self.config.data.classes).classes
        return Run.create(self.path, self.config, classes)


def preset_of_runs(out: Path) -> str | None:
    """The preset of the runs that a comparison has begun with; None where there are none that can be read."""
    for settings in sorted((out / RUNS).glob("*/config.yaml")):
        with suppress(UserError):
            return Run.open(settings.parent).config.preset_name
    return None


def table_runs(
    base: CCDConfig,
    methods: Sequence[str],
    seeds: Sequence[int],
    recipe: str,
    out: Path,
    changes: Sequence[str] = (),
) -> list[PlannedRun]:
    """The runs of a table, the first seed of every method first.

    base: the settings that all have in common. changes: such as "training.epochs=3", which win over a recipe,
    too; those of the section `method` are the base's. Raises UserError for a method that does not exist.
    """
    for name in methods:
        if name not in METHODS:
            raise UserError(f"There is no method {name!r}; the methods are {', '.join(METHODS)}.")
    if recipe not in ("common", "own"):
        raise UserError(f"There is no recipe {recipe!r}; use common or own.")
    common = {section: values for section, values in nested_changes(changes).items() if section != "method"}
    planned = []
    for seed in seeds:
        for name in (name for name in METHODS if name in methods):
            if not METHODS[name].trains and seed != seeds[0]:
                continue  # nothing in it is random
            config = base.with_method(name, recipe if METHODS[name].trains else "common")
            config = config.changed(**common)
            path = out / RUNS / f"{name}-{seed}"
            planned.append(PlannedRun(name, seed, path, config.changed(seed=seed)))
    return planned


def missing(planned: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Those that have not finished."""
    return [one for one in planned if not one.finished]
