"""Kill runs at random moments, go on, and compare labels and weights with those of an undisturbed run.

    python benchmarks/kills.py --kills 100

Every kill is SIGKILL to the process and all that it started, after a random part of the processor time that
the undisturbed run took, so that a busy machine moves no kill. A killed run is resumed, and may be killed
again, until it is finished. Prints how many kills there were in which stage, and what was lost. Exit code 1
if a result differs in one bit, or if files that were being written stay behind.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
from small_runs import differing, small_world

from ccd_core.data import open_dataset
from ccd_core.machine.processes import child_environment, python_command
from ccd_core.runs.run import Run

LOOK_SECONDS = 0.02


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
    """Run to the end; returns the seconds of processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start(folder)
    _, said = process.communicate()
    if process.returncode:
        sys.exit(f"{folder.name} did not finish: {said.decode()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def worked(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time of a process and of those that it started."""
    total = 0.0
    with suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        for one in [parent, *parent.children(recursive=True)]:
            with suppress(psutil.Error):
                total += one.cpu_times().user + one.cpu_times().system
    return total


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
        print(f"undisturbed: {seconds:.0f} s of processor time", flush=True)
        while sum(stages.values()) < given.kills:
            run = Run.create(root / f"run{runs}", config, classes)
            runs += 1
            while sum(stages.values()) < given.kills and chance.random() < 0.75:
                process = start(run.path)
                enough = chance.uniform(0, seconds)
                while process.poll() is None and worked(process) < enough:
                    time.sleep(LOOK_SECONDS)
                if process.poll() is None:
                    stages[run.state.get("stage", "before its first stage")] += 1
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                print(f"{sum(stages.values())} kills in {runs} runs: {dict(stages)}", flush=True)
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
