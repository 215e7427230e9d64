"""Every page for people who use keys or hear it: Tab comes to every control and past it, one sees where it is, and what is shown has a name."""

from __future__ import annotations

import pytest

from tests.browser.waiting import settled

pytestmark = pytest.mark.browser
PAGES = ["", "clip_bias", "cam_boxes", "cam_boxes?layout=Grid", "labels", "labels?show=The+whole+data+set", "view_lab",
         *(f"results?part={part}" for part in ("Classes", "Thresholds", "Most+wrong")), "predict", "train?job=tiny"]  # fmt: skip
MOST = 150  # presses of Tab, more than any page has controls

# Where the focus is, through shadow roots; and how the element that it has just left looked with it and looks without it. A control may draw
# its focus on the frame around it or on what is beside it.
STEP = """() => {
  for (const host of [document, ...[...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean)]) {
    if (host.still) continue;
    host.still = document.createElement("style"); host.still.textContent = "* { transition: none !important; }";
    (host.head || host).append(host.still);
  }
  const look = (one) => { const s = getComputedStyle(one); return [s.outline, s.boxShadow, s.borderColor, s.backgroundColor].join("|"); };
  const name = (one) => (one.getAttribute("aria-label") || one.innerText || one.outerHTML).slice(0, 60);
  const was = window.focusWas, shown = was && was.parts.some((one, k) => look(one) !== was.looks[k]);
  let at = document.activeElement, parts = [];
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  for (let up = at, k = 0; up && up !== document.body && k < 4; up = up.parentElement, k++) parts.push(up, ...(up.parentElement?.children || []));
  parts = parts.slice(0, 40);
  window.focusWas = { at, parts, looks: parts.map(look) };
  if (at !== document.body) window.focusFirst ??= at;
  return { over: at === document.body || (was && was.at !== document.body && at === window.focusFirst), stays: was?.at === at, name: name(at), tile: at.matches(".tile"),
           hidden: was && was.at !== document.body && was.at.tagName !== "MAIN" && !shown ? name(was.at) : "" };
}"""

UNNAMED = """() => {
  const hosts = [document, ...[...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean)];
  const all = (what) => hosts.flatMap((host) => [...host.querySelectorAll(what)]).filter((one) => one.getClientRects().length);
  const bare = (one) => !(one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.title || one.textContent.trim());
  const named = (chart) => [chart, ...chart.querySelectorAll("*")].some((one) => (one.getAttribute("aria-label") || "").includes(": "));
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter((one) => one.getClientRects().length).map((one) => +one.tagName[1]);
  return [
    ...(document.documentElement.lang ? [] : ["the page has no language"]),
    ...all("img:not([alt])").map((one) => `no alt: ${one.src}`),
    ...all("button, a[href], [role=button]").filter((one) => bare(one) && !one.querySelector("img[alt], svg[aria-label]")).map((one) => `no name: ${one.outerHTML.slice(0, 120)}`),
    ...all("[data-testid=stPlotlyChart]").filter((one) => !named(one)).map(() => "a figure does not say what it shows"),
    ...levels.filter((level, k) => level > (levels[k - 1] ?? 0) + 1).map((level) => `h${level} after ${levels}`),
  ];
}"""

# Text that is hard to read: less than 4.5 : 1 against the colours behind it (WCAG AA). Icons, what is disabled, and what stands on pictures or
# inside of bars, where the colour behind it is not known here, are left out.
FAINT = """() => {
  const hosts = [document, ...[...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean)];
  const up = (one) => one.parentElement || one.getRootNode().host;
  const rgba = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number), scale = colour.startsWith("color") ? 255 : 1;
    return [r * scale, g * scale, b * scale, a];
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((value, k) => value * a + ground[k] * (1 - a));
  const linear = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const skipped = "style, script, title, desc, .bartext-inside, .scene *, .stage *, .tile .badge, [disabled] *, [aria-disabled=true] *, [data-testid=stIconMaterial], [role=img], [data-testid=stSliderThumbValue] *, .katex-mathml *";
  const faint = [];
  for (const one of hosts.flatMap((host) => [...host.querySelectorAll("*")])) {
    const text = [...one.childNodes].filter((child) => child.nodeType === 3).map((child) => child.textContent.trim()).join("");
    if (!text || text === "…" || one.matches(skipped) || !one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true, contentVisibilityAuto: true })) continue;
    const chain = [];
    for (let at = one; at; at = up(at)) chain.unshift(at);
    const styles = chain.map((at) => getComputedStyle(at)), own = styles.at(-1), drawn = !!one.ownerSVGElement;
    const ground = styles.reduce((below, style) => over(rgba(style.backgroundColor), below), [255, 255, 255]);
    const colour = rgba(drawn ? own.fill : own.color);
    colour[3] *= styles.reduce((all, style) => all * style.opacity, 1) * (drawn ? own.fillOpacity : 1);
    const [light, dark] = [luminance(over(colour, ground)), luminance(ground)].sort((a, b) => b - a);
    if ((light + 0.05) / (dark + 0.05) < 4.5) faint.push(`${text.slice(0, 40)} (${((light + 0.05) / (dark + 0.05)).toFixed(1)} : 1, ${one.tagName} ${one.className.baseVal ?? one.className})`);
  }
  return faint;
}"""


def opened(browser, address: str, path: str, theme: str = "light"):
    page = browser.new_page(viewport={"width": 1300, "height": 1100}, color_scheme=theme)
    page.set_default_timeout(60_000)
    page.goto(f"{address}/{path}{'&' if '?' in path else '?'}run=tiny")
    settled(page)
    return page


@pytest.mark.parametrize(("path", "theme"), [*((path, "light") for path in PAGES), ("cam_boxes", "dark")])
def test_tab_walks_the_page_the_focus_is_seen_and_everything_has_a_name(browser, address, path, theme):
    page = opened(browser, address, path, theme)
    assert page.evaluate(UNNAMED) == [] and page.evaluate(FAINT) == []
    if theme == "light":
        page.emulate_media(color_scheme="dark")  # the app follows at once
        page.wait_for_function(
            "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor !== 'rgb(255, 255, 255)'"
        )
        settled(page)
        assert page.evaluate(FAINT) == []
        page.emulate_media(color_scheme="light")
        settled(page)
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
