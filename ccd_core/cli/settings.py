"""`ccd settings` and `ccd doctor`: every setting with its meaning, and what this machine has."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ccd_core.cli.options import Changes, ClassesFile, ConfigFile, DatasetSpec, Json
from ccd_core.cli.text import console, say


def settings(
    preset: Annotated[
        str | None, typer.Option(help="demo, paper, reference or best. Without it: paper.")
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


def doctor(as_json: Json = False) -> None:
    """What this machine has, and what to do about what it lacks. Exit code 1 if a run could not work."""
    from ccd_core.machine.doctor import examine

    findings = examine()
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
