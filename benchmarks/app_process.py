"""The app in a process of its own and the browser that looks at it, for the benchmarks that measure both."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

from playwright.sync_api import Browser, Playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def open_browser(playwright: Playwright) -> Browser:
    """Chromium or Chrome of this machine. Exits with a sentence where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        sys.exit("This benchmark needs chromium or google-chrome on the PATH.")
    return playwright.chromium.launch(executable_path=path, args=list(FLAGS))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def app_command(port: int, workspace: Path) -> list[str]:
    """The command that starts the app on `workspace` without opening a browser."""
    options = ["--no-browser", "--port", str(port), "--workspace", str(workspace)]
    return [sys.executable, "-m", "ccd_core.cli", "app", *options]
