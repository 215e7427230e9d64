"""`ccd settings` and `ccd doctor`: every setting with its meaning, and what this machine has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ccd_core.cli.options import DATASETS, Changes, ClassesFile, ConfigFile, DatasetSpec, Json
from ccd_core.cli.text import console, say
from ccd_core.errors import UserError

if TYPE_CHECKING:
    from ccd_core.machine.doctor import Finding


def settings(
    preset: Annotated[
        str | None, typer.Option(help="demo, paper, reference, best, laptop or offline. Without it: paper.")
    ] = None,
    dataset: DatasetSpec = None,
    classes: ClassesFile = None,
    config: ConfigFile = None,
    changes: Changes = None,
) -> None:
    """Print every setting of a preset and what it means, as YAML that --config of `ccd run` takes.

    ccd settings --preset paper > mine.yaml
    """
    from ccd_core.config import load_config

    print(load_config(preset, config, changes, dataset, classes).explained())


def doctor(
    dataset: Annotated[
        str | None, typer.Option(help="Also say how long a run on these images takes here: " + DATASETS)
    ] = None,
    classes: ClassesFile = None,
    preset: Annotated[
        str | None, typer.Option(help="With --dataset: the preset to estimate, not the recommended one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What this machine has, what to do about what it lacks, and the preset for it.

    Exit code 1 if a run could not work.

    ccd doctor --dataset folder:photos
    """
    from ccd_core.machine.advice import advise
    from ccd_core.machine.doctor import Finding, examine

    if preset and not dataset:
        raise UserError("--preset goes with --dataset.")
    advice = advise()
    findings = [*examine(), Finding("preset", f"{advice.preset}, because {advice.why}")]
    if dataset:
        findings.append(_time(dataset, classes, preset or advice.preset))
    if as_json:
        print(json.dumps([vars(finding) for finding in findings]))
    else:
        for finding in findings:
            mark = "[green]ok [/]" if finding.ok else "[yellow]!! [/]"
            say(mark + " {} {}", f"{finding.what:<14}", finding.found)
            if finding.advice:
                console.print(
                    f"{'':<18} {finding.advice}", style="dim", soft_wrap=True, highlight=False, markup=False
                )
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(1)


def _time(spec: str, classes: Path | None, preset: str) -> Finding:
    """How long a run with a preset on a data set takes on this machine, measured for some seconds."""
    from ccd_core.config import load_config
    from ccd_core.data import open_dataset
    from ccd_core.machine.doctor import Finding
    from ccd_core.speed import measured_seconds

    config = load_config(preset, None, None, spec, classes)
    opened = open_dataset(config.data.spec, config.data.classes)
    with console.status(f"Measuring how fast preset {preset} is here ...", spinner="dots"):
        seconds = measured_seconds(config, opened)
    longest = max(seconds, key=seconds.__getitem__)
    count = len(opened.splits["train"])
    return Finding(
        "time",
        f"about {in_words(sum(seconds.values()))} for {count:,} training images and {len(opened.classes)} "
        f"classes with preset {preset}, if all epochs are run and the machine stays as busy as it is now. "
        f"The longest stage is {longest}, {in_words(seconds[longest])}.",
    )


def in_words(seconds: float) -> str:
    """A duration for people: seconds, minutes, hours or days.

    >>> in_words(1000)
    '17 minutes'
    """
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}s"
    return f"{max(1, round(seconds))} seconds"
