"""`ccd export`: a finished run as a model or as labelled images for other programs."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ccd_core.cli.bars import StageBars
from ccd_core.cli.options import RunPath
from ccd_core.cli.text import console, messages, say
from ccd_core.errors import UserError
from ccd_core.export import FORMATS, export_run


class Labels(StrEnum):
    classifier = "classifier"
    final = "final"


class Splits(StrEnum):
    all = "all"
    train = "train"
    val = "val"


class Images(StrEnum):
    link = "link"
    copy = "copy"
    none = "none"


def export(
    path: RunPath,
    to: Annotated[str | None, typer.Option("--to", metavar="FORMAT", help=f"{', '.join(FORMATS)}.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for the files, by default RUN-FORMAT in this folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    labels: Annotated[
        Labels,
        typer.Option(
            help="classifier: what it finds at its thresholds; final: the pseudo-labels that it was trained "
            "on, from 0.5 on."
        ),
    ] = Labels.classifier,
    boxes: Annotated[
        bool, typer.Option("--boxes/--no-boxes", help="A CAM box for each label, or labels alone.")
    ] = True,
    split: Annotated[Splits, typer.Option(help="Which images.")] = Splits.all,
    images: Annotated[
        Images, typer.Option(help="Where images lie beside the labels (voc, yolo): links, copies or none.")
    ] = Images.link,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:PLACE", help="Where the run's images are now, if they have moved: folder:DIR, ..."
        ),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(help="JSON file of a threshold a class. Without it: those of the run."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="One threshold for all classes instead.")
    ] = None,
    device: Annotated[str, typer.Option(help="For CAM boxes: auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Write a run's model or its labelled images for other programs. Without --to, list the formats.

    ccd export runs/photos --to onnx

    ccd export runs/photos --to coco --out photos-coco
    """
    from ccd_core.evaluation.thresholds import Thresholds, load
    from ccd_core.runs.run import Run

    if thresholds and threshold is not None:
        raise UserError("--thresholds and --threshold say the same thing twice; leave one out.")
    run = Run.open(path)
    if to is None:
        _list_formats(path)
        return
    chosen = None
    if threshold is not None:
        chosen = Thresholds.same(run.classes, threshold)
    elif thresholds:
        chosen = load(thresholds, run.classes)
    with StageBars(messages) as bars:
        folder = export_run(
            run,
            to,
            out or Path(f"{path.resolve().name}-{to}"),
            force,
            chosen,
            labels=labels.value,
            boxes=boxes,
            split=split.value,
            images=images.value,
            dataset=dataset,
            device=device,
            report=bars.report,
        )
    _say_what_is_there(folder, to)


def _list_formats(path: Path) -> None:
    table = Table("--to", "what it is", "of")
    for name, one in FORMATS.items():
        table.add_row(name, one.title, "labels" if one.of_labels else "model")
    console.print(table)
    say("`ccd export {} --to FORMAT` writes one of them.", shlex.quote(str(path)))


def _say_what_is_there(folder: Path, to: str) -> None:
    import json

    record = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    files = ", ".join(sorted(entry.name for entry in folder.iterdir()))
    say("{} holds {}.", folder, files)
    if FORMATS[to].of_labels:
        say(
            "{} images, {} labels; {} images have none and are in it too. Thresholds: {}.",
            f"{record['images']:,}",
            f"{record['labels_given']:,}",
            f"{record['images_without_labels']:,}",
            record["thresholds_how"] if record["labels"] == "classifier" else "0.5 on the pseudo-labels",
        )
        if record["left_out"]:
            name, why = next(iter(record["left_out"].items()))
            say(
                "Left out: {} images that cannot be read, such as {}: {} export.json names all.",
                f"{len(record['left_out']):,}",
                name,
                why,
                to=messages,
            )
