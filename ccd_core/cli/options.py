"""Options that several commands of `ccd` take, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
Workspace = Annotated[
    Path, typer.Option("--workspace", envvar="CCD_RUNS", help="Folder that holds the runs.")
]
DatasetSpec = Annotated[
    str | None,
    typer.Option(help="demo, folder:DIR, voc2007:ROOT, voc2012:ROOT, coco2014:ROOT or nuswide:ROOT."),
]
ClassesFile = Annotated[
    Path | None, typer.Option(help="File with one class name a line, for folder: data sets.")
]
ConfigFile = Annotated[
    Path | None, typer.Option(help="YAML file of settings; config.yaml of another run will do.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. labels.alpha=0.2. Repeatable."),
]
