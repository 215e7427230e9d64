"""`ccd predict` and `ccd eval`: a finished run at work, and how good it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ccd_core.cli.bars import StageBars
from ccd_core.cli.many_images import MOST_NAMED, Request, predict_into_files, warn_of_unlike
from ccd_core.cli.options import Json, RunPath
from ccd_core.cli.text import console, escape, messages, say
from ccd_core.errors import UserError

if TYPE_CHECKING:
    from ccd_core.evaluation.thresholds import Thresholds
    from ccd_core.jobs.slurm import SlurmOptions
    from ccd_core.runs.run import Run


NAMED = 3  # images that a warning names


def evaluate(
    path: RunPath,
    as_json: Json = False,
    split: Annotated[
        str, typer.Option(help="val, train, or marked: the images that were marked on the page Results.")
    ] = "val",
) -> None:
    """Average precision of a run's classifier, per class and mean, in percent."""
    from ccd_core.runs.run import Run

    opened = Run.open(path)
    if split == "marked":
        _measured_on_marks(opened, as_json)
        return
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
    if alone := opened.load_scores_alone(split):
        table.add_row("mAP of the classifier without CLIP", f"{alone['mAP']:.1f}")
    console.print(table)


def _measured_on_marks(run: Run, as_json: bool) -> None:
    """mAP, F1, precision and recall of the marked images, with 95 % confidence intervals."""
    from ccd_core.evaluation import marked, thresholds

    found = marked.measure_run(run, thresholds.in_use(run).array(run.classes))
    if found is None:
        raise UserError(
            f"Run {run.name} has fewer than {marked.FEWEST} marked images, or none with a class; "
            "mark some on the page Results of `ccd app`, under Label a few."
        )
    if as_json:
        measures = {name: vars(one) for name, one in found.measures.items()}
        print(json.dumps({"run": str(run.path), "images": found.images, **measures}))
        return
    table = Table(f"{escape(run.name)}, {found.images} marked images", "%", "95 % confidence")
    for name, one in found.measures.items():
        table.add_row(name, f"{100 * one.value:.1f}", f"{100 * one.low:.1f} to {100 * one.high:.1f}")
    console.print(table)
    say("{} more marked images would halve the intervals.", f"{found.more_to_halve:,}")


def predict(
    path: RunPath,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images, or folders of images.")],
    as_json: Json = False,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write one row an image: name, labels joined by ;, and a score a class."),
    ] = None,
    jsonl: Annotated[Path | None, typer.Option(help="Write one JSON record a line, for each image.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet table, one row an image.")] = None,
    errors: Annotated[
        Path | None,
        typer.Option(
            help="Where images that cannot be used are listed with the reason. Without it: beside the first "
            "output, as NAME.errors.csv."
        ),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            help="JSON file of a threshold a class. Without it: the run's own, see docs/predict.md."
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="One threshold for all classes instead.")
    ] = None,
    boxes: Annotated[
        bool,
        typer.Option(
            "--boxes", help="Also write the CAM box of every label, in fractions of width and height."
        ),
    ] = False,
    alone: Annotated[
        bool,
        typer.Option(
            "--alone",
            help="The classifier alone, without the share that predict.blend of the run gives CLIP: quicker.",
        ),
    ] = False,
    device: Annotated[
        str,
        typer.Option(help="auto, cpu, cuda, cuda:N, or several that share the images: cuda:0,1, cuda:all."),
    ] = "auto",
    batch_size: Annotated[
        int, typer.Option(min=0, help="Images at a time. 0: 32 on a CPU, 64 on a GPU.")
    ] = 0,
    workers: Annotated[
        int, typer.Option(min=-1, help="Threads that work on images. -1: one a CPU core, at most 16.")
    ] = -1,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Predict only the I-th of N shares. The share that ends last writes the files.",
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin again instead of going on where a killed command was.")
    ] = False,
    slurm: Annotated[
        int, typer.Option(min=0, metavar="N", help="Submit an array of N tasks to the cluster, and return.")
    ] = 0,
    partition: Annotated[str, typer.Option(help="SLURM: partition. Empty: the cluster's default.")] = "",
    gpus: Annotated[int, typer.Option(min=0, max=1, help="SLURM: GPUs of each task.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="SLURM: CPU cores of each task.")] = 8,
    memory: Annotated[int, typer.Option(min=0, help="SLURM: memory in GB. 0: the cluster's default.")] = 0,
    hours: Annotated[float, typer.Option(help="SLURM: time limit; a task that needs longer goes on.")] = 24,
    more: Annotated[
        list[str] | None,
        typer.Option("--sbatch", metavar="KEY=VALUE", help="SLURM: another option. Repeatable."),
    ] = None,
) -> None:
    """Label images with a run's classifier. Exit code 2 if no image could be used.

    ccd predict runs/first photo.jpg

    ccd predict runs/first photos/ --csv predicted.csv --parquet predicted.parquet

    ccd predict runs/first photos/ --jsonl predicted.jsonl --boxes --device cuda:0,1

    ccd predict runs/first photos/ --csv predicted.csv --slurm 8 --partition gpu

    With an output file, folders may have any size. A command that was killed goes on where it was if it is
    given again. Until the end its parts are in OUTPUT.parts.
    """
    from ccd_core.runs.run import Run

    if thresholds and threshold is not None:
        raise UserError("--thresholds and --threshold say the same thing twice; leave one out.")
    run = Run.open(path)
    limits = _limits(run, thresholds, threshold, alone)
    outputs = {"csv": csv, "jsonl": jsonl, "parquet": parquet}
    files = {kind: file for kind, file in outputs.items() if file is not None}
    request = Request(run, images, files, errors, limits, boxes, batch_size, workers, alone)
    if files:
        cluster = _cluster(partition, gpus, cpus, memory, hours, more) if slurm else None
        predict_into_files(request, device, shard, restart, as_json, slurm, cluster)
        return
    needs_file = {"--shard": shard, "--slurm": slurm, "--restart": restart, "--errors": errors}
    if given := [name for name, value in needs_file.items() if value]:
        raise UserError(f"{given[0]} goes with an output file: --csv, --jsonl or --parquet.")
    if boxes and not as_json:
        raise UserError("--boxes goes with --json, or with an output file: --csv, --jsonl or --parquet.")
    _print(request, device, as_json)


def _print(request: Request, device: str, as_json: bool) -> None:
    """Print the labels of each image, or one JSON list of all."""
    from ccd_core.predict.plan import listed, text_of
    from ccd_core.predict.predictor import Predictor
    from ccd_core.predict.tables import as_records

    left_out: dict[str, str] = {}
    paths = list(listed(request.images, left_out))
    if not paths:
        raise UserError(f"There are no images in {', '.join(map(str, request.images))}.")
    predictor = Predictor(request.run, device, alone=request.alone)
    boxes_at = request.limits if request.boxes else None
    records: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    done = 0
    unlike: list[str] = []
    with StageBars(messages) as bars:
        bars.report("predict", 0, len(paths), "")
        for batch in predictor.stream(paths, request.batch_size or 32, request.workers, boxes_at):
            for one in batch:
                name = text_of(one.path)
                if one.scores is None:
                    print(f"skipped {one.error}", file=sys.stderr)
                    skipped.append({"image": name, "labels": [], "error": one.error})
                    continue
                known = None if predictor.likeness is None else [name] * one.unlike
                unlike += known or []
                (record,) = as_records([(name, one.scores)], predictor.classes, request.limits, known)
                if as_json:
                    records.append(record | ({"boxes": one.boxes} if request.boxes else {}))
                else:
                    scores = record["scores"]
                    shown = ", ".join(f"{label} {scores[label]:.2f}" for label in record["labels"])
                    print(f"{name}: {shown or '(nothing above the threshold)'}")
            done += len(batch)
            bars.report("predict", done, len(paths), "")
    for name, why in list(left_out.items())[:MOST_NAMED]:
        print(f"left out {name}: {why}", file=sys.stderr)
    warn_of_unlike(unlike[:NAMED], len(unlike), len(paths) - len(skipped))
    if as_json:
        print(json.dumps(records + skipped))
    if len(skipped) == len(paths):
        raise typer.Exit(2)


def _cluster(
    partition: str, gpus: int, cpus: int, memory: int, hours: float, more: list[str] | None
) -> SlurmOptions:
    from pydantic import ValidationError

    from ccd_core.jobs.slurm import SlurmOptions, first_mistake, parse_more

    asked = {"partition": partition, "gpus": gpus, "cpus": cpus, "memory_gb": memory, "hours": hours}
    try:
        return SlurmOptions.model_validate(asked | {"more": parse_more(more or [])})
    except ValidationError as error:
        raise UserError(f"SLURM option {first_mistake(error)}.") from None


def _limits(opened: Run, file: Path | None, threshold: float | None, alone: bool) -> Thresholds:
    from ccd_core.evaluation import thresholds

    if threshold is not None:
        return thresholds.Thresholds.same(opened.classes, threshold)
    if file:
        return thresholds.load(file, opened.classes)
    return thresholds.in_use(opened, alone)
