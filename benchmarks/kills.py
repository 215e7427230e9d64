"""Kill runs at random moments, go on, and compare labels and weights with those of an undisturbed run.

    python benchmarks/kills.py --kills 100

Every kill is SIGKILL to the process and all that it started. A killed run is resumed, and may be killed
again, until it is finished. Prints how many kills there were in which stage, and what was lost. Exit code 1
if a result differs in one bit, or if files that were being written stay behind.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from small_runs import differing, small_world

from ccd_core.data import open_dataset
from ccd_core.machine.processes import child_environment, python_command
from ccd_core.runs.run import Run


def start(folder: Path) -> subprocess.Popen[bytes]:
    """`ccd run --resume` in a process group of its own."""
    return subprocess.Popen(
        python_command("ccd_core.cli", "run", "--resume", "--out", str(folder)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=child_environment(),
    )


def finish(folder: Path) -> float:
    """Run to the end; returns the seconds that it took."""
    began = time.monotonic()
    process = start(folder)
    _, said = process.communicate()
    if process.returncode:
        sys.exit(f"{folder.name} did not finish: {said.decode()[-2000:]}")
    return time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    stages: Counter[str] = Counter()
    wrong = 0
    runs = 0
    with small_world(train=200, val=40, epochs=6) as (root, config):
        classes = open_dataset(config.data.spec).classes
        whole = Run.create(root / "whole", config, classes)
        seconds = finish(whole.path)
        print(f"undisturbed: {seconds:.0f} s", flush=True)
        while sum(stages.values()) < given.kills:
            run = Run.create(root / f"run{runs}", config, classes)
            runs += 1
            while sum(stages.values()) < given.kills and chance.random() < 0.75:
                process = start(run.path)
                try:
                    process.communicate(timeout=chance.uniform(0, 1.1 * seconds))
                except subprocess.TimeoutExpired:
                    stages[run.state.get("stage", "before its first stage")] += 1
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
            finish(run.path)
            lost = differing(whole, run)
            left = [str(path.relative_to(run.path)) for path in run.path.rglob(".*.partial")]
            if lost or left:
                wrong += 1
                print(f"{run.name}: other {lost}; left behind: {left}", flush=True)
    where = ", ".join(f"{count} in {stage}" for stage, count in stages.most_common())
    print(f"{sum(stages.values())} kills in {runs} runs ({where})")
    print(f"{wrong} of the runs differ from the undisturbed one")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
