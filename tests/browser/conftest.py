"""One app on the tiny run for all journeys. The browser is in tests/conftest.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support import free_port, wait_for_server

# A page may need a moment to follow what was done on it, and longer on a busy machine.
expect.set_options(timeout=30_000)


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
