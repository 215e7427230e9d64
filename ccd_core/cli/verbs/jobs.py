"""`ccd jobs`: runs in the background, from the terminal; the same folders that the page Train shows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ccd_core.cli.options import (
    Changes,
    ClassesFile,
    ConfigFile,
    DatasetSpec,
    Json,
    MethodName,
    RecipeName,
    Workspace,
    with_method,
)
from ccd_core.cli.text import console, escape, harmless, messages, say, say_preset
from ccd_core.errors import UserError
from ccd_core.runs.files.shared_files import is_own_file

if TYPE_CHECKING:
    from ccd_core.jobs.control import Job
    from ccd_core.runs.files.documents import RunState

jobs_app = typer.Typer(
    no_args_is_help=True, help="Runs in the background: start, list, show, logs, watch, stop, resume."
)
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name in the workspace.")]


def _folder(run: Path, workspace: Path) -> Path:
    return run if run.exists() else workspace / run


def _look(run: Path, workspace: Path) -> Job:
    from ccd_core.jobs import control
    from ccd_core.runs.run import Run

    return control.look(Run.open(_folder(run, workspace)))


@jobs_app.command()
def start(
    preset: Annotated[
        str | None, typer.Option(help="demo, paper, reference, best, laptop or offline.")
    ] = None,
    dataset: DatasetSpec = None,
    classes: ClassesFile = None,
    config: ConfigFile = None,
    changes: Changes = None,
    method: MethodName = None,
    recipe: RecipeName = None,
    name: Annotated[
        str | None, typer.Option(help="The run's name in the workspace. Without it: preset and time.")
    ] = None,
    workspace: Workspace = Path("runs"),
    place: Annotated[
        str, typer.Option(help="local, or slurm: a job of the cluster that this machine can submit to.")
    ] = "local",
    partition: Annotated[str, typer.Option(help="SLURM: partition. Empty: the cluster's default.")] = "",
    gpus: Annotated[int, typer.Option(min=0, help="SLURM: GPUs on one node.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="SLURM: CPU cores.")] = 8,
    memory: Annotated[int, typer.Option(min=0, help="SLURM: memory in GB. 0: the cluster's default.")] = 0,
    hours: Annotated[
        float, typer.Option(help="SLURM: time limit; a run that needs longer is queued again and goes on.")
    ] = 24,
    more: Annotated[
        list[str] | None,
        typer.Option("--sbatch", metavar="KEY=VALUE", help="SLURM: another option. Repeatable."),
    ] = None,
) -> None:
    """Start a run in the background; it waits for older jobs on its device. Prints the run's folder.

    ccd jobs start --preset demo --name first

    ccd jobs start --preset paper --dataset voc2012:/data/VOCdevkit --set device=cuda:1

    ccd jobs start --preset paper --dataset voc2012:/data/VOCdevkit --place slurm --gpus 4 --sbatch
    account=vision
    """
    from pydantic import ValidationError

    from ccd_core.config import load_config
    from ccd_core.jobs import control, slurm
    from ccd_core.machine.advice import preset_of

    if place not in control.LAUNCHERS:
        raise UserError(f"There is no place {place!r} for a job; use {' or '.join(control.LAUNCHERS)}.")
    asked = {"partition": partition, "gpus": gpus, "cpus": cpus, "memory_gb": memory, "hours": hours}
    cluster = None
    if place == "slurm":
        try:
            cluster = slurm.SlurmOptions.model_validate(asked | {"more": slurm.parse_more(more or [])})
        except ValidationError as error:
            first = error.errors()[0]
            why = first["msg"].removeprefix("Value error, ")
            raise UserError(f"SLURM option {first['loc'][0]}: {why}.") from None

    preset, advice = preset_of(preset, config is not None, dataset)
    settings = load_config(preset, config, with_method(changes, method, recipe), dataset, classes)
    if advice:
        say_preset(advice, to=messages)
    out = control.new_folder(workspace, name or time.strftime(f"{settings.preset_name}-%Y%m%d-%H%M%S"))
    control.start(settings, out, place, cluster)
    print(out)


@jobs_app.command("list")
def list_all(
    workspace: Workspace = Path("runs"),
    as_json: Json = False,
    active: Annotated[bool, typer.Option(help="Only jobs that run or wait.")] = False,
) -> None:
    """The jobs of the workspace, newest first."""
    from ccd_core.jobs import control
    from ccd_core.runs.run import damaged_runs

    found = [job for job in control.list_jobs(workspace) if job.active or not active]
    damaged = {} if active else damaged_runs(workspace)
    if as_json:
        rows = [_facts(job) for job in found]
        rows += [{"run": name, "status": "damaged", "error": error} for name, error in damaged.items()]
        print(json.dumps(rows))
        return
    if not found and not damaged:
        say("There are no jobs in {}; `ccd jobs start --preset demo` starts one.", workspace)
        return
    table = Table("job", "status", "where", "progress", "left")
    for job in found:
        words = [job.run.name, _status(job), f"{job.place}, {job.run.config.device}"]
        words += [_progress(job.state), _left(job.state)] if job.active else ["", ""]
        table.add_row(*map(escape, words))
    for name in damaged:
        table.add_row(escape(name), "damaged", "", "", "")
    console.print(table)
    for name, error in damaged.items():
        say("{}: {}", name, error)


@jobs_app.command()
def show(run: RunPath, workspace: Workspace = Path("runs"), as_json: Json = False) -> None:
    """One job: status, progress, device, process, and why it failed. Exit code 1 if it failed."""
    job = _look(run, workspace)
    facts = _facts(job)
    if as_json:
        print(json.dumps(facts))
    else:
        for key, value in facts.items():
            if value not in (None, "", []):
                say("[bold]{}[/] {}", f"{key:<10}", value)
    if job.status == "failed":
        raise typer.Exit(1)


@jobs_app.command()
def logs(
    run: RunPath,
    workspace: Workspace = Path("runs"),
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on printing until the job ends.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines of the end.")] = 40,
) -> None:
    """The end of a job's log. With --follow, exit code 1 if the job fails or is stopped."""
    from ccd_core.jobs.control import output_tail

    job = _look(run, workspace)
    for line in output_tail(job.run, lines):
        print(harmless(line))
    if follow:
        path = job.run.file("log.txt")
        at = path.stat().st_size if is_own_file(job.run.path, "log.txt") else 0
        for latest in _until_it_ends(job.run.path, workspace):
            job = latest
            if is_own_file(job.run.path, "log.txt") and path.stat().st_size > at:
                with open(path, errors="replace") as file:
                    file.seek(at)
                    print(harmless(file.read()), end="", flush=True)
                    at = file.tell()
        _exit(job)


@jobs_app.command()
def watch(run: RunPath, workspace: Workspace = Path("runs")) -> None:
    """Wait until a job ends, showing how far it is; the bell rings at the end. Exit code 0: finished, 1:
    stopped or failed.
    """
    last = ""
    job = _look(run, workspace)
    with console.status("") as line:
        for job in _until_it_ends(run, workspace):
            text = f"{job.run.name}: {_status(job)} {_progress(job.state)} {_left(job.state)}".rstrip()
            line.update(escape(text))
            if not console.is_terminal and text.partition(":")[0] + str(job.state.get("stage")) != last:
                last = text.partition(":")[0] + str(job.state.get("stage"))
                say("{}", text)
    if console.is_terminal:
        console.bell()
    say("{}: {}. {}", job.run.name, _status(job), job.reason or "")
    _exit(job)


def _until_it_ends(run: Path, workspace: Path, every: float = 0.5) -> Iterator[Job]:
    while True:
        job = _look(run, workspace)
        yield job
        if not job.active:
            return
        time.sleep(every)


def _exit(job: Job) -> None:
    if job.status != "finished":
        raise typer.Exit(1)


@jobs_app.command()
def stop(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or their names in the workspace.")
    ],
    workspace: Workspace = Path("runs"),
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Come back when it is gone, or at once.")
    ] = True,
) -> None:
    """Ask jobs to write a checkpoint and leave; one that has not left after 20 s is ended."""
    from ccd_core.jobs import control

    for run in runs:
        control.stop(_folder(run, workspace), wait=False)
    for run in runs if wait else []:
        *_, job = _until_it_ends(run, workspace, 0.1)
        say("{}: {}", job.run.name, _status(job))


@jobs_app.command()
def resume(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or their names in the workspace.")
    ],
    workspace: Workspace = Path("runs"),
) -> None:
    """Go on with jobs that were stopped or failed, in the background, from their last checkpoint."""
    from ccd_core.jobs import control

    for run in runs:
        control.resume(_folder(run, workspace))
        say("{}: queued", run.name)


def _facts(job: Job) -> dict[str, Any]:
    state = job.state
    kept = ("stage", "detail", "done", "total", "eta_seconds", "seconds", "pid", "host", "launched", "began")
    facts = {
        "run": job.run.name,
        "path": str(job.run.path),
        "status": job.status,
        "stopping": job.asked is not None,
        "place": job.place,
        "device": job.run.config.device,
        "ahead": job.ahead,
        "reason": job.reason,
        "skipped": len(state.get("skipped", [])),
    }
    return facts | {key: state.get(key) for key in kept}


def _status(job: Job) -> str:
    if job.asked is not None:
        return "stopping"
    if job.status == "queued" and job.ahead:
        return f"queued, {job.ahead} before it"
    return job.status


def _progress(state: RunState) -> str:
    if not state.get("stage"):
        return ""
    detail = f" ({state['detail']})" if state.get("detail") else ""
    done = f" {state.get('done', 0)}/{state['total']}" if state.get("total") else ""
    return f"{state['stage']}{detail}{done}"


def _left(state: RunState) -> str:
    seconds = state.get("eta_seconds")
    return f"{seconds:.0f} s" if seconds else ""
