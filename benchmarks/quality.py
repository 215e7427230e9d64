"""Quality on toy scenes: labels stage by stage, the rows of the paper's Table 2, two controls, and full supervision.

    python benchmarks/quality.py --seeds 3 --out /tmp/quality [--rows none update ...]

Validation scenes are drawn fresh (seed of their own, never used for choosing settings). Every row starts from the same
settings and seed. Prints a Markdown table of means and standard deviations over the seeds, in percent.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.data.toy_scenes import SPLITS, write_dataset
from ccd_core.pipeline import run_ccd

FRESH_SEED = 31_337
ROWS = {
    "none": {"labels": {"update": False}, "bias": {"mode": "none"}, "training": {"beta": 0.0}},
    "update": {"bias": {"mode": "none"}, "training": {"beta": 0.0}},
    "update + consistency": {"bias": {"mode": "none"}},
    "update + debias": {"training": {"beta": 0.0}},
    "all (CCD)": {},
    "control: random boxes": {"views": {"policy": "random"}},
    "control: same boxes, moved": {"views": {"policy": "moved"}},
    "control: constant bias": {"bias": {"mode": "constant"}},
}


def supervised(config: CCDConfig, out: Path) -> float:
    """Validation mAP of the same classifier trained on ground truth: the ceiling. Not part of the package: no run may do this."""
    import torch

    from ccd_core.data.loading import Pictures
    from ccd_core.device import make_accelerator
    from ccd_core.metrics import mean_average_precision
    from ccd_core.pipeline import make_classifier
    from ccd_core.runs import Progress, Run
    from ccd_core.training import Trainer, predict_scores

    dataset = open_dataset(config.data.spec)
    run, accelerator = Run.create(out, config, dataset.classes), make_accelerator(config.device, config.precision)
    splits = {name: Pictures(dataset.splits[name], config.classifier.image_size, config.data.cache_gb) for name in ("train", "val")}
    for pictures in splits.values():
        pictures.check(lambda done: None)
    torch.manual_seed(config.seed)
    trainer = Trainer(make_classifier(config, len(dataset.classes)), config.training, accelerator, run, Progress(run), config.seed)
    trainer.train(splits["train"], dataset.ground_truth("train").targets, config.training.epochs, "warm-up")
    return 100 * mean_average_precision(predict_scores(trainer.plain_model, splits["val"], accelerator), dataset.ground_truth("val").targets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="*", default=[*ROWS, "fully supervised"])
    parser.add_argument("--images", type=int, default=SPLITS["train"])
    arguments = parser.parse_args()
    scenes = write_dataset(arguments.out / "scenes", {"train": arguments.images, "val": SPLITS["val"]}, seed=FRESH_SEED)
    base = CCDConfig.preset("demo").changed(data={"spec": f"demo:{scenes}"})
    results: dict[str, list[float]] = {}
    labels: dict[str, list[dict]] = {}
    for seed in range(arguments.seeds):
        for row in arguments.rows:
            out = arguments.out / f"{row.replace(' ', '-').replace(':', '')}-{seed}"
            if row == "fully supervised":
                value = supervised(base.changed(seed=seed), out)
            else:
                report = run_ccd(base.changed(seed=seed, **ROWS[row]), out).load_ap()
                value = report["val"]["mAP"]
                if row == "all (CCD)":
                    for kind, measures in report["labels"].items():
                        labels.setdefault(kind, []).append(measures)
            results.setdefault(row, []).append(value)
            print(f"seed {seed}, {row}: {value:.1f}", flush=True)
    print(f"\nToy scenes, {arguments.images} training and {SPLITS['val']} fresh validation scenes, {arguments.seeds} seeds, percent\n")
    print("| row | validation mAP | by seed |\n|---|---|---|")
    for row, values in results.items():
        print(f"| {row} | {np.mean(values):.1f} ± {np.std(values):.1f} | {', '.join(f'{value:.1f}' for value in values)} |")
    if labels:
        print("\n| labels of CCD (training scenes) | mAP | micro-AP | F1 at 0.5 |\n|---|---|---|---|")
        for kind, rows in labels.items():
            print(f"| {kind} | " + " | ".join(f"{np.mean([row[name] for row in rows]):.1f}" for name in ("mAP", "micro_AP", "F1")) + " |")
    (arguments.out / "quality.json").write_text(json.dumps({"validation": results, "labels": labels}, indent=1))


if __name__ == "__main__":
    main()
