"""The `ccd` command. Exit codes: 0 done, 1 a run failed or was stopped, 2 something to put right in what was asked."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ccd_core.cli.app import browser_app
from ccd_core.cli.bars import StageBars
from ccd_core.cli.data import data_app
from ccd_core.cli.gradio import gradio_app, space
from ccd_core.cli.jobs import jobs_app
from ccd_core.cli.options import Changes, ClassesFile, ConfigFile, DatasetSpec, Json, RunPath, Workspace
from ccd_core.cli.study import study
from ccd_core.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Multi-label image classifiers from images without labels (CCD).",
)
runs_app = typer.Typer(help="List, show and delete the runs of a workspace; `ccd runs` alone lists them.")
app.add_typer(runs_app, name="runs")
app.add_typer(data_app, name="data")
app.add_typer(jobs_app, name="jobs")
app.command()(study)
app.command("app")(browser_app)
app.command("gradio")(gradio_app)
app.command()(space)
console = Console()
console_of_messages = Console(stderr=True)  # for what must not mix with a command's output


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    os.environ["CCD_DEBUG"] = "1" if debug else os.environ.get("CCD_DEBUG", "")


@app.command()
def run(
    preset: Annotated[
        str | None, typer.Option(help="demo, paper, reference or best. Without --config or --dataset: demo.")
    ] = None,
    dataset: DatasetSpec = None,
    classes: ClassesFile = None,
    config: ConfigFile = None,
    changes: Changes = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="auto, cpu, cuda, cuda:N, or several: cuda:0,1 or cuda:all. With --resume: go on there."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder. Without it: a new one in the workspace.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, with its own settings.")
    ] = False,
    same_images: Annotated[
        bool,
        typer.Option("--same-images", help="With --resume: go on without images that are gone or have changed."),
    ] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Wait until other queued runs on the same device are done.")
    ] = False,
    workspace: Workspace = Path("runs"),
) -> None:
    """Train a classifier on images without labels: the whole CCD pipeline.

    ccd run --preset demo

    ccd run --preset paper --dataset voc2012:/data/VOCdevkit --out runs/voc12

    ccd run --preset paper --dataset folder:photos --classes names.txt

    `ccd settings` prints every setting that --set or a --config file may change.
    """
    from ccd_core.config import load_config
    from ccd_core.runs.run import Run

    if resume:
        if out is None:
            raise UserError("--resume needs --out RUN, the folder of the run to go on with.")
        if preset or dataset or classes or config or changes:
            raise UserError(
                "--resume goes on with the run's own settings; leave out --preset, --dataset, --classes, --config and --set."
            )
        settings = Run.open(out).config
    elif same_images:
        raise UserError("--same-images goes with --resume.")
    else:
        default = "demo" if config is None and dataset in (None, "demo") else None
        settings = load_config(preset or default, config, changes, dataset, classes)
        out = out or workspace / time.strftime(f"{settings.preset_name}-%Y%m%d-%H%M%S")
        if (out / "config.yaml").exists():
            raise UserError(
                f"{out} already holds a run; add --resume to go on with it, or choose another --out."
            )
    settings = settings.changed(device=device) if device else settings
    if queue and not resume:  # what waits is a run that others see
        from ccd_core.jobs import control as jobs

        jobs.create(settings, out)
    elif not settings.data.spec.startswith(
        "demo"
    ):  # before torch is loaded, so that a wrong path is said at once; the demo may need drawing
        from ccd_core.data import open_dataset

        open_dataset(settings.data.spec, settings.data.classes)
    _run(settings, out, queue, same_images)


def _run(settings: Any, out: Path, queue: bool, same_images: bool) -> None:
    from contextlib import nullcontext

    from ccd_core.errors import Stopped
    from ccd_core.jobs.control import device_queue
    from ccd_core.runs.run import Run

    logging.getLogger(
        "ccd"
    ).propagate = False  # the log goes to the run's log.txt; here there are bars and a summary
    began = time.time()
    with StageBars() as bars:
        try:
            with device_queue(Run.open(out), settings.device) if queue else nullcontext():
                from ccd_core.pipeline import run_ccd  # loads torch, which a job that waits needs not

                finished = run_ccd(settings, out, bars.report, same_images)
        except (Stopped, KeyboardInterrupt):
            console.print(f"[yellow]Stopped.[/] Go on with: ccd run --resume --out {out}")
            raise typer.Exit(1) from None
    _summary(finished, time.time() - began)


def _summary(finished: Any, seconds: float) -> None:
    skipped, report = finished.state.get("skipped", []), finished.load_ap()
    console.print(f"\n[bold green]Finished[/] {finished.path} in {seconds:.0f} s")
    threshold = (
        finished.load_json("view_threshold.json")["mean_views"] if finished.has("view_threshold.json") else 0
    )
    console.print(
        f"  {len(finished.load_scores('train')['ids'])} training images, {len(finished.classes)} classes, {threshold:.1f} views an image"
    )
    if skipped:
        console.print(f"  {len(skipped)} unusable files were left out:")
        for entry in skipped[:20]:
            console.print(f"    {entry['id']}: {entry['reason']}", soft_wrap=True, highlight=False)
        if len(skipped) > 20:
            console.print(f"    ... all are in {finished.file('log.txt')}")
    if report.get("val"):
        labels = report["labels"]["final"]
        of_labels = f", final labels' mAP {labels['mAP']:.1f}" if labels else ""
        console.print(
            f"  validation mAP {report['val']['mAP']:.1f}{of_labels} (percent; epoch {report['epoch'] + 1} kept)"
        )
    console.print(
        f"  look at it: ccd app --run {finished.path}\n  use it:     ccd predict {finished.path} IMAGE...",
        soft_wrap=True,
    )


@app.command()
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


@app.command("eval")
def evaluate(
    path: RunPath, as_json: Json = False, split: Annotated[str, typer.Option(help="val or train.")] = "val"
) -> None:
    """Average precision of a run's classifier, per class and mean, in percent."""
    from ccd_core.runs.run import Run

    opened = Run.open(path)
    report = opened.load_ap().get(split)
    if report is None:
        raise UserError(
            f"Run {opened.name} has no scores against ground truth for split {split} (status {opened.status}; a folder needs labels.csv)."
        )
    values = {"run": str(path), "split": split, "epoch": opened.load_ap()["epoch"]} | report
    if as_json:
        print(json.dumps(values))
        return
    table = Table(f"{opened.name}, {split}", "AP (%)")
    for name, value in sorted(report["AP"].items(), key=lambda item: -(item[1] or -1)):
        table.add_row(name, "-" if value is None else f"{value:.1f}")
    table.add_section()
    table.add_row("mAP", f"{report['mAP']:.1f}")
    console.print(table)


@app.command()
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
    from ccd_core.files import write_atomic
    from ccd_core.predict.predictor import Predictor
    from ccd_core.predict.tables import as_csv, as_records

    if thresholds and threshold is not None:
        raise UserError("--thresholds and --threshold say the same thing twice; leave one out.")
    predictor = Predictor.open(path, device)
    limits = _limits(predictor.run, thresholds, threshold)
    paths = _expand(images)
    with StageBars(console_of_messages) as bars:
        predictions = predictor.predict(
            paths, advance=lambda done: bars.report("predict", done, len(paths), "")
        )
    for one in predictions:
        if one.error:
            print(f"skipped {one.error}", file=sys.stderr)
    good = [(str(one.path), one.scores) for one in predictions if one.scores is not None]
    if csv:
        write_atomic(csv, as_csv(good, predictor.classes, limits))
        console_of_messages.print(
            f"{len(good)} images labelled in {csv}; thresholds: {limits.in_words}.",
            soft_wrap=True,
            highlight=False,
        )
    if as_json:
        skipped = [
            {"image": str(one.path), "labels": [], "error": one.error} for one in predictions if one.error
        ]
        print(json.dumps(as_records(good, predictor.classes, limits) + skipped))
    elif not csv:
        for name, scores in good:
            shown = ", ".join(
                f"{label} {scores[predictor.classes.index(label)]:.2f}"
                for label in limits.labels(predictor.classes, scores)
            )
            print(f"{name}: {shown or '(nothing above the threshold)'}")
    if not good:
        raise typer.Exit(2)


def _limits(opened: Any, file: Path | None, threshold: float | None) -> Any:
    from ccd_core.evaluation import thresholds

    if threshold is not None:
        return thresholds.Thresholds.same(opened.classes, threshold)
    return (
        thresholds.load(file, opened.classes)
        if file
        else thresholds.of_run(opened) or thresholds.Thresholds.same(opened.classes, thresholds.DEFAULT)
    )


def _expand(images: list[Path]) -> list[Path]:
    """Folders become the images in them and below, as a folder data set reads them."""
    from ccd_core.data.folder import find_images

    found: list[Path] = []
    for path in images:
        found += [path / name for name in find_images(path)] if path.is_dir() else [path]
    if not found:
        raise UserError(f"There are no images in {', '.join(map(str, images))}.")
    return found


@runs_app.callback(invoke_without_command=True)
def runs_alone(context: typer.Context, workspace: Workspace = Path("runs")) -> None:
    context.obj = workspace
    if context.invoked_subcommand is None:
        print_runs(workspace)


@runs_app.command("list")
def runs_list(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option("--workspace", help="Folder that holds the runs [default: as for `ccd runs`]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The runs of the workspace, newest first."""
    print_runs(workspace or context.obj, as_json)


def print_runs(workspace: Path, as_json: bool = False) -> None:
    from ccd_core.runs.run import list_runs

    rows = [
        {
            "run": one.name,
            "status": one.status,
            "stage": one.state.get("stage"),
            "data": one.config.data.spec,
            "mAP": (one.load_ap().get("val") or {}).get("mAP"),
        }
        for one in list_runs(workspace)
    ]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("run", "status", "stage", "data", "val mAP (%)")
    for row in rows:
        table.add_row(
            row["run"],
            row["status"],
            row["stage"] or "",
            row["data"],
            f"{row['mAP']:.1f}" if row["mAP"] else "-",
        )
    console.print(table if rows else f"There are no runs in {workspace}; `ccd run --preset demo` makes one.")


@runs_app.command("show")
def runs_show(path: RunPath) -> None:
    """State and settings of a run, as JSON."""
    from ccd_core.runs.run import Run

    opened = Run.open(path)
    print(
        json.dumps(
            {
                "status": opened.status,
                "state": opened.state,
                "config": opened.config.model_dump(mode="json"),
                "recorded": opened.recorded,
            },
            indent=1,
        )
    )


@runs_app.command("delete")
def runs_delete(
    path: RunPath, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Delete a run's folder."""
    from ccd_core.jobs import control as jobs
    from ccd_core.runs.run import Run

    Run.open(path)
    if yes or typer.confirm(f"Delete {path} for good?"):
        jobs.delete(path)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What this machine has, and what to do about what it lacks. Exit code 1 if a run could not work."""
    from ccd_core.machine.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([vars(finding) for finding in findings]))
    else:
        for finding in findings:
            console.print(
                f"{'[green]ok [/]' if finding.ok else '[yellow]!! [/]'} {finding.what:<14} {finding.found}",
                soft_wrap=True,
                highlight=False,
            )
            if finding.advice:
                console.print(f"{'':<18} {finding.advice}", style="dim", soft_wrap=True, highlight=False)
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(1)


def main(command: Callable[..., Any] = app) -> None:
    """Run the command line; a user's mistake becomes one sentence and exit code 2."""
    try:
        command()
    except UserError as error:
        if os.environ.get("CCD_DEBUG"):
            raise
        Console(stderr=True).print(f"[bold red]Error:[/] {error}", soft_wrap=True, highlight=False)
        sys.exit(2)
    except (OSError, RuntimeError) as error:
        if os.environ.get("CCD_DEBUG"):
            raise
        Console(stderr=True).print(
            f"[bold red]Error:[/] {error} (ccd --debug shows where)", soft_wrap=True, highlight=False
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
