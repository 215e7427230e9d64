"""The app in a process of its own and the browser that looks at it, for the benchmarks that measure both."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import psutil
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


class App:
    """The app in a process of its own, on a run."""

    def __init__(self, run: Path, log: IO[str] | None = None):
        """log: an open file that the app prints to."""
        self.run = run
        self.others_ms = 0.0  # what apps that an interaction started beside this one have worked
        self.port = free_port()
        environment = os.environ | {"CCD_OPEN_RUN": str(run)}
        self.process = subprocess.Popen(
            app_command(self.port, run.parent),
            env=environment,
            stdout=log or subprocess.DEVNULL,
            stderr=log or subprocess.DEVNULL,
            start_new_session=True,
        )
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                sys.exit("The app did not start.")
            time.sleep(0.02)

    def address(self, page: str = "", **query: str) -> str:
        asked = "&".join(f"{key}={value}" for key, value in ({"run": self.run.name} | query).items())
        return f"http://127.0.0.1:{self.port}/{page}?{asked}"

    def worked_ms(self) -> float:
        """Processor time of the app's process so far, and of those an interaction measured in its place."""
        clock = ~self.process.pid << 3 | 2  # Linux: the process's own clock
        return self.others_ms + 1000 * time.clock_gettime(clock)

    def held(self) -> dict[str, object]:
        """Memory of the app's process, without the predictor's, and whether torch is loaded in it."""
        process = psutil.Process(self.process.pid)
        return {
            "rss_mib": round(process.memory_info().rss / 2**20),
            "torch": any("libtorch" in file.path for file in process.memory_maps()),
        }

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
