"""Take the README's pictures again: `python assets/readme/take.py` opens every page on the demo run and
writes one PNG a page beside this file.

Names of pictures take those alone. For the page Train a run of the demo is started in a workspace that is
gone afterwards.
"""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WIDTH, TALLEST = 1400, 1250
PAGES = {  # file: (page and its link, colour scheme)
    "overview": ("?", "light"),
    "overview_dark": ("?", "dark"),
    "clip_bias": ("clip_bias?", "light"),
    "cam_boxes": ("cam_boxes?show=abgv&view=0.25&", "light"),
    "labels": ("labels?show=The+whole+data+set&alpha=0.7&", "light"),
    "view_lab": ("view_lab?", "light"),
    "results": ("results?part=Thresholds&", "light"),
    "compare": ("compare?", "light"),
    "predict": ("predict?example=val_000111&", "light"),
    "train": ("train?job=first&", "light"),
}


RELATIVE = """(names) => {  // folders as they are called from the repository's root
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    for (const [path, name] of names) {
      walk.currentNode.data = walk.currentNode.data.replaceAll(path, name);
    }
  }
}"""


def take(page: Page, address: str, workspace: str) -> bytes:
    page.goto(address)
    page.wait_for_selector("h1")
    page.wait_for_timeout(3000)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_timeout(1500)
    tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": min(tall, TALLEST)})
    page.wait_for_timeout(1500)
    page.evaluate(RELATIVE, [[f"{ROOT}/", ""], [workspace, "runs"]])
    return page.screenshot()


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as workspace, sync_playwright() as playwright:
        command = [
            sys.executable,
            "-m",
            "ccd_core.cli",
            "app",
            "--no-browser",
            "--port",
            str(port),
            "--workspace",
            workspace,
        ]
        started = [subprocess.Popen(command, cwd=ROOT)]
        time.sleep(6)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            for name in sys.argv[1:] or PAGES:
                link, scheme = PAGES[name]
                if name == "train":
                    job = [
                        sys.executable,
                        "-m",
                        "ccd_core.cli",
                        "run",
                        "--preset",
                        "demo",
                        "--out",
                        f"{workspace}/first",
                    ]
                    started.append(
                        subprocess.Popen(job, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    )
                    time.sleep(25)  # it has begun
                page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme=scheme)  # type: ignore[arg-type]
                page.set_default_timeout(90_000)
                picture = Image.open(
                    io.BytesIO(take(page, f"http://127.0.0.1:{port}/{link}run=demo_run", workspace))
                )
                picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
                    HERE / f"{name}.png", optimize=True
                )
                print(f"{name}.png {(HERE / f'{name}.png').stat().st_size / 1000:.0f} kB", flush=True)
                page.close()
        finally:
            browser.close()
            for process in reversed(started):
                process.terminate()
                process.wait(timeout=60)


if __name__ == "__main__":
    main()
