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

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.evaluation.label_free import DEFAULT_WAY, WAYS, PseudoLabels
from ccd_core.evaluation.sorted_scores import SortedScores
from ccd_core.execution import run_ccd
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


def macro_f1(run: Run) -> dict[str, float]:
    """{way: macro F1 in percent on the validation images}, for 0.5, every way, and the oracle."""
    scored = run.load_scores("train")
    labels = run.load_labels()
    pseudo = PseudoLabels(labels["initial"], labels["final"])
    validation = run.load_scores("val")
    truth = open_dataset(run.config.data.spec, run.config.data.classes).ground_truth("val")
    if truth is None:
        raise SystemExit(f"The data set of {run.path} has no ground truth for validation images.")
    rows, targets = truth.matched(tuple(validation["ids"].tolist()))
    ranked = SortedScores(validation["scores"][rows], targets == 1)
    ways = {"0.5": np.full(len(run.classes), 0.5)}
    ways |= {name: way(scored["scores"], pseudo) for name, way in WAYS.items()}
    ways["oracle"] = np.nan_to_num(ranked.best_f1(), nan=0.5)
    return {name: 100 * float(np.nanmean(ranked.measures(limits).f1)) for name, limits in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=SPLITS["train"], help="training scenes of a seed")
    parser.add_argument("--out", type=Path, default=Path("/tmp/thresholds"))
    parser.add_argument("--run", type=Path, action="append", help="a finished run instead; repeatable")
    arguments = parser.parse_args()
    if arguments.run:
        runs = [Run.open(path) for path in arguments.run]
    else:
        runs = [toy_run(arguments.out, seed, arguments.images) for seed in range(arguments.seeds)]
    results = [macro_f1(run) for run in runs]
    print("| thresholds | macro F1 | by seed | against 0.5 |\n|---|---|---|---|")
    even = np.array([result["0.5"] for result in results])
    for name in results[0]:
        values = np.array([result[name] for result in results])
        default = " (the default)" if name == DEFAULT_WAY else ""
        by_seed = ", ".join(f"{value:.1f}" for value in values)
        print(f"| {name}{default} | {values.mean():.1f} | {by_seed} | {(values - even).mean():+.1f} |")


if __name__ == "__main__":
    main()
