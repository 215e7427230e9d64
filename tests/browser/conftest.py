"""One app on the tiny run and one browser for all journeys."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import free_port, wait_for_server

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def served(workspace: Path, *options: str) -> Iterator[str]:
    """The address of an app on `workspace`, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "ccd_core.cli", "app", "--no-browser", "--port", str(port)]
    log = workspace.parent / f"app-{port}.txt"
    with open(log, "w") as output:
        process = subprocess.Popen(
            [*command, "--workspace", str(workspace), *options],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for_server(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def address(tiny_run):
    with served(tiny_run.path.parent) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 1300, "height": 1100})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()
