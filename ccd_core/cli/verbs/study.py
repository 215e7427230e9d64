"""`ccd study`: the proof-of-concept study of the paper's Fig. 3 on a run or a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from ccd_core.cli.bars import StageBars
from ccd_core.cli.options import Json
from ccd_core.cli.text import console, messages, say
from ccd_core.errors import Stopped
from ccd_core.machine.signals import stoppable


def study(
    what: Annotated[
        str, typer.Argument(metavar="RUN_OR_SPEC", help="A run's folder, or a data set such as voc2012:ROOT.")
    ],
    policies: Annotated[
        list[str] | None,
        typer.Option("--policy", help="cam, around_boxes, boxes, random, grid or moved. Repeatable."),
    ] = None,
    preset: Annotated[str, typer.Option(help="For a data set: whose CLIP and settings are used.")] = "paper",
    images: Annotated[int | None, typer.Option(min=1, help="The first so many training images only.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Also train a classifier on the labels of each policy, as the paper does."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """How good labels are by where the local views are cut (Fig. 3). A measurement: ground-truth boxes reach
    no run. With --train, classifiers are trained on the labels, measured on the validation images, and
    thrown away. Stopped or killed, the same command goes on.

    ccd study runs/first

    ccd study voc2012:/data/VOCdevkit --policy boxes --policy grid
    """
    from ccd_core.config import CCDConfig
    from ccd_core.runs.run import Run
    from ccd_core.study import NEEDS_RUN, POLICIES
    from ccd_core.study import study as measure

    run = Run.open(what) if Path(what).is_dir() else None
    config = (
        run.config if run else CCDConfig.preset("demo" if what.partition(":")[0] == "demo" else preset, what)
    )
    chosen = policies or [name for name in POLICIES if run or name not in NEEDS_RUN]
    config = config.changed(device=device)
    try:
        with StageBars() as bars, stoppable():
            results = measure(config, chosen, run, images, None if as_json else bars.report, train)
    except (Stopped, KeyboardInterrupt):
        say("[yellow]Stopped.[/] The same command goes on from here.", to=messages)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(results))
        return
    # A narrow terminal folds the names, and no number.
    numbers = (
        "views",
        "local\nmAP",
        "final\nmAP",
        "final\nmicro-AP",
        "final\nF1",
        *(["trained\nmAP"] if train else []),
    )
    columns = [Column(title, "", justify="right", no_wrap=True, overflow="fold") for title in numbers]
    table = Table(
        Column("local views", overflow="fold"),
        *columns,
        title="Views an image; local and final labels"
        + ("; classifier trained on the final ones" if train else "")
        + ", in percent",
    )
    for policy, result in results.items():
        final, local = result["final"], result["local"]
        name = "none (initial labels)" if policy == "initial" else POLICIES[policy]
        table.add_row(
            name,
            f"{result['views']:.1f}",
            _shown(local, "mAP"),
            *(_shown(final, key) for key in ("mAP", "micro_AP", "F1")),
            *([_shown(result["classifier"], "mAP")] if train else []),
        )
    console.print(table)


def _shown(measures: dict[str, Any] | None, key: str) -> str:
    return "-" if not measures or measures[key] is None else f"{measures[key]:.1f}"
