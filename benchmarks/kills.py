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
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.machine.processes import child_environment, python_command
from ccd_core.runs.run import Run
from ccd_core.toy.scenes import write_dataset

SMALL = {
    "device": "cpu",
    "precision": "fp32",
    "clip": {"size": 96, "batch_size": 32, "round_to": 32},
    "classifier": {
        "backbone": "timm:test_resnet",
        "backbone_options": {},
        "weights": None,
        "image_size": 64,
        "cam_size": 64,
    },
    "views": {"threshold": {"mean_views": 2.0}, "frame": 160, "offset": 20},
    "training": {"epochs": 6, "warmup_epochs": 2, "keep": "last"},
}


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


def differs(one: Run, other: Run) -> list[str]:
    """The names of the arrays and weights in which two finished runs differ."""
    found = [
        name
        for name, values in one.load_labels().items()
        if not np.array_equal(values, other.load_labels()[name], equal_nan=values.dtype.kind == "f")
    ]
    for split in ("train", "val"):
        if not np.array_equal(one.load_scores(split)["scores"], other.load_scores(split)["scores"]):
            found.append(f"scores of {split}")
    weights = load_file(other.file("checkpoints", "best.safetensors"))
    for name, value in load_file(one.file("checkpoints", "best.safetensors")).items():
        if not np.array_equal(value, weights[name]):
            found.append(name)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    stages: Counter[str] = Counter()
    wrong = 0
    runs = 0
    with tempfile.TemporaryDirectory(prefix="ccd-kills-") as place:
        root = Path(place)
        os.environ["CCD_HOME"] = str(root / "home")
        scenes = write_dataset(root / "scenes", {"train": 200, "val": 40})
        config = CCDConfig.preset("demo").changed(data={"spec": f"demo:{scenes}", "workers": 0}, **SMALL)
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
            lost = differs(whole, run)
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
