"""CAM boxes and the gallery as a person uses them: by mouse, by keys, by a copied link."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import script, settled
from tests.support import wait_for

pytestmark = pytest.mark.browser
FOCUSED = script("focused_id.js")


def test_from_the_grid_by_keys_to_an_image_and_on_and_back_by_its_link(page, address, browser):
    page.goto(f"{address}/cam_boxes?run=tiny&layout=Grid")
    page.locator(".tile").nth(3).wait_for()
    expect(page.locator(".tile")).to_have_count(24)
    page.wait_for_function(
        "() => [...document.querySelectorAll('*')].some((host) => host.shadowRoot?.querySelector('.tile "
        "img')?.naturalWidth)"
    )
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    image = page.evaluate(FOCUSED)
    page.keyboard.press("Enter")
    page.locator(".chips button.on").wait_for()
    page.wait_for_url(f"**image={image}*")

    page.keyboard.press("a")  # all classes at once
    page.locator(".chips button").nth(2).click()
    chosen = page.locator(".chips button.on").inner_text().split("\n")[0]
    box = page.locator("input.offset").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    offset = page.locator("output.o3").inner_text()
    page.wait_for_url(f"**offset={offset.split()[1]}*")
    settled(page)

    page.keyboard.press("ArrowRight")  # the slider has given the keys back
    page.wait_for_function("(image) => !location.search.includes(`image=${image}&`)", arg=image)
    settled(page)
    other = browser.new_page()
    other.goto(page.url + ("&" if "?" in page.url else "?") + "run=tiny")
    other.locator(".chips button.on").wait_for()
    settled(other)
    wait_for(lambda: other.locator(".chips button.on").inner_text().split("\n")[0] == chosen)
    expect(other.locator("output.o3")).to_have_text(offset)
    expect(other.locator(".toggles button[data-show=a]")).to_have_attribute("aria-pressed", "true")
    other.close()


def test_other_cam_methods_stand_side_by_side_and_clip_is_asked_about_views_as_set(page, address):
    page.goto(f"{address}/cam_boxes?run=tiny&methods=true&as_set=true&view=0")
    page.locator(".maps figure").nth(4).wait_for()
    assert page.locator(".maps figcaption").all_inner_texts() == [
        "CAM",
        "Grad-CAM",
        "Grad-CAM++",
        "LayerCAM",
        "Eigen-CAM",
    ]
    page.locator(".card").nth(2).wait_for()  # the whole image and a view of nearly every class
    assert page.locator("[data-testid=stException]").count() == 0
