"""View lab and Labels in a real browser: the crop is dragged and CLIP's bars follow; a picture leads to its
labels.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import script, settled

pytestmark = pytest.mark.browser
BARS = ".rows .fill"
FINE = ".all[data-fine=yes]"  # CLIP has been asked about every crop of the maps
FOCUSED = script("focused_with_ring.js")


def opened(page, address, query: str = "") -> None:
    page.goto(f"{address}/view_lab?run=tiny{query}")
    page.locator(FINE).wait_for()
    settled(page)
    page.locator(".all[data-exact=yes]").wait_for()


def image_of(link: str) -> str:
    return parse_qs(urlparse(link).query)["image"][0]


def widths(page) -> list[str]:
    return page.locator(BARS).evaluate_all("(bars) => bars.map((bar) => bar.style.width)")


def test_bars_follow_a_dragged_crop_and_the_exact_answer_comes_when_it_rests(page, address):
    opened(page, address)
    before, crop = widths(page), page.locator(".crop")
    place = crop.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 2 + 90, place["y"] + place["height"] / 2 + 40, steps=4)
    assert (
        page.locator(".all").get_attribute("data-exact") == "no" and "≈" in page.locator(".says").inner_text()
    )
    # No round trip to the server in between.
    assert widths(page) != before and crop.bounding_box()["x"] > place["x"]
    page.mouse.up()
    page.locator(".all[data-exact=yes]").wait_for()
    expect(page.locator(".says")).not_to_contain_text("≈")
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
    assert crop.bounding_box()["x"] > before["x"] and crop.bounding_box()["width"] == pytest.approx(
        before["width"], abs=1
    )
    page.keyboard.press("Shift+ArrowRight")
    assert crop.bounding_box()["width"] > before["width"]
    page.locator(".all[data-exact=yes]").wait_for()
    page.wait_for_url(re.compile(r"crop=0\.22"))
    # The arrow keys were the crop's; when it lets go of them they turn to other images.
    image = image_of(page.url)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(image) => !location.search.includes(image)", arg=image)


def test_keys_pressed_while_an_answer_is_on_its_way_are_not_lost(page, address):
    opened(page, address, "&crop=0.2%2C+0.2%2C+0.6%2C+0.6")
    page.locator(".crop").focus()
    for _ in range(6):
        page.keyboard.press("ArrowDown")
        # Time enough for each to be reported, and for its answer to come between the next ones.
        page.wait_for_timeout(320)
    page.wait_for_url(re.compile(r"crop=0\.2%2C\+0\.32%2C\+0\.6%2C\+0\.72"))
    settled(page)
    expect(page.get_by_label("Crop: x0")).to_have_value("0.2, 0.32, 0.6, 0.72")


def test_every_control_is_reached_by_tab_and_shows_that_it_is(page, address):
    opened(page, address)
    page.get_by_label("Find by file name").focus()
    reached = []
    while len(reached) < 40 and not (reached and "After debiasing" in reached[-1]["name"]):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    names = [one["name"] for one in reached]
    assert names[0].startswith("crop: arrow keys") and "after debiasing" in names[1] and "heat" in names[2]
    assert {"Class", "the crop"} <= set(names) and any(name.startswith("Crop: x0") for name in names)
    rows = page.locator(".rows button").all_inner_texts()
    assert [name for name in names if name in rows] == rows
    assert all(one["ring"] for one in reached[: 3 + len(rows)])


def test_a_copied_link_opens_the_same_view(page, address, browser):
    opened(page, address)
    page.locator(".t-heat").check()
    page.wait_for_url("**heat=true*")
    page.locator(".t-debias").check()
    page.wait_for_url("**debiased=true*")
    page.locator(".rows button").nth(2).click()
    page.wait_for_url("**class=*")
    settled(page)
    # The same switch once more, above the curves.
    expect(page.get_by_role("switch", name="After debiasing")).to_be_checked()
    other = browser.new_page()
    other.set_default_timeout(60_000)
    other.goto(page.url)
    other.locator(FINE).wait_for()
    assert (
        other.locator(".t-heat").is_checked()
        and other.locator(".t-debias").is_checked()
        and other.locator(".heat").is_visible()
    )
    assert (
        other.locator(".rows button[aria-pressed=true]").inner_text()
        == page.locator(".rows button[aria-pressed=true]").inner_text()
    )
    other.locator(".t-heat").uncheck()
    other.wait_for_function("() => !location.search.includes('heat')")
    other.close()


def test_next_image_and_a_dragged_crop_are_answered_while_clip_is_still_being_asked(page, address):
    page.goto(f"{address}/view_lab?run=tiny&image=train_000020")
    page.locator(".all[data-exact=yes]").wait_for()
    page.locator(".all").evaluate(script("watch_states.js"))
    for _ in range(3):
        image = image_of(page.url)
        page.get_by_role("button", name="Next").click()
        page.wait_for_function("(image) => !location.search.includes(image)", arg=image)
        page.locator(f".stage img[src*={image_of(page.url)}]").wait_for()
    page.locator(".all[data-exact=yes]").wait_for()
    page.locator(".crop").focus()
    page.keyboard.press("ArrowUp")
    page.wait_for_url(re.compile(r"crop=0\.3%2C\+0\.28"))
    page.locator(FINE).wait_for()  # the maps come all the same
    assert "yes no" in page.evaluate("states")  # but after the image's own bars
    assert (
        page.locator(".stage img").get_attribute("src").count(image_of(page.url))
        and page.locator("[data-testid=stException]").count() == 0
    )


@pytest.fixture
def phone(browser):
    context = browser.new_context(viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    yield opened
    context.close()


def swipe(page, start: tuple[float, float], by: tuple[float, float], steps: int = 8) -> None:
    session = page.context.new_cdp_session(page)
    for step in range(steps + 1):
        point = {"x": start[0] + by[0] * step / steps, "y": start[1] + by[1] * step / steps}
        session.send(
            "Input.dispatchTouchEvent",
            {"type": "touchMove" if step else "touchStart", "touchPoints": [point]},
        )
        page.wait_for_timeout(16)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_moves_and_resizes_the_crop_and_beside_it_the_page_scrolls(phone, address):
    opened(phone, address, "&crop=0.3%2C+0.3%2C+0.7%2C+0.7")
    crop = phone.locator(".crop")
    crop.scroll_into_view_if_needed()
    scrolled = "() => document.querySelector('[data-testid=stMain]').scrollTop"
    top, before = phone.evaluate(scrolled), crop.bounding_box()
    middle = (before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    swipe(phone, middle, (60, -30))
    after = crop.bounding_box()
    assert after["x"] == pytest.approx(before["x"] + 60, abs=4) and after["y"] == pytest.approx(
        before["y"] - 30, abs=4
    )
    assert after["width"] == pytest.approx(before["width"], abs=1) and phone.evaluate(scrolled) == top
    phone.locator(".all[data-exact=yes]").wait_for()
    swipe(phone, (after["x"] + 3, after["y"] + 3), (-40, -20))  # the corner
    larger = crop.bounding_box()
    assert larger["width"] == pytest.approx(after["width"] + 40, abs=4) and larger["height"] == pytest.approx(
        after["height"] + 20, abs=4
    )
    phone.wait_for_url(re.compile("crop="))
    settled(phone)

    stage = phone.locator(".stage").bounding_box()
    swipe(phone, (stage["x"] + 12, stage["y"] + stage["height"] - 8), (0, -150))
    phone.wait_for_timeout(300)
    assert phone.evaluate(scrolled) > top + 60
    assert crop.bounding_box()["width"] == pytest.approx(larger["width"], abs=1)
    stage = phone.locator(".stage").bounding_box()
    # A tap brings the crop there.
    phone.touchscreen.tap(stage["x"] + stage["width"] - 8, stage["y"] + stage["height"] - 8)
    box, stage = crop.bounding_box(), phone.locator(".stage").bounding_box()
    assert box["x"] + box["width"] == pytest.approx(stage["x"] + stage["width"], abs=3)


def test_an_upload_is_looked_at_and_a_bad_file_is_a_sentence(page, address, tiny_scenes, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    page.goto(f"{address}/view_lab?run=tiny&source=Upload")
    page.locator("input[type=file]").set_input_files(str(tmp_path / "broken.jpg"))
    page.locator("[data-testid=stAlertContentError]").first.wait_for()
    assert (
        "broken.jpg is not an image" in page.locator("[data-testid=stAlertContentError]").first.inner_text()
    )
    page.locator("input[type=file]").set_input_files(str(next((tiny_scenes / "JPEGImages").glob("val*.jpg"))))
    page.locator(FINE).wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_picture_whose_label_changes_most_opens_with_all_its_labels(page, address):
    page.goto(
        f"{address}/labels?run=tiny&show=The+whole+data+set&label_part=Images+that+change+most&alpha=0.9"
    )
    tile = page.locator(".tile").first
    image = tile.get_attribute("data-id")
    tile.click()
    page.get_by_text(f"{image}: ").wait_for()
    page.wait_for_url(re.compile(f"image={image}"))
