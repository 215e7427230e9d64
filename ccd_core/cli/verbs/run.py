"""`ccd run`: the whole pipeline in this terminal."""

from __future__ import annotations

import shlex
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ccd_core.cli.bars import StageBars
from ccd_core.cli.options import (
    Changes,
    ClassesFile,
    ConfigFile,
    DatasetSpec,
    MethodName,
    RecipeName,
    Workspace,
    with_method,
)
from ccd_core.cli.text import say, say_preset
from ccd_core.errors import Stopped, UserError

if TYPE_CHECKING:
    from ccd_core.config import CCDConfig
    from ccd_core.runs.run import Run

NAMED = 20  # files left out that the summary names


def run(
    preset: Annotated[
        str | None,
        typer.Option(
            help="demo, paper, reference, best, laptop or offline. Without it, own images take what "
            "`ccd doctor` recommends, published data sets paper, and no data set demo."
        ),
    ] = None,
    dataset: DatasetSpec = None,
    classes: ClassesFile = None,
    config: ConfigFile = None,
    changes: Changes = None,
    method: MethodName = None,
    recipe: RecipeName = None,
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
        typer.Option(
            "--same-images", help="With --resume: go on without images that are gone or have changed."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only look, in seconds, whether all that the run needs is here.")
    ] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Wait until other queued runs on the same device are done.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="Trace each stage for a moment, and say where the time went and what to change."
        ),
    ] = False,
    workspace: Workspace = Path("runs"),
) -> None:
    """Train a classifier on images without labels: the whole CCD pipeline.

    ccd run --preset demo

    ccd run --preset paper --dataset voc2012:/data/VOCdevkit --out runs/voc12

    ccd run --dataset folder:photos --classes names.txt

    ccd run --method cdul --dataset folder:photos

    `ccd settings` prints every setting that --set or a --config file may change.
    """
    from ccd_core.config import load_config
    from ccd_core.machine.advice import preset_of
    from ccd_core.runs.run import Run

    if resume:
        if out is None:
            raise UserError("--resume needs --out RUN, the folder of the run to go on with.")
        if preset or dataset or classes or config or changes or method or recipe:
            raise UserError(
                "--resume goes on with the run's own settings; "
                "leave out --preset, --dataset, --classes, --config, --method, --recipe and --set."
            )
        from ccd_core.jobs.control import look

        settings = look(Run.open(out)).run.config  # SLURM may know that its job is over
    elif same_images:
        raise UserError("--same-images goes with --resume.")
    else:
        preset, advice = preset_of(preset, config is not None, dataset)
        settings = load_config(preset, config, with_method(changes, method, recipe), dataset, classes)
        if advice:
            say_preset(advice)
        out = out or workspace / time.strftime(f"{settings.preset_name}-%Y%m%d-%H%M%S")
        if (out / "config.yaml").exists():
            raise UserError(
                f"{out} already holds a run; add --resume to go on with it, or choose another --out."
            )
        Run.require_free(out)
    settings = settings.changed(device=device) if device else settings
    _say_labels(settings)
    if check:
        _check(settings, out)
        return
    if queue and not resume:
        from ccd_core.jobs.control import create

        create(settings, out)  # other jobs must see the run that waits
    elif not settings.data.spec.startswith("demo"):
        from ccd_core.data import open_dataset

        # Before torch is loaded, so that a wrong path is said at once. The demo may need drawing first.
        open_dataset(settings.data.spec, settings.data.classes)
    began = time.time()
    finished = _run(settings, out, queue, same_images, profile)
    summary(finished, time.time() - began)
    if profile:
        say("\n{}", finished.file("profile", "summary.txt").read_text())


def _say_labels(settings: CCDConfig) -> None:
    """Say that a run is given labels, if it is."""
    from ccd_core.baselines.registry import labels_used, method_of

    if labels := labels_used(settings):
        title = method_of(settings).title
        say("[bold yellow]This run uses labels:[/] {} ({}).", labels, title)


def _check(settings: CCDConfig, out: Path) -> None:
    """Say what a run with these settings needs and what is to be known. Raises UserError where a thing is
    missing.
    """
    from ccd_core.data import open_dataset
    from ccd_core.preflight import preflight

    dataset = open_dataset(settings.data.spec, settings.data.classes)
    notes = preflight(settings, dataset, out)
    say("[green]All that this run needs is here.[/]")
    for note in notes:
        say("  {}", note)


def _run(settings: CCDConfig, out: Path, queue: bool, same_images: bool, profile: bool) -> Run:
    from ccd_core.jobs.control import device_queue
    from ccd_core.runs.run import Run

    with StageBars() as bars:
        try:
            with device_queue(Run.open(out), settings.device) if queue else nullcontext():
                from ccd_core.execution import run_ccd  # loads torch, which a job that waits does without

                return run_ccd(settings, out, bars.report, same_images, profile)
        except (Stopped, KeyboardInterrupt):
            say("[yellow]Stopped.[/] Go on with: ccd run --resume --out {}", shlex.quote(str(out)))
            raise typer.Exit(1) from None


def summary(finished: Run, seconds: float) -> None:
    """What came out, which files were left out, and what to do next."""
    report = finished.load_ap()
    images = len(finished.load_scores("train")["ids"])
    views = (
        finished.load_json("view_threshold.json")["mean_views"] if finished.has("view_threshold.json") else 0
    )
    say("\n[bold green]Finished[/] {} in {} s", finished.path, round(seconds))
    _say_labels(finished.config)
    say("  {} training images, {} classes, {} views an image", images, len(finished.classes), f"{views:.1f}")
    _say_skipped(finished)
    val = report.get("val")
    if val:
        labels = (report.get("labels") or {}).get("final")
        of_labels = f", final labels' mAP {labels['mAP']:.1f}" if labels else ""
        best = finished.load_best()
        kept = f"epoch {best['epoch'] + 1} kept" if best else "nothing trained"
        say("  validation mAP {}{} (percent; {})", f"{val['mAP']:.1f}", of_labels, kept)
        if alone := finished.load_scores_alone("val"):
            mixed = finished.config.predict.in_words
            say("  scores are {}; the classifier alone has mAP {}", mixed, f"{alone['mAP']:.1f}")
    path = shlex.quote(str(finished.path))
    say("  look at it: ccd app --run {}", path)
    if finished.has("checkpoints", "best.safetensors"):
        say("  use it:     ccd predict {} IMAGE...", path)


def _say_skipped(finished: Run) -> None:
    skipped = finished.state.get("skipped", [])
    if not skipped:
        return
    say("  {} unusable files were left out:", len(skipped))
    for entry in skipped[:NAMED]:
        say("    {}: {}", entry["id"], entry["reason"])
    if len(skipped) > NAMED:
        say("    ... all are in {}", finished.file("log.txt"))
