"""Options that several commands of `ccd` take, in the same words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ccd_core.errors import UserError
from ccd_core.machine.host_names import given_name, given_names

DATASETS = (
    "demo, folder:DIR, imagefolder:ROOT, csv:FILE, coco:ANNOTATIONS.json[,IMAGES], voc:ROOT, yolo:ROOT, "
    "hf:ROOT, voc2007:ROOT, voc2012:ROOT, coco2014:ROOT or nuswide:ROOT."
)
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
Workspace = Annotated[
    Path, typer.Option("--workspace", envvar="CCD_RUNS", help="Folder that holds the runs.")
]
DatasetSpec = Annotated[
    str | None,
    typer.Option(help=DATASETS),
]
ClassesFile = Annotated[
    Path | None, typer.Option(help="File with one class name a line, for folder:, csv: and hf: data sets.")
]
ConfigFile = Annotated[
    Path | None, typer.Option(help="YAML file of settings; config.yaml of another run will do.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. labels.alpha=0.2. Repeatable."),
]
MethodName = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="Another method of the paper's Table 1, such as cdul; `ccd table --help` names the groups. "
        "Those with labels are given the labels of the training images.",
    ),
]
RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", help="common: the preset's training; own: that of the method's authors."),
]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        metavar="NAME",
        help="A name by which people reach this app through a proxy, such as ccd.example.org. Repeatable; "
        "names in $CCD_ALLOWED_HOSTS count as well.",
    ),
]


def name_hosts(given: list[str] | None) -> list[str]:
    """The names of `--allowed-host` and of $CCD_ALLOWED_HOSTS, which holds them all from now on.

    Raises UserError for what is no name.
    """
    names = list(dict.fromkeys([*given_names(), *map(given_name, given or [])]))
    os.environ["CCD_ALLOWED_HOSTS"] = ",".join(names)
    return names


def with_method(changes: list[str] | None, method: str | None, recipe: str | None) -> list[str]:
    """The changes of --set, with those that --method and --recipe stand for before them.

    A method may be written with - for _, as in `ccd table`. Raises UserError for one that does not exist.
    """
    from ccd_core.baselines.registry import METHODS

    name = method.replace("-", "_") if method else None
    if method is not None and name not in METHODS:
        raise UserError(f"There is no method {method!r}; the methods are {', '.join(METHODS)}.")
    named = [f"method.name={name}"] if name else []
    named += [f"method.recipe={recipe}"] if recipe else []
    return named + (changes or [])
