"""Make a finished run small enough to ship: what the app shows and Predict needs, the weights in half
precision.

ccd run --preset demo --out runs/demo_run && python assets/ship_run.py runs/demo_run assets/demo_run
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from ccd_core.runs.run import Run

KEPT = (
    "metrics.csv",
    "log.txt",
    "global.npz",
    "bias.json",
    "view_threshold.json",
    "views.parquet",
    "labels.npz",
    "likeness.npz",
)


def ship(source: Path, target: Path) -> None:
    run = Run.open(source)
    if run.status != "finished":
        raise SystemExit(f"{source} is {run.status}, not finished.")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(run.file("scores"), target / "scores")
    for name in KEPT:
        shutil.copy(run.file(name), target / name)
    (target / "config.yaml").write_text(run.settings_to_share(), encoding="utf-8")
    state = {
        key: value for key, value in run.state.items() if key not in ("host", "pid", "pid_created", "boot")
    }
    (target / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
    (target / "checkpoints").mkdir()
    shutil.copy(run.file("checkpoints", "best.json"), target / "checkpoints")
    weights = load_file(run.file("checkpoints", "best.safetensors"))
    half = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    save_file(half, target / "checkpoints" / "best.safetensors")
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    print(f"{target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="a finished run")
    parser.add_argument("target", type=Path, help="where the small copy goes, e.g. assets/demo_run")
    arguments = parser.parse_args()
    ship(arguments.source, arguments.target)
