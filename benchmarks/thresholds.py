"""Thresholds without labels, beside 0.5 and beside the best that ground truth could choose, on toy scenes.

    python benchmarks/thresholds.py --seeds 3 --out /tmp/thresholds

Each seed has scenes of its own, on which no setting was chosen, and a run of its own. The ways choose their
thresholds on the training images, from the run's labels and scores. The validation images then tell the
F1 of each, in percent. The oracle chooses on the validation images and with their ground truth, so nothing
can be better. Finished runs stay in --out. `--run RUN` measures a run of yours whose data set has labels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ccd_core.config import CCDConfig
from ccd_core.pipeline import run_ccd
from ccd_core.runs.run import Run
from ccd_core.toy.scenes import SPLITS, write_dataset

FRESH_SEED = 31_337


def toy_run(out: Path, seed: int, images: int) -> Run:
    """A finished run of the preset `demo` on fresh scenes of this seed."""
    splits = {"train": images, "val": SPLITS["val"]}
    scenes = write_dataset(out / f"scenes-{seed}", splits, seed=FRESH_SEED + seed)
    config = CCDConfig.preset("demo").changed(data={"spec": f"demo:{scenes}"}, seed=seed)
    path = out / f"run-{seed}"
    if path.is_dir() and Run.open(path).status == "finished":
        return Run.open(path)
    return run_ccd(config, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=SPLITS["train"], help="training scenes of a seed")
    parser.add_argument("--out", type=Path, default=Path("/tmp/thresholds"))
    arguments = parser.parse_args()
    runs = [toy_run(arguments.out, seed, arguments.images) for seed in range(arguments.seeds)]
    print(runs)


if __name__ == "__main__":
    main()
