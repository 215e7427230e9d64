"""How long a person waits in the app: every interaction in chromium, median and 95th percentile, and what the app's process holds.

python benchmarks/latency.py RUN [--repeat 10] [--only NAME ...] [--json]

RUN is a finished run's folder, such as assets/demo_run or one of benchmarks/synthetic_run.py. An interaction is a generator in
`INTERACTIONS`: it opens its page, then yields one time in milliseconds after another. Times run from the gesture to the frame in which
its effect is painted, as the browser's own clock has it, so what playwright does in between does not count.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PAGES = {"clip_bias": "CLIP bias", "cam_boxes": "CAM boxes", "labels": "Labels", "view_lab": "View lab", "results": "Results", "predict": "Predict",
         "train": "Train"}  # fmt: skip
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
  || [...root.querySelectorAll("*")].reduce((found, host) => found || (host.shadowRoot && deep(selector, host.shadowRoot)), null);
window.settled = () => !!document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]");
"""


class App:
    """The app in a process of its own, on a run."""

    def __init__(self, run: Path):
        self.run = run
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = os.environ | {"CCD_OPEN_RUN": str(run)}
        command = [sys.executable, "-m", "ccd_core.cli", "app", "--no-browser", "--port", str(self.port), "--workspace", str(run.parent)]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                sys.exit("The app did not start.")
            time.sleep(0.02)

    def address(self, page: str = "", **query: str) -> str:
        asked = "&".join(f"{key}={value}" for key, value in ({"run": self.run.name} | query).items())
        return f"http://127.0.0.1:{self.port}/{page}?{asked}"

    def held(self) -> dict[str, object]:
        """Memory of the app's process alone, and whether torch is loaded in it; the predictor is another process."""
        process = psutil.Process(self.process.pid)
        return {"rss_mib": round(process.memory_info().rss / 2**20), "torch": any("libtorch" in file.path for file in process.memory_maps())}

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


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
            yield 1000 * (time.perf_counter() - began)
        finally:
            other.close()


def open_run(app: App, page: Page) -> Iterator[float]:
    """The first time a process that has read nothing yet shows CAM boxes' grid, the page that needs most of a run."""
    while True:
        other = App(app.run)
        try:
            page.goto(other.address("train"))
            settle(page)
            began = time.perf_counter()
            page.goto(other.address("cam_boxes", layout="Grid"))
            page.locator(".tile img").first.wait_for()
            yield 1000 * (time.perf_counter() - began)
        finally:
            other.close()


def switch_to(name: str) -> Interaction:
    def interaction(app: App, page: Page) -> Iterator[float]:
        home, link = "document.querySelector('[data-testid=stSidebarNav] a')", f"[data-testid=stSidebarNav] a[href*='/{name}']"
        page.goto(app.address())
        settle(page)
        if not page.locator(link).count():
            return
        while True:
            yield timed(
                page, f"""document.querySelector("{link}").click()""", f"document.querySelector('h1')?.innerText === {PAGES[name]!r} && settled()"
            )
            timed(page, f"{home}.click()", f"document.querySelector('h1')?.innerText !== {PAGES[name]!r} && settled()")

    return interaction


def slider_released(app: App, page: Page) -> Iterator[float]:
    """A native slider, from the key that sets it to the page at rest with its figures redrawn: the entropy threshold."""
    page.goto(app.address("clip_bias"))
    settle(page)
    handle = page.locator("[data-testid=stSlider]").first.locator("input[type=range], [role=slider]").first
    for key in itertools.cycle(["ArrowRight", "ArrowLeft"]):
        page.wait_for_timeout(400)
        handle.focus()
        page.evaluate("() => { window.ran = false; new MutationObserver((_, o) => { if (!settled()) { window.ran = true; o.disconnect(); } })"
                      ".observe(document.querySelector('[data-testid=stApp]'), {attributes: true}); window.began = performance.now(); }")  # fmt: skip
        handle.press(key)
        yield page.evaluate("() => new Promise((r) => { const look = () => window.ran && settled() ? requestAnimationFrame(() => r(performance.now() - began)) "
                            ": requestAnimationFrame(look); look(); })")  # fmt: skip


def grid_page_turned(app: App, page: Page) -> Iterator[float]:
    """From the click on "next page" to the first new image loaded and painted."""
    page.goto(app.address("cam_boxes", layout="Grid"))
    page.locator(".tile img").first.wait_for()
    settle(page)
    while True:
        page.wait_for_timeout(300)
        page.evaluate("window.before = deep('.tile').dataset.id")
        act = "[...document.querySelectorAll('[data-testid=stPagination] button')].pop().click()"
        yield timed(page, act, "deep('.tile').dataset.id !== before && deep('.tile img').complete && deep('.tile img').naturalWidth > 0")


def boxes_dragged(app: App, page: Page) -> Iterator[float]:
    """From the slider's input event to the painted frame with the boxes of all classes redrawn: the component's own work."""
    page.goto(app.address("cam_boxes", show="hbva", view="0"))
    page.locator(".chips button.on").wait_for()
    settle(page)
    for place in itertools.cycle(range(0, 240, 8)):
        # A message sent from the frame's callback arrives when that frame has been painted.
        yield page.evaluate(f"""() => new Promise((resolve) => {{
          const slider = deep('input.offset'), began = performance.now(), channel = new MessageChannel();
          channel.port1.onmessage = () => resolve(performance.now() - began);
          slider.value = {place}; slider.dispatchEvent(new Event('input'));
          requestAnimationFrame(() => channel.port2.postMessage(0));
        }})""")


def boxes_drawn(app: App, page: Page) -> Iterator[float]:
    """The same without waiting for the frame: time in the event's handler alone."""
    page.goto(app.address("cam_boxes", show="hbva", view="0"))
    page.locator(".chips button.on").wait_for()
    settle(page)
    for place in itertools.cycle(range(0, 240, 8)):
        yield page.evaluate(
            f"() => {{ const s = deep('input.offset'), t = performance.now(); s.value = {place}; s.dispatchEvent(new Event('input')); return performance.now() - t; }}"
        )


def next_image(app: App, page: Page) -> Iterator[float]:
    """From "next" to the next image loaded with its boxes; the predictor computes its maps on the way."""
    page.goto(app.address("cam_boxes"))
    page.locator(".chips button.on").wait_for()
    settle(page)
    act = "[...document.querySelectorAll('[data-testid=stButton] button')].find((b) => b.innerText.includes('Next')).click()"
    while True:
        page.wait_for_timeout(300)
        page.evaluate("window.before = deep('.stage img').src")
        yield timed(page, act, "deep('.stage img').src !== before && deep('.stage img').complete && settled()")


INTERACTIONS: dict[str, Interaction] = {
    "app start to first paint": start_to_first_paint,
    "open the run": open_run,
    **{f"switch to {title}": switch_to(name) for name, title in PAGES.items()},
    "slider released, figures redrawn": slider_released,
    "grid: next page": grid_page_turned,
    "boxes under a dragged slider": boxes_dragged,
    "boxes: handler alone": boxes_drawn,
    "next image": next_image,
}
FEW = 3  # repetitions of what starts a process


def measure(run: Path, repeat: int, only: list[str]) -> dict[str, object]:
    rows: dict[str, dict[str, float]] = {}
    app = App(run)
    try:
        with sync_playwright() as playwright:
            chromium = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            for name, interaction in INTERACTIONS.items():
                if only and not any(part in name for part in only):
                    continue
                page = browser.new_page(viewport={"width": 1300, "height": 1000})
                page.set_default_timeout(60_000)
                count = min(repeat, FEW) if interaction in (start_to_first_paint, open_run) else repeat
                steps = interaction(app, page)
                times = sorted(itertools.islice(steps, count))
                steps.close()  # type: ignore[attr-defined] - generators, which may have an app to close
                page.close()
                if times:
                    rows[name] = {
                        "median_ms": round(statistics.median(times), 1),
                        "p95_ms": round(times[min(len(times) - 1, int(0.95 * len(times)))], 1),
                        "times": len(times),
                    }
                    print(f"{name:36} {rows[name]['median_ms']:9.1f} {rows[name]['p95_ms']:9.1f}", file=sys.stderr)
            browser.close()
        return {"run": str(run), "interactions": rows, "app": app.held()}
    finally:
        app.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of the interactions to measure")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.run.resolve(), arguments.repeat, arguments.only)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{'interaction':36} {'median':>9} {'95th pct':>9}   (ms)")
    for name, row in found["interactions"].items():  # type: ignore[attr-defined]
        print(f"{name:36} {row['median_ms']:9.1f} {row['p95_ms']:9.1f}")
    print(f"app process: {found['app']['rss_mib']} MiB, torch loaded: {found['app']['torch']}")  # type: ignore[index]


if __name__ == "__main__":
    main()
