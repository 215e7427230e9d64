"""`ccd report`: one or several runs as a single HTML file to mail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ccd_core.cli.text import say
from ccd_core.errors import UserError


def report(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs; several are compared.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The file to write, by default RUN-report.html in this folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="With images of the data set.")
    ] = True,
) -> None:
    """Write one HTML file about a run: settings, curves, AP, bias, boxes, the most wrong images.

    ccd report runs/photos

    ccd report runs/first runs/second --out compared.html
    """
    from ccd_core.files import write_atomic
    from ccd_core.report import html_report
    from ccd_core.runs.run import Run

    runs = [Run.open(path) for path in paths]
    if out is None:
        name = paths[0].resolve().name
        out = Path(
            f"{name}-report.html" if len(paths) == 1 else f"{name}-and-{len(paths) - 1}-more-report.html"
        )
    if out.is_dir():
        raise UserError(f"{out} is a folder; name a file with --out.")
    if os.path.lexists(out) and not force:
        raise UserError(f"{out} exists; choose another --out, or replace it with --force.")
    page = html_report(runs, pictures)
    try:
        write_atomic(out, page)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}.") from None
    say("{} is a page of {} MB with all that it needs inside.", out, f"{len(page.encode()) / 1e6:.1f}")
