"""Quality on toy scenes: labels by stage, the rows of the paper's Table 2, controls, and full supervision.

    python benchmarks/quality.py --seeds 3 --jobs 2 --out /tmp/quality

Training and validation scenes have a seed of their own, on which no setting was chosen. Rows of one seed that
differ only after the warm-up, or only after the views, share the warm-up or the views. That changes no
result, because a resumed run ends with the same weights. Finished rows stay in --out, so an interrupted
benchmark can be repeated. Means and standard deviations over the seeds are printed as Markdown tables, in
percent.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.pipeline import run_ccd
from ccd_core.runs.run import Run
from ccd_core.toy.scenes import SPLITS, write_dataset

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
    """Validation mAP of the same classifier trained on ground truth, in percent.

    It is the upper bound. The package cannot do this, because no run may train on ground truth.
    """
    import torch

    from ccd_core.data.loading import DecodedImages
    from ccd_core.evaluation.metrics import mean_average_precision
    from ccd_core.machine.device import make_accelerator
    from ccd_core.method.classifier import make_classifier
    from ccd_core.runs.progress import Progress
    from ccd_core.runs.run import Run
    from ccd_core.runs.work import Work
    from ccd_core.training.inference import predict_scores
    from ccd_core.training.trainer import Trainer

    dataset = open_dataset(config.data.spec)
    run = Run.create(out, config, dataset.classes)
    accelerator = make_accelerator(config.device, config.precision)
    splits = {
        name: DecodedImages(dataset.splits[name], config.classifier.image_size, config.data.cache_gb)
        for name in ("train", "val")
    }
    for images in splits.values():
        images.check(lambda done: None)
    torch.manual_seed(config.seed)
    model = make_classifier(config.classifier, len(dataset.classes))
    trainer = Trainer(model, Work(config.changed(labels={"update": False}), accelerator, run, Progress(run)))
    trainer.warm_up(splits["train"], dataset.ground_truth("train").targets)
    return 100 * mean_average_precision(
        predict_scores(trainer.plain_model, splits["val"], accelerator), dataset.ground_truth("val").targets
    )


def folder(out: Path, row: str, seed: int) -> Path:
    return out / f"{row.replace(' ', '-').replace(':', '')}-{seed}"


def start_where_it_differs(out: Path, config: CCDConfig, path: Path) -> None:
    """Copy the warm-up, and the views, of an earlier run in `out` to a new run, if they would be the same."""
    if (path / "config.yaml").is_file():
        return
    run = Run.create(path, config, open_dataset(config.data.spec).classes)
    for row in ROWS:
        earlier = folder(out, row, config.seed)
        if earlier == path or not (earlier / "config.yaml").is_file():
            continue
        other = Run.open(earlier)
        if other.status != "finished" or other.config.bias != config.bias:
            continue
        if (
            other.has("checkpoints", "warmup.safetensors")
            and other.config.labels.update
            and not run.has("checkpoints", "last.safetensors")
        ):
            run.file("checkpoints").mkdir(exist_ok=True)
            shutil.copy2(
                other.file("checkpoints", "warmup.safetensors"), run.file("checkpoints", "last.safetensors")
            )
        if config.labels.update and other.has("views.parquet") and other.config.views == config.views:
            for name in ("views.parquet", "view_threshold.json"):
                shutil.copy2(other.file(name), run.file(name))


def work(job: tuple[Path, CCDConfig, list[str]]) -> None:
    """Compute rows of one seed, one after the other. Each job has a process of its own."""
    import torch

    out, config, rows = job
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    for row in rows:
        path = folder(out, row, config.seed)
        done = path / "supervised.json" if row == "fully supervised" else path / "scores" / "ap.json"
        if not done.is_file() and row == "fully supervised":
            shutil.rmtree(path, ignore_errors=True)
            value = supervised(config, path)
            done.write_text(json.dumps({"val": {"mAP": value}}))
        elif not done.is_file():
            changed = config.changed(**ROWS[row])
            start_where_it_differs(out, changed, path)
            run_ccd(changed, path)
        print(f"seed {config.seed}, {row}: {json.loads(done.read_text())['val']['mAP']:.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="*", default=[*ROWS, "fully supervised"])
    parser.add_argument("--images", type=int, default=SPLITS["train"])
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes at a time, which share the CPU's cores"
    )
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // arguments.jobs))
    scenes = write_dataset(
        arguments.out / "scenes", {"train": arguments.images, "val": SPLITS["val"]}, seed=FRESH_SEED
    )
    base = CCDConfig.preset("demo").changed(data={"spec": f"demo:{scenes}"})
    groups: dict[str, list[str]] = {}  # rows that can share a warm-up
    for row in arguments.rows:
        bias_mode = ROWS[row].get("bias", {}).get("mode", "class") if row in ROWS else row
        groups.setdefault(bias_mode, []).append(row)
    longest_first = sorted(groups.values(), key=len, reverse=True)
    jobs = [
        (arguments.out, base.changed(seed=seed), rows)
        for rows in longest_first
        for seed in range(arguments.seeds)
    ]
    with ProcessPoolExecutor(arguments.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(work, jobs))
    report(arguments.out, arguments.rows, arguments.seeds, arguments.images)


def report(out: Path, rows: list[str], seeds: int, images: int) -> None:
    def read(row: str, seed: int) -> dict:
        file = "supervised.json" if row == "fully supervised" else "scores/ap.json"
        return json.loads((folder(out, row, seed) / file).read_text())

    results = {row: [read(row, seed)["val"]["mAP"] for seed in range(seeds)] for row in rows}
    print(
        f"\nToy scenes, {images} training and {SPLITS['val']} validation scenes, both fresh, {seeds} seeds, "
        "percent\n"
    )
    print("| row | validation mAP | by seed |\n|---|---|---|")
    for row, values in results.items():
        print(
            f"| {row} | {np.mean(values):.1f} ± {np.std(values):.1f} | "
            f"{', '.join(f'{value:.1f}' for value in values)} |"
        )
    kinds = {
        "all (CCD)": ("global", "initial", "local", "final"),
        "control: constant bias": ("initial", "local", "final"),
    }
    labels: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        shown = kinds.get(row, ("local", "final") if row.startswith("control") else ())
        for kind in shown:
            measures = [read(row, seed)["labels"][kind] for seed in range(seeds)]
            name = kind if row == "all (CCD)" else f"{kind}, {row}"
            labels[name] = {key: [measure[key] for measure in measures] for key in ("mAP", "micro_AP", "F1")}
    if labels:
        print("\n| labels of the training scenes | mAP | micro-AP | F1 at 0.5 |\n|---|---|---|---|")
        for kind, columns in labels.items():
            print(f"| {kind} | " + " | ".join(f"{np.mean(values):.1f}" for values in columns.values()) + " |")
    (out / "quality.json").write_text(json.dumps({"validation": results, "labels": labels}, indent=1))


if __name__ == "__main__":
    main()
