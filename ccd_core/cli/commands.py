"""The `ccd` command: its verbs and its exit codes.

0: done. 1: a run failed or was stopped. 2: the user has something to put right in what was asked.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer

from ccd_core.cli.text import messages, say, shorter
from ccd_core.cli.verbs.app import browser_app
from ccd_core.cli.verbs.classes import classes
from ccd_core.cli.verbs.data import data_app
from ccd_core.cli.verbs.export import export
from ccd_core.cli.verbs.gradio import gradio_app, space
from ccd_core.cli.verbs.jobs import jobs_app
from ccd_core.cli.verbs.predict import evaluate, predict
from ccd_core.cli.verbs.report import report
from ccd_core.cli.verbs.run import run
from ccd_core.cli.verbs.runs import runs_app
from ccd_core.cli.verbs.settings import doctor, settings
from ccd_core.cli.verbs.study import study
from ccd_core.cli.verbs.sweep import sweep
from ccd_core.cli.verbs.table import table
from ccd_core.errors import UserError
from ccd_core.machine.heap import keep_freed_memory

# They compute and end.
COMPUTING = ("run", "table", "sweep", "study", "predict", "eval")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Multi-label image classifiers from images without labels (CCD).",
)
# In the order in which a person meets them.
app.command()(doctor)
app.add_typer(data_app, name="data")
app.command()(classes)
app.command()(run)
app.command("app")(browser_app)
app.add_typer(runs_app, name="runs")
app.add_typer(jobs_app, name="jobs")
app.command()(predict)
app.command("eval")(evaluate)
app.command()(export)
app.command()(report)
app.command("gradio")(gradio_app)
app.command()(space)
app.command()(settings)
app.command()(table)
app.command()(sweep)
app.command()(study)


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if context.invoked_subcommand in COMPUTING:
        keep_freed_memory()
    os.environ["CCD_DEBUG"] = "1" if debug else os.environ.get("CCD_DEBUG", "")


def main(command: Callable[..., Any] = app) -> None:
    """Run the command line; a user's mistake becomes one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a stream of another program, or one that is closed
            # A terminal may know ASCII only, and a file's name may be no text at all.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        command()
    except UserError as error:
        if os.environ.get("CCD_DEBUG"):
            raise
        say("[bold red]Error:[/] {}", shorter(str(error)), to=messages)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG or os.environ.get("CCD_DEBUG"):
            _unforeseen(error)
        name = shorter(str(error.filename))
        say("[bold red]Error:[/] The name {} is too long for a file.", name, to=messages)
        sys.exit(2)
    except RuntimeError as error:
        _unforeseen(error)


def _unforeseen(error: OSError | RuntimeError) -> NoReturn:
    if os.environ.get("CCD_DEBUG"):
        raise error
    say("[bold red]Error:[/] {} (ccd --debug shows where)", shorter(str(error)), to=messages)
    sys.exit(1)


if __name__ == "__main__":
    main()
