"""The app in a real browser: what a person does first on the pages that AppTest cannot drive."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", ["", "clip_bias", "cam_boxes", "labels", "view_lab", "results", "predict", "train"])
def test_every_page_paints(page, address, name):
    page.goto(f"{address}/{name}?run=tiny")
    page.wait_for_selector("h1")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    assert page.locator("[data-testid=stException]").count() == 0 and page.locator("[data-testid=stAlertContentError]").count() == 0


def test_boxes_move_while_a_slider_is_dragged(page, address):
    page.goto(f"{address}/cam_boxes?run=tiny")
    slider = page.locator("input.offset")
    slider.wait_for()
    page.locator(".chips button.on").wait_for()
    page.locator("input.view").evaluate("(e) => { e.value = 0; e.dispatchEvent(new Event('input')) }")
    widths = []
    for value in (0, 40):
        slider.evaluate(f"(e) => {{ e.value = {value}; e.dispatchEvent(new Event('input')) }}")
        widths.append(float(page.locator("rect.view-box").get_attribute("width")))
    tight = float(page.locator("rect.cam-box").get_attribute("width"))
    assert widths[0] == tight and widths[0] < widths[1] <= tight + 80  # no round trip to the server in between
    boxes = []
    for step in (69, 0):
        page.locator("input.cam").evaluate(f"(e) => {{ e.value = {step}; e.dispatchEvent(new Event('input')) }}")
        boxes.append(float(page.locator("rect.cam-box").get_attribute("width")))
    assert boxes[1] > boxes[0]


def test_an_upload_gets_labels_and_a_bad_one_a_sentence(page, address, tiny_scenes, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    good = next(iter(sorted((Path(tiny_scenes) / "JPEGImages").glob("val*.jpg"))))
    page.goto(f"{address}/predict?run=tiny&threshold=0.01")
    page.locator("input[type=file]").set_input_files([str(good), str(tmp_path / "broken.jpg")])
    page.get_by_text("broken.jpg", exact=False).first.wait_for()
    page.locator("[data-testid=stAlertContentError]").first.wait_for()
    assert "broken.jpg" in page.locator("[data-testid=stAlertContentError]").first.inner_text()
    page.get_by_role("button", name="CSV").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_run_is_started_watched_stopped_and_deleted(page, address, tiny_run, tiny_scenes):
    from ccd_core.runs import Run

    page.goto(f"{address}/train?from=tiny&set=training.epochs=3")
    name = page.get_by_role("textbox", name="Run name", exact=True)
    name.fill("../outside")
    name.press("Enter")
    page.get_by_text("letters, digits, dots").wait_for()
    assert page.get_by_role("button", name="Start", exact=True).is_disabled()
    name.fill("from-browser")
    name.press("Enter")
    page.get_by_text("letters, digits, dots").wait_for(state="hidden")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("button", name="Stop").wait_for()
    seed = page.get_by_role("spinbutton", name="seed")
    seed.fill("41")  # not yet handed in: renewals of the jobs below must leave it alone
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Resume").wait_for()
    assert seed.input_value() == "41"
    run = Run.open(tiny_run.path.parent / "from-browser")
    assert run.status == "stopped" and run.config.training.epochs == 3
    card = page.locator(".st-key-job_from-browser")
    card.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete ...").click()
    page.get_by_role("button", name="Delete for good").click()
    card.wait_for(state="hidden")
    assert not run.path.exists()


@pytest.fixture
def guarded(tiny_run):
    """An app with a token of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ccd_core.cli", "app", "--no-browser", "--port", str(port), "--workspace", str(tiny_run.path.parent)]
    process = subprocess.Popen([*command, "--token", "a-token-for-this-test"], stdout=subprocess.DEVNULL, start_new_session=True)
    until = time.time() + 60
    while time.time() < until and socket.socket().connect_ex(("127.0.0.1", port)):
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=20)


def test_with_a_token_only_its_link_opens_the_app(guarded, page, tiny_run):
    image = tiny_run.load_global()["ids"][0]
    for path in ("/", "/train", f"/thumb/tiny/{image}", "/_stcore/health", "/_stcore/upload_file", "/?token=wrong"):
        assert page.request.get(guarded + path).status == 401, path
    page.goto(f"{guarded}/train?token=a-token-for-this-test&job=tiny")
    page.get_by_role("heading", name="Train").wait_for()  # the websocket was let in
    assert "token" not in page.url and "job=tiny" in page.url
    page.context.clear_cookies()
    assert page.request.get(guarded).status == 401
