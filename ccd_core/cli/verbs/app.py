"""`ccd app`: open the browser app, for this machine's user alone or, with a token, for others too."""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from ccd_core.cli.options import AllowedHosts, Workspace, name_hosts
from ccd_core.cli.text import say
from ccd_core.errors import UserError
from ccd_core.machine.host_names import ANY_ADDRESS, LOOPBACK, given_name, own_names
from ccd_core.machine.users import other_people
from ccd_core.paths import ROOT

LEAST_TOKEN = 16  # characters
# A rerun is a thread. With an arena for each, large arrays come and go in more memory than they need.
MALLOC_ARENAS = "2"


def browser_app(
    run_path: Annotated[Path | None, typer.Option("--run", help="The run to open.")] = None,
    workspace: Workspace = Path("runs"),
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            "--images",
            help="A folder that the app's pages may read where others reach it, beside the workspace and the "
            "data sets of its runs. Repeatable.",
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
            help="auto: make one and print the link; or your own; none: no token, where a proxy in front "
            "asks who it is."
        ),
    ] = None,
    allowed_host: AllowedHosts = None,
    base_path: Annotated[
        str,
        typer.Option(
            metavar="/PATH",
            help="The app is at http://HOST:PORT/PATH, for a proxy that gives it only this part of a site.",
        ),
    ] = "",
    open_browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser window.")
    ] = True,
) -> None:
    """Open the browser app."""
    names = name_hosts(allowed_host)
    base = _base(base_path)
    if address not in ANY_ADDRESS:
        given_name(address)
    _guard(address, token, proxied=bool(names))
    if run_path:
        from ccd_core.runs.run import Run

        Run.open(run_path)
        os.environ["CCD_OPEN_RUN"] = str(run_path.resolve())
    os.environ["CCD_RUNS"] = str(workspace.resolve())
    for folder in data or []:
        if not folder.is_dir():
            raise UserError(f"There is no folder {folder} for --data.")
    os.environ["CCD_DATA"] = os.pathsep.join(str(folder.resolve()) for folder in data or [])
    _say_who_reaches_it(address, port, base, names)
    headless = not (open_browser and (os.environ.get("DISPLAY") or sys.platform == "darwin"))
    arguments = [
        f"--server.port={port}",
        f"--server.address={address}",
        f"--server.headless={str(headless).lower()}",
        f"--server.baseUrlPath={base}",
        *(f"--server.allowedHosts={name}" for name in _names_for_streamlit(address, names)),
    ]
    os.environ.setdefault("MALLOC_ARENA_MAX", MALLOC_ARENAS)
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", "app/main.py", *arguments])


def _base(path: str) -> str:
    """`/tools/ccd/` as `tools/ccd`. Raises UserError for what is no path of a site."""
    parts = path.strip("/")
    if parts and not re.fullmatch(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", parts):
        raise UserError(
            f"--base-path takes a path such as /ccd, of letters, digits and dashes; got {path!r}."
        )
    return parts


def _names_for_streamlit(address: str, names: list[str]) -> list[str]:
    """Streamlit's own check of names stands behind the app's; it does not know where a connection arrives."""
    return sorted(own_names(address)) + names if address in LOOPBACK else ["*"]


def _guard(address: str, token: str | None, proxied: bool) -> None:
    """Set the app's token, and say in $CCD_SHARED whether others reach the app."""
    os.environ.pop("CCD_TOKEN", None)
    open_to_others = address not in LOOPBACK
    # Read by app/reading/readable_folders.py: an app of others reads some folders only.
    os.environ["CCD_SHARED"] = "1" if open_to_others or proxied or token is not None else ""
    if open_to_others and token is None:
        raise UserError(
            f"On {address} everyone who reaches this machine could start and delete runs and look at the "
            "images of your runs; add --token auto, which lets in only who has the link it prints "
            "(or --token none behind a proxy that asks who it is)."
        )
    if token in (None, "none"):
        return
    if token == "auto":
        os.environ["CCD_TOKEN"] = secrets.token_urlsafe(32)
    elif len(str(token)) < LEAST_TOKEN:
        raise UserError(f"A token needs at least {LEAST_TOKEN} characters; --token auto makes a good one.")
    elif not str(token).isprintable():
        raise UserError("A token has letters, digits and signs only; --token auto makes a good one.")
    else:
        os.environ["CCD_TOKEN"] = str(token)


def _say_who_reaches_it(address: str, port: int, base: str, names: list[str]) -> None:
    """Print the link with the token, and what somebody should know about who else can open the app."""
    token = os.environ.get("CCD_TOKEN")
    if token:
        host = socket.gethostname() if address in ANY_ADDRESS else address
        place = f"{base}/" if base else ""
        named = f"[{host}]" if ":" in host else host
        say("Open http://{}:{}/{}?token={}", named, port, place, quote(token, safe=""))
    if names and token:
        say("Through the proxy, put ?token={} behind its own address.", quote(token, safe=""))
    elif names:
        say(
            "{}",
            f"Whoever reaches {', '.join(names)} can start, stop and delete runs: the proxy has to ask who "
            "it is, or add --token auto.",
        )
    if address not in LOOPBACK:
        say(
            "{}",
            f"Who has {'this link' if token else 'access'} can start, stop and delete runs and read the "
            "workspace, the data sets of its runs and the folders of --data. What is sent is not encrypted: "
            "outside of a network that you trust, use an SSH tunnel or a proxy with TLS (docs/security.md).",
        )
    elif not token and not names and (people := other_people()):
        say(
            "{}",
            f"Other people have accounts on this machine ({', '.join(people[:5])}"
            f"{', ...' if len(people) > 5 else ''}). They can open this app too, and it reads what you can "
            "read. To keep it to yourself, start it with --token auto.",
        )
