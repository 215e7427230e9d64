"""`ccd runs`: list, show and delete the runs of a workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ccd_core.cli.options import Json, RunPath, Workspace
from ccd_core.cli.text import console, escape, say
from ccd_core.errors import UserError

runs_app = typer.Typer(help="List, show and delete the runs of a workspace; `ccd runs` alone lists them.")


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
    """A row a run, newest first; a run that cannot be read is a row that says why."""
    from ccd_core.jobs.control import list_jobs
    from ccd_core.runs.run import damaged_runs

    rows: list[dict[str, Any]] = []
    for job in list_jobs(workspace):
        row: dict[str, Any] = {"run": job.run.name, "status": job.status, "stage": job.state.get("stage")}
        row |= {"data": job.run.config.data.spec, "mAP": None}
        try:
            val = job.run.load_ap().get("val")
            row["mAP"] = val["mAP"] if val else None
        except UserError as error:
            row["error"] = str(error)
        rows.append(row)
    rows += [
        {"run": name, "status": "damaged", "stage": None, "data": None, "mAP": None, "error": error}
        for name, error in damaged_runs(workspace).items()
    ]
    if as_json:
        print(json.dumps(rows))
        return
    if not rows:
        say("There are no runs in {}; `ccd run --preset demo` makes one.", workspace)
        return
    table = Table("run", "status", "stage", "data", "val mAP (%)")
    for row in rows:
        value = "-" if row["mAP"] is None else f"{row['mAP']:.1f}"
        words = (row["run"], row["status"], row["stage"] or "", row["data"] or "", value)
        table.add_row(*map(escape, words))
    console.print(table)
    for row in rows:
        if "error" in row:
            say("{}: {}", row["run"], row["error"])


@runs_app.command("show")
def runs_show(path: RunPath) -> None:
    """State and settings of a run, as JSON."""
    from ccd_core.jobs.control import look
    from ccd_core.runs.run import Run

    opened = Run.open(path)
    job = look(opened)  # SLURM may know more of it than its folder
    print(
        json.dumps(
            {
                "status": job.status,
                "state": job.state,
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
    from ccd_core.jobs.control import delete
    from ccd_core.runs.run import Run

    Run.open(path)
    if yes or typer.confirm(f"Delete {path} for good?"):
        delete(path)
