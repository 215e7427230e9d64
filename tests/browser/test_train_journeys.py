"""Starting, watching, stopping and deleting a run in a real browser; an app that asks for a token."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import served

pytestmark = pytest.mark.browser


def test_a_run_is_started_watched_stopped_and_deleted(page, address, tiny_run, tiny_scenes):
    from ccd_core.runs.run import Run

    page.goto(f"{address}/train?from=tiny&set=training.epochs=3")
    name = page.get_by_role("textbox", name="Run name", exact=True)
    name.fill("../outside")
    name.press("Enter")
    page.get_by_text("letters, digits, dots").wait_for()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    name.fill("from-browser")
    name.press("Enter")
    page.get_by_text("letters, digits, dots").wait_for(state="hidden")
    page.get_by_role("button", name="Start", exact=True).click()
    # While a script runs, Streamlit's own header has a button Stop, too.
    card = page.locator(".st-key-job_from-browser")
    card.get_by_role("button", name="Stop").wait_for()
    seed = page.get_by_role("spinbutton", name="seed")
    seed.fill("41")  # not yet handed in: renewals of the jobs below must leave it alone
    card.get_by_role("button", name="Stop").click()
    card.get_by_role("button", name="Resume").wait_for()
    assert seed.input_value() == "41"
    run = Run.open(tiny_run.path.parent / "from-browser")
    assert run.status == "stopped" and run.config.training.epochs == 3
    card.get_by_role("button", name="More").click()
    delete = page.get_by_role("button", name="Delete ...")
    delete.click()
    page.get_by_role("button", name="Delete for good").click()
    card.wait_for(state="hidden")
    assert not run.path.exists()


@pytest.fixture
def guarded(tiny_run):
    """An app with a token of its own."""
    with served(tiny_run.path.parent, "--token", "a-token-for-this-test") as address:
        yield address


def test_with_a_token_only_its_link_opens_the_app(guarded, page, tiny_run):
    image = tiny_run.load_global()["ids"][0]
    for path in (
        "/",
        "/train",
        f"/thumb/tiny/{image}",
        "/_stcore/health",
        "/_stcore/upload_file",
        "/?token=wrong",
    ):
        assert page.request.get(guarded + path).status == 401, path
    page.goto(f"{guarded}/train?token=a-token-for-this-test&job=tiny")
    page.get_by_role("heading", name="Train").wait_for()  # the websocket was let in
    page.wait_for_url("**job=tiny*")
    assert "token" not in page.url
    page.context.clear_cookies()
    assert page.request.get(guarded).status == 401
