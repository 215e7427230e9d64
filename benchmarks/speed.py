"""Measure speed and memory on this machine.

python benchmarks/speed.py run [--repeat 1]       # a demo run: seconds of each stage, and its peak memory
python benchmarks/speed.py paint [--repeat 5]     # from `ccd app` to the first page painted in Chromium
python benchmarks/speed.py boxes                  # CAM boxes, beside resizing every map whole
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from app_process import app_command, free_port, open_browser

from ccd_core.paths import home as cache_folder


def held_by(process: psutil.Process) -> int:
    """Bytes of memory of a process and its children together. Memory that they share is counted once."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def measure_run(repeat: int, keep: Path | None) -> None:
    print("| run | seconds | peak memory, GiB | by stage |\n|---|---|---|---|")
    for number in range(repeat):
        with tempfile.TemporaryDirectory() as home:
            # The caches are empty, except for the drawn scenes.
            environment = os.environ | {"CCD_HOME": home}
            for folder in cache_folder().glob("toy-scenes*"):
                Path(home, folder.name).symlink_to(folder)
            out = Path(home, "run")
            began = time.time()
            peak = 0
            command = [sys.executable, "-m", "ccd_core.cli", "run", "--preset", "demo", "--out", str(out)]
            process = psutil.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while process.poll() is None:
                peak = max(peak, held_by(process))
                time.sleep(0.5)
            seconds = time.time() - began
            stages = json.loads((out / "state.json").read_text())["seconds"]
            if keep:
                shutil.copytree(out, keep, dirs_exist_ok=True)
            print(
                f"| {number + 1} | {seconds:.0f} | {peak / 2**30:.2f} | "
                f"{', '.join(f'{name} {value:.0f}' for name, value in stages.items())} |"
            )


def measure_paint(repeat: int) -> None:
    from playwright.sync_api import sync_playwright

    seconds: dict[str, list[float]] = {
        "heading": [],
        "first chart": [],
        "heading, reload": [],
        "first chart, reload": [],
    }
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as workspace:
        browser = open_browser(playwright)
        for _ in range(repeat):
            port = free_port()
            page = browser.new_page()
            began = time.time()
            quiet = subprocess.DEVNULL
            command = app_command(port, Path(workspace))
            server = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
            while socket.socket().connect_ex(("127.0.0.1", port)):
                time.sleep(0.02)
            for again in ("", ", reload"):
                page.goto(f"http://127.0.0.1:{port}/")
                for name, selector in (("heading", "h1"), ("first chart", ".js-plotly-plot .main-svg")):
                    page.locator(selector).first.wait_for()
                    seconds[name + again].append(time.time() - began)
                began = time.time()
            page.close()
            server.terminate()
            server.wait()
        browser.close()
    print("| from `ccd app` to the Overview's | median seconds | all |\n|---|---|---|")
    for name, values in seconds.items():
        print(
            f"| {name} | {statistics.median(values):.2f} | {', '.join(f'{value:.2f}' for value in values)} |"
        )


def measure_boxes(repeat: int) -> None:
    import torch
    import torch.nn.functional as F

    from ccd_core.method.views import cam_boxes

    def plainly(cams: torch.Tensor) -> None:
        full = F.interpolate(cams[:, None], (640, 640), mode="bilinear", align_corners=False)[:, 0]
        low = full.amin((1, 2), keepdim=True)
        high = full.amax((1, 2), keepdim=True)
        above = (full - low) / (high - low + 1e-5) > 0.95
        above.any(1), above.any(2)

    print("| maps | plain, ms | ours, ms | ratio |\n|---|---|---|---|")
    for count, cells in ((48, 10), (48, 20), (160, 20)):
        cams = torch.randn(count, cells, cells)
        works = {"plain": plainly, "ours": functools.partial(cam_boxes, size=(640, 640))}
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(max(repeat, 15)):
            for name, work in works.items():
                began = time.perf_counter()
                work(cams)
                times[name].append(1e3 * (time.perf_counter() - began))
        plain, ours = (statistics.median(values) for values in times.values())
        print(
            f"| {count} of {cells} x {cells} to 640 x 640 | {plain:.1f} | {ours:.1f} | {plain / ours:.0f} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("run", "paint", "boxes"))
    parser.add_argument("--repeat", type=int, help="how often (default: 1 run, 5 starts of the app)")
    parser.add_argument("--keep", type=Path, help="folder that the (last) run is copied to")
    arguments = parser.parse_args()
    if arguments.what == "run":
        measure_run(arguments.repeat or 1, arguments.keep)
    else:
        {"paint": measure_paint, "boxes": measure_boxes}[arguments.what](arguments.repeat or 5)
