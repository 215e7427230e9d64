"""The app in a real browser: what a person does first on the pages that AppTest cannot drive."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import settled

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    "name", ["", "clip_bias", "cam_boxes", "labels", "view_lab", "results", "compare", "predict", "train"]
)
def test_every_page_paints(page, address, name):
    page.goto(f"{address}/{name}?run=tiny")
    settled(page)
    assert (
        page.locator("[data-testid=stException]").count() == 0
        and page.locator("[data-testid=stAlertContentError]").count() == 0
    )


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
    # No round trip to the server in between.
    assert widths[0] == tight and widths[0] < widths[1] <= tight + 80
    boxes = []
    for step in (69, 0):
        page.locator("input.cam").evaluate(
            f"(e) => {{ e.value = {step}; e.dispatchEvent(new Event('input')) }}"
        )
        boxes.append(float(page.locator("rect.cam-box").get_attribute("width")))
    assert boxes[1] > boxes[0]


def test_an_upload_gets_labels_and_a_bad_one_a_sentence(page, address, tiny_scenes, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    good = next(iter(sorted((Path(tiny_scenes) / "JPEGImages").glob("val*.jpg"))))
    page.goto(f"{address}/predict?run=tiny&threshold=0.01")
    page.locator("input[type=file]").set_input_files([str(good), str(tmp_path / "broken.jpg")])
    page.get_by_text("broken.jpg", exact=False).first.wait_for()
    expect(page.locator("[data-testid=stAlertContentError]").first).to_contain_text("broken.jpg")
    page.get_by_role("button", name="CSV").wait_for()
    labels = page.locator("[data-testid=stButtonGroup]", has_text="What speaks for").get_by_role("radio")
    label = labels.nth(1).inner_text().rpartition(" ")[0]
    labels.nth(1).click()
    page.get_by_text(f"{label}: heat is what speaks for it").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_threshold_is_moved_its_numbers_follow_and_the_link_keeps_it(page, address):
    page.goto(f"{address}/results?run=tiny&part=Thresholds")
    number = page.locator("[data-testid=stMetric]", has_text="Labels an image").locator(
        "[data-testid=stMetricValue]"
    )
    number.wait_for()
    before = number.inner_text()
    page.get_by_role("slider").first.focus()
    page.keyboard.press("Home")
    page.get_by_text("16.00", exact=True).wait_for()
    assert before != "16.00"
    page.wait_for_url("**threshold=0*")
    page.reload()
    page.get_by_text("16.00", exact=True).wait_for()


def test_a_table_is_searched_but_downloaded_by_the_pages_own_button_alone(page, address):
    """Streamlit's own download would write a class that is named as a formula as it is."""
    page.goto(f"{address}/results?run=tiny")
    page.get_by_text("Table", exact=True).click()
    page.locator("[data-testid=stDataFrame]").hover()
    page.get_by_role("button", name="Search").wait_for()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
    page.get_by_role("button", name="Download the table as CSV").wait_for()
