"""Every page for people who use keys or hear it: Tab comes to every control and past it, one sees where it
is, and what is shown has a name.
"""

from __future__ import annotations

import itertools

import pytest

from tests.browser.waiting import script, settled

pytestmark = pytest.mark.browser
PAGES = [
    "",
    "clip_bias",
    "cam_boxes",
    "cam_boxes?layout=Grid",
    "labels",
    "labels?show=The+whole+data+set",
    "view_lab",
    "results?part=Classes",
    "results?part=Thresholds",
    "results?part=Most+wrong",
    "compare",
    "predict",
    "train?job=tiny",
]
BACKGROUND = "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
MOST = 150  # presses of Tab, more than any page has controls

# Where the focus is, through shadow roots; and how the element that it has just left looked with it and looks
# without it. A control may draw its focus on the frame around it or on what is beside it.
STEP = script("focus_step.js")

UNNAMED = script("unnamed.js")

# Text that is hard to read: less than 4.5 : 1 against the colours behind it (WCAG AA). Icons, what is
# disabled, and what stands on pictures or inside of bars, where the colour behind it is not known here, are
# left out.
FAINT = script("faint.js")


def opened(browser, address: str, path: str, theme: str = "light"):
    page = browser.new_page(viewport={"width": 1300, "height": 1100}, color_scheme=theme)
    page.set_default_timeout(60_000)
    page.goto(f"{address}/{path}{'&' if '?' in path else '?'}run=tiny")
    settled(page)
    return page


@pytest.mark.parametrize(
    ("path", "then"), zip(PAGES, itertools.cycle([("dark", "light"), ("light", "dark")]), strict=False)
)
def test_tab_walks_the_page_the_focus_is_seen_and_everything_has_a_name(browser, address, path, then):
    """The page is looked at in both colours, and walked in the second one."""
    first, second = then
    page = opened(browser, address, path, first)
    assert page.evaluate(UNNAMED) == [] and page.evaluate(FAINT) == []
    background = page.evaluate(BACKGROUND)
    page.emulate_media(color_scheme=second)  # the app follows at once
    page.wait_for_function(f"before => ({BACKGROUND})() !== before", arg=background)
    settled(page)
    assert page.evaluate(FAINT) == []
    tiles = 0
    for _ in range(MOST):
        page.keyboard.press("Tab")
        step = page.evaluate(STEP)
        assert not step["hidden"], f"nobody sees that {step['hidden']!r} has the focus"
        if step["over"]:
            break
        assert not step["stays"], f"{step['name']!r} keeps the focus"
        tiles += step["tile"]
    else:
        pytest.fail("Tab never comes round")
    assert tiles <= 2  # a gallery is one stop, and its arrow keys do the rest; CLIP bias has two
    page.close()


def test_an_explanation_opens_by_enter_and_closes_by_escape(browser, address):
    page = opened(browser, address, "clip_bias")
    page.get_by_role("button", name="Explain").focus()
    page.keyboard.press("Enter")
    text = page.get_by_text("because their names are ambiguous")
    text.wait_for()
    page.keyboard.press("Escape")
    text.wait_for(state="hidden")
    page.close()
