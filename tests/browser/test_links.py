"""From page to page: by mouse and by keys, with the run, the image and the class kept in the link."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlparse

import pytest

from ccd_core.evaluation.thresholds import in_use
from tests.browser.waiting import settled

pytestmark = pytest.mark.browser


def named(page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}


def test_a_copied_link_names_the_run_even_where_it_is_the_default(page, address):
    page.goto(address)
    settled(page)
    page.wait_for_url("**run=*")


def test_the_strips_cards_lead_to_their_pages_by_click_and_by_key(page, address):
    page.goto(f"{address}/?run=tiny")
    page.locator(".strip button").nth(5).wait_for()
    assert page.locator(".strip .title").all_inner_texts() == [
        "Images",
        "CLIP's global labels",
        "CLIP bias",
        "Local views",
        "Final labels",
        "Classifier",
    ]
    page.locator(".strip button").nth(5).click()
    page.wait_for_url("**/results*")
    assert named(page)["run"] == "tiny"
    page.go_back()
    page.locator(".strip button").nth(2).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/clip_bias*")
    assert named(page)["run"] == "tiny"
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0


def test_a_picture_of_clip_bias_opens_its_labels(page, address):
    page.goto(f"{address}/clip_bias?run=tiny")
    tile = page.locator(".tile").first
    image = tile.get_attribute("data-id")
    tile.click()
    page.wait_for_url("**/labels*")
    assert named(page) == {"run": "tiny", "image": image}
    page.get_by_text(f"{image}: ").wait_for()
    page.get_by_role("link", name="View lab").click()  # the sidebar keeps both
    page.wait_for_url(re.compile(f"view_lab.*image={image}"))
    assert named(page)["run"] == "tiny"


def test_settings_of_labels_go_to_train(page, address):
    page.goto(f"{address}/labels?run=tiny&show=The+whole+data+set&alpha=0.7")
    page.get_by_role("link", name="Train with these settings").click()
    page.wait_for_url("**/train*")
    assert named(page)["run"] == named(page)["from"] == "tiny" and "labels.alpha=0.7" in named(page)["set"]


def test_most_wrong_images_of_validation_open_here_those_of_training_on_cam_boxes(page, address):
    page.goto(f"{address}/results?run=tiny&part=Most+wrong")
    tile = page.locator(".tile").first
    label = tile.locator(".caption").inner_text().rpartition(" ")[0]
    tile.click()
    page.get_by_text(f"what speaks for {label}").wait_for()
    page.goto(f"{address}/results?run=tiny&part=Most+wrong&split=training+images")
    tile = page.locator(".tile[data-id^=train]").first
    image, label = tile.get_attribute("data-id"), tile.locator(".caption").inner_text().rpartition(" ")[0]
    tile.click()
    page.wait_for_url("**/cam_boxes*")
    assert {name: named(page)[name] for name in ("run", "image", "of")} == {
        "run": "tiny",
        "image": image,
        "of": label,
    }


def test_predict_is_tried_by_one_click_and_by_key(page, address):
    page.goto(f"{address}/predict?run=tiny")
    page.locator(".tile").nth(1).wait_for()
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    image = page.locator(".tile").nth(1).get_attribute("data-id")
    page.get_by_role("heading", name=image).wait_for()
    assert named(page)["example"] == image
    page.get_by_text("heat is what speaks for it").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    header, row = download.value.path().read_text().splitlines()
    assert header.startswith("image,labels,") and row.startswith(image)


def test_a_class_goes_on_to_the_next_page_only_where_somebody_chose_it(page, address):
    page.goto(f"{address}/clip_bias?run=tiny")
    page.get_by_text("Images where CLIP says").wait_for()  # of the least favoured class, which nobody chose
    page.get_by_role("link", name="CAM boxes").click()
    page.locator(".chips button.on").wait_for()
    settled(page)
    page.get_by_text("of 40").wait_for()
    assert "class" not in named(page)
    page.get_by_role("combobox", name="Images with a view of").click()
    page.get_by_role("option").nth(2).click()
    page.wait_for_url("**class=*")
    chosen = named(page)["class"]
    page.get_by_role("link", name="CLIP bias").click()
    page.get_by_text(f"Images where CLIP says {chosen} first").wait_for()


def threshold_of(page, name: str):
    """The slider of a class, by its name: which slider comes first is not settled while a page is being
    drawn.
    """
    return page.locator("[data-testid=stSlider]").filter(has=page.get_by_text(name, exact=True))


def test_thresholds_of_classes_are_in_the_link(page, address, browser, tiny_run):
    page.goto(f"{address}/predict?run=tiny&limits=Each+class")
    settled(page)
    slider = threshold_of(page, tiny_run.classes[2]).locator("input[type=range], [role=slider]")
    slider.focus()
    first = round(100 * in_use(tiny_run).values[tiny_run.classes[2]])
    for step in (1, 2, 3):
        slider.press("ArrowRight")
        page.wait_for_url(f"**each=2%3A{(first + step) / 100:.2g}*")
    last = f"{(first + 3) / 100:.2f}"
    other = browser.new_page()
    other.goto(page.url)
    threshold_of(other, tiny_run.classes[2]).get_by_text(last).wait_for()
    assert float(named(other)["each"].removeprefix("2:")) == float(last)
    other.close()


@pytest.mark.parametrize(
    ("link", "part", "shown"),
    [
        ("clip_bias?run=tiny&bias_part=Before+and+after", "Bias by class", "Images where CLIP says {} first"),
        (
            "labels?run=tiny&show=The+whole+data+set&alpha=0.9&label_part=Class+by+class",
            "Images that change most",
            "{} ",
        ),
    ],
)
def test_a_click_on_a_class_opens_the_part_with_its_images(page, address, tiny_run, link, part, shown):
    page.goto(f"{address}/{link}")
    page.locator("[data-testid=stPlotlyChart] .ytick").first.wait_for()
    settled(page)
    point = page.locator("[data-testid=stPlotlyChart]").last.locator(".scatterlayer .point").first
    chosen = page.locator("[data-testid=stPlotlyChart]").last.locator(".ytick").first.text_content()
    box = point.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("radio", name=part, checked=True).wait_for()
    page.wait_for_url("**class=*")
    assert chosen in tiny_run.classes and named(page)["class"] == chosen
    page.get_by_text(re.compile("^" + re.escape(shown.format(chosen)))).first.wait_for()
