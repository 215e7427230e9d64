"""`ccd app`: open the browser app, for this machine's user alone or, with a token, for others too."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console

from ccd_core.cli.options import Workspace
from ccd_core.errors import UserError
from ccd_core.paths import ROOT

console = Console()


def browser_app(
    run_path: Annotated[Path | None, typer.Option("--run", help="The run to open.")] = None,
    workspace: Workspace = Path("runs"),
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            "--images",
            help="With --token: a folder that its pages may read, beside the workspace and its runs' data sets. Repeatable.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    address: Annotated[
        str,
        typer.Option(help="Address to listen on; anything but 127.0.0.1 lets others in and needs --token."),
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            help="auto: make one and print the link; or your own; none: no token, where a proxy in front asks who it is."
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser window.")
    ] = True,
) -> None:
    """Open the browser app."""
    _guard(address, port, token)
    root = ROOT
    if run_path:
        from ccd_core.runs.run import Run

        Run.open(run_path)
        os.environ["CCD_OPEN_RUN"] = str(run_path.resolve())
    os.environ["CCD_RUNS"] = str(workspace.resolve())
    for folder in data or []:
        if not folder.is_dir():
            raise UserError(f"There is no folder {folder} for --data.")
    os.environ["CCD_DATA"] = os.pathsep.join(str(folder.resolve()) for folder in data or [])
    headless = not (open_browser and (os.environ.get("DISPLAY") or sys.platform == "darwin"))
    arguments = [
        f"--server.port={port}",
        f"--server.address={address}",
        f"--server.headless={str(headless).lower()}",
    ]
    os.environ.setdefault(
        "MALLOC_ARENA_MAX", "2"
    )  # a thread a rerun: with an arena each, large arrays come and go in more memory than they need
    os.chdir(root)  # .streamlit/config.toml is found from here
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", "app/main.py", *arguments])


def _guard(address: str, port: int, token: str | None) -> None:
    """Set the app's token and say what listening on `address` means."""
    os.environ.pop("CCD_TOKEN", None)
    open_to_others = address not in ("127.0.0.1", "localhost", "::1")
    os.environ["CCD_SHARED"] = (
        "1" if open_to_others or token is not None else ""
    )  # app/roots.py: which folders are read for others
    if open_to_others and token is None:
        raise UserError(
            f"On {address} everyone who reaches this machine could start and delete runs and look at the images of your runs; "
            "add --token auto, which lets in only who has the link it prints (or --token none behind a proxy that asks who it is)."
        )
    if token not in (None, "none"):
        if token != "auto" and len(token or "") < 16:
            raise UserError("A token needs at least 16 characters; --token auto makes a good one.")
        os.environ["CCD_TOKEN"] = secrets.token_urlsafe(32) if token == "auto" else str(token)
        host = socket.gethostname() if address in ("0.0.0.0", "::") else address
        console.print(
            f"Open http://{host}:{port}/?token={quote(os.environ['CCD_TOKEN'])}",
            soft_wrap=True,
            highlight=False,
        )
    if open_to_others:
        console.print(
            "[yellow]Who has this link can start, stop and delete runs and read the workspace, the data sets of its runs and the folders of --data.[/] What is sent is not encrypted: "
            "outside of a network that you trust, use an SSH tunnel or a proxy with TLS.",
            soft_wrap=True,
        )
