"""Compare in a real browser: from the table to a missing run that is started and finishes there."""

from __future__ import annotations

import shutil
from urllib.parse import parse_qs, urlparse

import pytest

from ccd_core.baselines.tables import write_table
from ccd_core.comparison.collect import collect_table
from ccd_core.comparison.plan import table_runs
from ccd_core.runs.run import Run
from tests.browser.conftest import served
from tests.browser.waiting import settled

pytestmark = pytest.mark.browser


@pytest.fixture
def space(tiny_run, tmp_path):
    """A workspace with a comparison that has CCD's run, and misses that of CLIP alone."""
    folder = tmp_path / "runs" / "both"
    shutil.copytree(tiny_run.path, folder / "runs" / "ccd-0")
    planned = table_runs(tiny_run.config, ["ccd", "clip_zero_shot"], [0], "common", folder)
    write_table(folder, collect_table(planned, tiny_run.config, [0], "common", folder))
    return tmp_path / "runs"


def test_a_missing_run_is_started_by_key_and_its_score_comes_into_the_table(page, space):
    with served(space) as address:
        page.goto(f"{address}/compare")
        settled(page)
        page.wait_for_url(lambda url: parse_qs(urlparse(url).query).get("comparison") == ["both"])
        page.get_by_role("radio", name="Runs").click()
        page.wait_for_url("**compare_part=Runs*")
        start = page.get_by_role("button", name="Start the missing one")
        start.focus()
        page.keyboard.press("Enter")
        page.get_by_text("Nothing is missing").wait_for(timeout=150_000)
        page.get_by_role("radio", name="Methods").click()
        page.locator("[data-testid=stPlotlyChart]").get_by_text("CLIP zero-shot").wait_for()
        settled(page)
        assert page.locator("[data-testid=stException]").count() == 0
    run = Run.open(space / "both" / "runs" / "clip_zero_shot-0")
    assert run.status == "finished" and run.config.method.name == "clip_zero_shot"
