from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tiny_config

BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def tiny_scenes(tmp_path_factory) -> Path:
    """A VOC-style data set of 40 + 16 toy scenes."""
    from ccd_core.toy.scenes import write_dataset

    return write_dataset(tmp_path_factory.mktemp("scenes"), {"train": 40, "val": 16})


@pytest.fixture(autouse=True, scope="session")
def home(tiny_scenes, tmp_path_factory) -> Iterator[Path]:
    """A $CCD_HOME of the tests' own, for their processes too; the demo's 2,000 images are 56 there."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "toy-scenes-v2").symlink_to(tiny_scenes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CCD_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_run(tiny_scenes, tmp_path_factory):
    """A finished run on the tiny scenes. Tests only read it; `copied_run` gives a copy to write into."""
    from ccd_core.execution import run_ccd

    return run_ccd(tiny_config(tiny_scenes), tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def recorded_teachers():
    """The two CLIPs of tests/golden, loaded once."""
    from tests.golden_cases import recorded_teachers

    return recorded_teachers()


@pytest.fixture
def copied_run(tiny_run, tmp_path):
    """`copied_run("runs/odd")`: a copy of the tiny run in that folder of the test, which may change it.

    It has no digests, as a run of an earlier version, so that the other checks of its files are tested.
    """
    from ccd_core.runs.run import Run

    def copy(name: str = "run") -> Run:
        shutil.copytree(tiny_run.path, tmp_path / name)
        (tmp_path / name / "digests.json").unlink()
        return Run.open(tmp_path / name)

    return copy


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Iterator[Path]:
    """A workspace with a queue and a cache of its own; what is left running there ends with the test."""
    from ccd_core.jobs import control

    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    for job in control.list_jobs(folder):
        if job.active and job.state["pid"] != os.getpid():
            control.end_group(job.state)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers (`make test`), a file stays on one, and all browser tests share one browser."""
    for item in items:
        folder = item.path.parent
        group = folder.name if folder.name == "browser" else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of a process."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=BROWSER_FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A new tab."""
    opened = browser.new_page(viewport={"width": 1300, "height": 1100})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()


@pytest.fixture
def no_nohup() -> Iterator[None]:
    """A closed terminal is heard, also where the tests themselves were started with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
