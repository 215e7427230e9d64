"""`ccd predict` and `ccd eval`: a finished run at work, and how good it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ccd_core.cli.bars import StageBars
from ccd_core.cli.options import Json, RunPath
from ccd_core.cli.text import console, messages, say
from ccd_core.errors import UserError

if TYPE_CHECKING:
    from ccd_core.evaluation.thresholds import Thresholds
    from ccd_core.runs.run import Run


NAMED = 3  # images that a warning names


def evaluate(
    path: RunPath, as_json: Json = False, split: Annotated[str, typer.Option(help="val or train.")] = "val"
) -> None:
    """Average precision of a run's classifier, per class and mean, in percent."""
    from ccd_core.runs.run import Run

    opened = Run.open(path)
    scores = opened.load_ap()
    report = {"train": scores.get("train"), "val": scores.get("val")}.get(split)
    if report is None:
        raise UserError(
            f"Run {opened.name} has no scores against ground truth for split {split} "
            f"(status {opened.status}; a folder needs labels.csv)."
        )
    values = {"run": str(path), "split": split, "epoch": scores["epoch"], **report}
    if as_json:
        print(json.dumps(values))
        return
    table = Table(f"{escape(opened.name)}, {split}", "AP (%)")
    for name, value in sorted(report["AP"].items(), key=lambda item: -(item[1] or -1)):
        table.add_row(escape(name), "-" if value is None else f"{value:.1f}")
    table.add_section()
    table.add_row("mAP", f"{report['mAP']:.1f}")
    console.print(table)


def predict(
    path: RunPath,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images, or folders of images.")],
    as_json: Json = False,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write one row an image: name, labels joined by ;, and a score a class."),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(help="JSON file of a threshold a class. Without it: the run's thresholds.json, or 0.5."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="One threshold for all classes instead.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Label images with a run's classifier. Exit code 2 if no image could be used.

    ccd predict runs/first photos/ --csv predicted.csv
    """
    from ccd_core.data.listing.names import as_text
    from ccd_core.files import write_atomic
    from ccd_core.predict.predictor import Predictor
    from ccd_core.predict.tables import as_csv, as_records

    if thresholds and threshold is not None:
        raise UserError("--thresholds and --threshold say the same thing twice; leave one out.")
    predictor = Predictor.open(path, device)
    limits = _limits(predictor.run, thresholds, threshold)
    paths = _expand(images)
    with StageBars(messages) as bars:
        predictions = predictor.predict(
            paths, advance=lambda done: bars.report("predict", done, len(paths), "")
        )
    for one in predictions:
        if one.error:
            print(f"skipped {one.error}", file=sys.stderr)
    good = [(as_text(str(one.path)), one.scores) for one in predictions if one.scores is not None]
    unlike = None
    if predictor.likeness:
        unlike = {as_text(str(one.path)) for one in predictions if one.unlike}
        _warn_of(sorted(unlike), len(good))
    if csv:
        write_atomic(csv, as_csv(good, predictor.classes, limits, unlike=unlike))
        say("{} images labelled in {}; thresholds: {}.", len(good), csv, limits.in_words, to=messages)
    if as_json:
        skipped = [
            {"image": as_text(str(one.path)), "labels": [], "error": one.error}
            for one in predictions
            if one.error
        ]
        print(json.dumps(as_records(good, predictor.classes, limits, unlike) + skipped))
    elif not csv:
        for name, scores in good:
            shown = ", ".join(
                f"{label} {scores[predictor.classes.index(label)]:.2f}"
                for label in limits.labels(predictor.classes, scores)
            )
            print(f"{name}: {shown or '(nothing above the threshold)'}")
    if not good:
        raise typer.Exit(2)


def _warn_of(unlike: list[str], count: int) -> None:
    """Say which images are unlike those that the classifier was trained on."""
    if not unlike:
        return
    named = ", ".join(unlike[:NAMED]) + (", ..." if len(unlike) > NAMED else "")
    say(
        "[yellow]{} of {} images are unlike those that the classifier was trained on, so their labels mean "
        "little:[/] {}",
        *(len(unlike), count, named),
        to=messages,
    )


def _limits(opened: Run, file: Path | None, threshold: float | None) -> Thresholds:
    from ccd_core.evaluation import thresholds

    if threshold is not None:
        return thresholds.Thresholds.same(opened.classes, threshold)
    if file:
        return thresholds.load(file, opened.classes)
    return thresholds.in_use(opened)


def _expand(images: list[Path]) -> list[Path]:
    """Folders become the images in them and below, as a folder data set reads them."""
    from ccd_core.data.kinds.folder import find_images

    found: list[Path] = []
    for path in images:
        found += [path / name for name in find_images(path)] if path.is_dir() else [path]
    if not found:
        raise UserError(f"There are no images in {', '.join(map(str, images))}.")
    return found
