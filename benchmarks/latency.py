"""How long a person waits in the app: every interaction in chromium, and what the app's process holds.

python benchmarks/latency.py RUN [RUN ...] [--repeat 10] [--only NAME ...] [--json]

RUN is a finished run's folder, such as assets/demo_run or one of benchmarks/synthetic_run.py; several come
side by side. An interaction is a generator in `INTERACTIONS`: it opens its page, then yields one time in
milliseconds after another, of which the median and the 95th percentile are shown. Times run from the gesture
to the frame in which its effect is painted, as the browser's own clock has it, so what playwright does in
between does not count. The first one, which finds nothing read yet, is told apart. `own` is the processor
time of the app's process for one gesture: what the app itself works, whatever else the machine and the
browser are busy with.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app_process import App, open_browser
from playwright.sync_api import Page, sync_playwright

PAGES = {
    "clip_bias": "CLIP bias",
    "cam_boxes": "CAM boxes",
    "labels": "Labels",
    "view_lab": "View lab",
    "results": "Results",
    "predict": "Predict",
    "train": "Train",
}
FILLED = ".all[data-fine=yes]"  # View lab, where CLIP has been asked about every crop of the maps
IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
# Resolves with the milliseconds from `act` until `done` is true in a painted frame.
WATCH = """
([act, done]) => new Promise((resolve, reject) => {
  const began = performance.now(), ready = new Function("return " + done), limit = began + 60000;
  new Function(act)();
  const look = () => {
    if (ready()) return requestAnimationFrame(() => resolve(performance.now() - began));
    if (performance.now() > limit) return reject(new Error("nothing came of: " + act));
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})
"""
DEEP = """
window.deep = (selector, root = document) => root.querySelector(selector)
  || [...root.querySelectorAll("*")].reduce(
    (found, host) => found || (host.shadowRoot && deep(selector, host.shadowRoot)), null);
window.press = (text) => [...document.querySelectorAll("[data-testid=stButton] button")]
  .find((button) => button.innerText.includes(text)).click();
window.settled = () => !!document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]");
"""
# Makes `redrawn` resolve with the milliseconds to the painted frame after the last change of a page whose
# figures were redrawn. Streamlit's own "running" may come and go between two frames, so the page at rest is
# one that nothing changes any more for 300 milliseconds.
REDRAWN = """
() => {
  const began = performance.now(), channel = new MessageChannel();
  let last = 0, drawn = false;
  channel.port1.onmessage = () => { last = performance.now(); };
  const observer = new MutationObserver((changes) => {
    drawn ||= changes.some(({ target }) =>
      target.closest?.("[data-testid=stPlotlyChart]") || target.querySelector?.(".js-plotly-plot"));
    requestAnimationFrame(() => channel.port2.postMessage(0));  // arrives when that frame has been painted
  });
  observer.observe(document.querySelector("[data-testid=stMain]"),
    {subtree: true, childList: true, attributes: true, characterData: true});
  window.redrawn = new Promise((resolve, reject) => {
    const look = () => {
      const now = performance.now();
      if (drawn && last && settled() && now - last > 300) { observer.disconnect(); resolve(last - began); }
      else if (now - began > 20000) { observer.disconnect(); reject(new Error("no figure was redrawn")); }
      else setTimeout(look, 20);
    };
    look();
  });
}
"""


Interaction = Callable[[App, Page], Iterator[float]]


def settle(page: Page) -> None:
    page.wait_for_selector("h1")
    page.wait_for_selector(IDLE)
    page.evaluate(DEEP)


def timed(page: Page, act: str, done: str) -> float:
    return page.evaluate(WATCH, [act, done])


def start_to_first_paint(app: App, page: Page) -> Iterator[float]:
    while True:
        began = time.perf_counter()
        other = App(app.run)
        try:
            page.goto(other.address())
            page.wait_for_selector("h1")
            app.others_ms += other.worked_ms()
            yield 1000 * (time.perf_counter() - began)
        finally:
            other.close()


def open_run(app: App, page: Page) -> Iterator[float]:
    """CAM boxes' grid, the page that needs most of a run, in a process that has read nothing yet."""
    while True:
        other = App(app.run)
        try:
            page.goto(other.address("train"))
            settle(page)
            began = time.perf_counter()
            worked = other.worked_ms()
            page.goto(other.address("cam_boxes", layout="Grid"))
            page.locator(".tile img").first.wait_for()
            app.others_ms += other.worked_ms() - worked
            yield 1000 * (time.perf_counter() - began)
        finally:
            other.close()


def switch_to(name: str) -> Interaction:
    def interaction(app: App, page: Page) -> Iterator[float]:
        home = "document.querySelector('[data-testid=stSidebarNav] a')"
        link = f"[data-testid=stSidebarNav] a[href*='/{name}']"
        page.goto(app.address())
        settle(page)
        if not page.locator(link).count():
            return
        while True:
            yield timed(
                page,
                f"""document.querySelector("{link}").click()""",
                f"document.querySelector('h1')?.innerText === {PAGES[name]!r} && settled()",
            )
            timed(
                page,
                f"{home}.click()",
                f"document.querySelector('h1')?.innerText !== {PAGES[name]!r} && settled()",
            )

    return interaction


def slider_released(page_name: str, place: int = 0, **query: str) -> Interaction:
    """A native slider, from the key that sets it to the page at rest with its figures redrawn."""

    def interaction(app: App, page: Page) -> Iterator[float]:
        page.goto(app.address(page_name, **query))
        settle(page)
        handle = (
            page.locator("[data-testid=stSlider]")
            .nth(place)
            .locator("input[type=range], [role=slider]")
            .first
        )
        for key in itertools.cycle(["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"]):
            page.wait_for_timeout(400)
            handle.focus()
            page.evaluate(REDRAWN)
            handle.press(key)
            yield page.evaluate("() => window.redrawn")

    return interaction


def grid_page_turned(app: App, page: Page) -> Iterator[float]:
    """From the click on "next page" to the first new image loaded and painted."""
    page.goto(app.address("cam_boxes", layout="Grid"))
    page.locator(".tile img").first.wait_for()
    settle(page)
    while True:
        page.wait_for_timeout(300)
        page.evaluate("window.before = deep('.tile').dataset.id")
        act = "[...document.querySelectorAll('[data-testid=stPagination] button')].pop().click()"
        loaded = "deep('.tile img').complete && deep('.tile img').naturalWidth > 0"
        yield timed(page, act, f"deep('.tile').dataset.id !== before && {loaded}")


def boxes_dragged(app: App, page: Page) -> Iterator[float]:
    """From the slider's input event to the painted frame with the boxes of all classes redrawn."""
    page.goto(app.address("cam_boxes", show="hbva", view="0"))
    page.locator(".chips button.on").wait_for()
    settle(page)
    for place in itertools.cycle(range(0, 240, 8)):
        # A message sent from the frame's callback arrives when that frame has been painted.
        yield page.evaluate(f"""() => new Promise((resolve) => {{
          const slider = deep('input.offset'), channel = new MessageChannel(), began = performance.now();
          channel.port1.onmessage = () => resolve(performance.now() - began);
          slider.value = {place};
          slider.dispatchEvent(new Event('input'));
          requestAnimationFrame(() => channel.port2.postMessage(0));
        }})""")


def boxes_drawn(app: App, page: Page) -> Iterator[float]:
    """The same without waiting for the frame: time in the event's handler alone."""
    page.goto(app.address("cam_boxes", show="hbva", view="0"))
    page.locator(".chips button.on").wait_for()
    settle(page)
    for place in itertools.cycle(range(0, 240, 8)):
        yield page.evaluate(f"""() => {{
          const slider = deep('input.offset'), began = performance.now();
          slider.value = {place};
          slider.dispatchEvent(new Event('input'));
          return performance.now() - began;
        }}""")


def next_image(page_name: str, picture: str, ready: str) -> Interaction:
    """From "next" to the next image loaded and the page at rest, with the predictor's answers, if any."""

    def interaction(app: App, page: Page) -> Iterator[float]:
        page.goto(app.address(page_name))
        page.locator(ready).first.wait_for()
        settle(page)
        image = f"deep('{picture}')"
        done = f"{image} && {image}.src !== before && {image}.complete && settled()"
        while True:
            page.wait_for_timeout(300)
            page.evaluate(f"window.before = {image}.src")
            yield timed(page, "press('Next')", done)

    return interaction


def view_lab_turned(button: str, done: str) -> Interaction:
    """From the button to another image, to CLIP's answer about its crop, and to `done`.

    Nobody has asked about that image before.
    """

    def interaction(app: App, page: Page) -> Iterator[float]:
        page.goto(app.address("view_lab"))
        page.locator(FILLED).wait_for()
        settle(page)
        image = "deep('.stage img')"
        shown = f"{image}.src !== before && {image}.complete && deep('.all').dataset.exact === 'yes'"
        while True:
            page.wait_for_timeout(300)
            page.evaluate(f"window.before = {image}.src")
            yield timed(page, f"press('{button}')", f"{shown} && {done}")
            page.locator(FILLED).wait_for()
            settle(page)

    return interaction


def crop_dragged(app: App, page: Page) -> Iterator[float]:
    """From the pointer's move to the frame with the bars that follow the crop."""
    page.goto(app.address("view_lab"))
    page.locator(FILLED).wait_for()
    settle(page)
    place = page.locator(".crop").bounding_box()
    assert place
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.down()
    for step in itertools.count():
        yield page.evaluate(f"""() => new Promise((resolve) => {{
          const crop = deep('.crop'), at = crop.getBoundingClientRect(), channel = new MessageChannel();
          const began = performance.now();
          channel.port1.onmessage = () => resolve(performance.now() - began);
          crop.dispatchEvent(new PointerEvent('pointermove', {{
            clientX: at.x + at.width / 2 + {5 if step % 16 < 8 else -5}, clientY: at.y + at.height / 2,
            bubbles: true, pointerId: 1, buttons: 1,
          }}));
          requestAnimationFrame(() => channel.port2.postMessage(0));
        }})""")


INTERACTIONS: dict[str, Interaction] = {
    "app start to first paint": start_to_first_paint,
    "open the run": open_run,
    **{f"switch to {title}": switch_to(name) for name, title in PAGES.items()},
    "CLIP bias: entropy slider": slider_released("clip_bias"),
    "CLIP bias, before and after: slider": slider_released("clip_bias", bias_part="Before%20and%20after"),
    "Labels, data set: alpha slider": slider_released("labels", show="The%20whole%20data%20set"),
    "Labels, class by class: alpha slider": slider_released(
        "labels", show="The%20whole%20data%20set", label_part="Class%20by%20class"
    ),
    "Results: threshold slider": slider_released("results", part="Thresholds"),
    "grid: next page": grid_page_turned,
    "boxes under a dragged slider": boxes_dragged,
    "boxes: handler alone": boxes_drawn,
    "CAM boxes: next image": next_image("cam_boxes", ".stage img", ".chips button.on"),
    "Labels: next image": next_image("labels", ".ccd-stage img", ".ccd-stage img"),
    "View lab: crop dragged": crop_dragged,
    "View lab: next image": view_lab_turned("Next", "true"),
    "View lab: next image, all crops asked": view_lab_turned(
        "Previous", "deep('.all').dataset.fine === 'yes' && settled()"
    ),
}
FEW = 3  # repetitions of what starts a process, or asks CLIP about hundreds of crops
SLOW = ("app start to first paint", "open the run", "View lab: next image, all crops asked")


def measure(run: Path, repeat: int, only: list[str]) -> dict[str, object]:
    rows: dict[str, dict[str, float]] = {}
    app = App(run)
    try:
        with sync_playwright() as playwright:
            browser = open_browser(playwright)
            for name, interaction in INTERACTIONS.items():
                if only and not any(part in name for part in only):
                    continue
                page = browser.new_page(viewport={"width": 1300, "height": 1000})
                page.set_default_timeout(60_000)
                steps = interaction(app, page)
                first = next(steps, None)
                if first is not None:
                    worked = app.worked_ms()
                    times = sorted(itertools.islice(steps, FEW if name in SLOW else repeat))
                    rows[name] = {
                        "median_ms": round(statistics.median(times), 1),
                        "p95_ms": round(times[min(len(times) - 1, int(0.95 * len(times)))], 1),
                        "first_ms": round(first, 1),
                        "own_ms": round((app.worked_ms() - worked) / len(times), 1),
                        "times": len(times),
                    }
                    print(f"{name:36} {line(rows[name])}", file=sys.stderr)
                steps.close()  # type: ignore[attr-defined] - generators, which may have an app to close
                page.close()
            browser.close()
        return {"run": str(run), "interactions": rows, "app": app.held(), "load": os.getloadavg()[0]}
    finally:
        app.close()


def line(row: dict[str, float] | None) -> str:
    return "".join(
        f"{row[key]:9.0f}" if row else f"{'-':>9}" for key in ("median_ms", "p95_ms", "first_ms", "own_ms")
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument(
        "--only", nargs="*", default=[], help="parts of the names of the interactions to measure"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = [measure(run.resolve(), arguments.repeat, arguments.only) for run in arguments.runs]
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{'milliseconds':36}" + "".join(f"  {Path(str(one['run'])).name:>34}" for one in found))
    print(f"{'interaction':36}" + f"  {'median':>7}{'95 %':>9}{'first':>9}{'own':>9}" * len(found))
    for name in INTERACTIONS:
        rows = [one["interactions"].get(name) for one in found]  # type: ignore[attr-defined]
        if any(rows):
            print(f"{name:36}" + "".join(line(row) for row in rows))
    for one in found:
        held: dict = one["app"]  # type: ignore[assignment]
        torch = f"torch loaded: {held['torch']}"
        print(f"{one['run']}: app process {held['rss_mib']} MiB, {torch}; load at the end {one['load']:.1f}")


if __name__ == "__main__":
    main()
