"""View lab and Labels in a real browser: the crop is dragged and CLIP's bars follow; a picture leads to its labels."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.browser
BARS = ".rows .fill"


def opened(page, address, query: str = "") -> None:
    page.goto(f"{address}/view_lab?run=tiny{query}")
    page.get_by_text("Where would CLIP see").wait_for()  # the whole grid has been asked about
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.locator(".all[data-exact=yes]").wait_for()


def widths(page) -> list[str]:
    return page.locator(BARS).evaluate_all("(bars) => bars.map((bar) => bar.style.width)")


def test_bars_follow_a_dragged_crop_and_the_exact_answer_comes_when_it_rests(page, address):
    opened(page, address)
    before, crop = widths(page), page.locator(".crop")
    place = crop.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 2 + 90, place["y"] + place["height"] / 2 + 40, steps=4)
    assert page.locator(".all").get_attribute("data-exact") == "no" and "≈" in page.locator(".says").inner_text()
    assert widths(page) != before and crop.bounding_box()["x"] > place["x"]  # no round trip to the server in between
    page.mouse.up()
    page.locator(".all[data-exact=yes]").wait_for()
    assert "≈" not in page.locator(".says").inner_text()
    page.wait_for_url(re.compile("crop="))
    page.reload()
    page.locator(".all[data-exact=yes]").wait_for()
    assert crop.bounding_box()["x"] == pytest.approx(place["x"] + 90, abs=3)


def test_the_crop_is_moved_and_resized_by_keys(page, address):
    opened(page, address, "&crop=0.2%2C+0.2%2C+0.6%2C+0.6")
    crop = page.locator(".crop")
    before = crop.bounding_box()
    crop.focus()
    page.keyboard.press("ArrowRight")
    assert crop.bounding_box()["x"] > before["x"] and crop.bounding_box()["width"] == pytest.approx(before["width"], abs=1)
    page.keyboard.press("Shift+ArrowRight")
    assert crop.bounding_box()["width"] > before["width"]
    page.locator(".all[data-exact=yes]").wait_for()
    page.wait_for_url(re.compile(r"crop=0\.22"))


def test_an_upload_is_looked_at_and_a_bad_file_is_a_sentence(page, address, tiny_scenes, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    page.goto(f"{address}/view_lab?run=tiny&source=Upload")
    page.locator("input[type=file]").set_input_files(str(tmp_path / "broken.jpg"))
    page.locator("[data-testid=stAlertContentError]").first.wait_for()
    assert "broken.jpg is not an image" in page.locator("[data-testid=stAlertContentError]").first.inner_text()
    page.locator("input[type=file]").set_input_files(str(next((tiny_scenes / "JPEGImages").glob("val*.jpg"))))
    page.get_by_text("Where would CLIP see").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_picture_whose_label_changes_most_opens_with_all_its_labels(page, address):
    page.goto(f"{address}/labels?run=tiny&show=The+whole+data+set&alpha=0.9")
    tile = page.locator(".tile").first
    image = tile.get_attribute("data-id")
    tile.click()
    page.get_by_text(f"{image}: ").wait_for()
    page.wait_for_url(re.compile(f"image={image}"))
