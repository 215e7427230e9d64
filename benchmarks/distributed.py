"""Compare a run on one device with the same run on several: labels, metrics and time.

    python benchmarks/distributed.py
    python benchmarks/distributed.py --devices cuda:0 cuda:all --preset paper
    --dataset voc2012:/data/VOCdevkit

Without options it runs the demo on the CPU, with one process and with two, each of one thread.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ccd_core.runs.run import Run

KINDS = ("initial", "local", "final")


def timed_run(device: str, out: Path, arguments: argparse.Namespace) -> float:
    """Seconds of `ccd run` with empty caches."""
    command = [sys.executable, "-m", "ccd_core.cli", "run", "--preset", arguments.preset]
    command += ["--device", device, "--out", str(out)]
    command += ["--dataset", arguments.dataset] if arguments.dataset else []
    command += [word for change in arguments.set for word in ("--set", change)]
    environment = os.environ | {
        "CCD_HOME": str(out.parent / f"home-{out.name}"),
        "OMP_NUM_THREADS": str(arguments.threads),
    }
    began = time.time()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.time() - began


def compared(first: Run, other: Run) -> list[str]:
    """For each kind of labels, how far those of `other` are from those of `first`."""
    one = first.load_labels()
    two = other.load_labels()
    cells = []
    for kind in KINDS:
        same = np.array_equal(one[kind], two[kind], equal_nan=True)
        cells.append("the same bits" if same else f"differ by {np.nanmax(np.abs(one[kind] - two[kind])):.1e}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--devices",
        nargs="+",
        default=["cpu", "cpu:0,1"],
        help="the first is what the others are compared with",
    )
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--dataset")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads a process")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = [Run(Path(folder) / str(number), None, ()) for number in range(len(arguments.devices))]
        print(
            f"| device | seconds | {' | '.join(f'{kind} labels' for kind in KINDS)} | train-label mAP, last "
            "epoch | val mAP |"
        )
        print(f"|{'---|' * (4 + len(KINDS))}")
        for device, run in zip(arguments.devices, runs, strict=True):
            seconds = timed_run(device, run.path, arguments)
            train = run.load_metrics()["train_map"].iloc[-1]
            score = (run.load_ap().get("val") or {"mAP": float("nan")})["mAP"]
            print(
                f"| {device} | {seconds:.0f} | {' | '.join(compared(runs[0], run))} | {train:.2f} | "
                f"{score:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
