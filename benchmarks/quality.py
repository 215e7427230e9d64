"""Quality: the rows of the paper's Table 2, controls, CLIP alone, and full supervision, on any data set.

    python benchmarks/quality.py --seeds 3 --jobs 2 --out /tmp/quality              # toy scenes
    python benchmarks/quality.py --dataset folder:photos --teacher local-dir:my_clip --preset best \
        --set clip.size=224 --seeds 3 --out /tmp/photos

Toy scenes have a seed of their own, on which no setting was chosen. CLIP is asked once for all rows: what it
says of whole images and tiles is cached, and rows of one seed that differ only after the warm-up, or only
after the views, share the warm-up or the views. That changes no result, because a resumed run ends with the
same weights. Finished rows stay in --out, so an interrupted benchmark goes on where it stopped. Rows are
computed in the order of --rows, all seeds of a row after one another. `--report` prints what is there.

Means and standard deviations over the seeds are printed as Markdown tables, in percent. "mAP of 20" is the
mean over the classes with at least 20 positive images: AP of a class with fewer is mostly chance.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.config import CCDConfig, load_config
from ccd_core.data import open_dataset
from ccd_core.execution import run_ccd
from ccd_core.runs.run import Run
from ccd_core.toy.scenes import SPLITS, write_dataset

FRESH_SEED = 31_337
POSITIVES = 20  # images that a class needs to count in "mAP of 20"
ALL = "all (CCD)"
ROWS: dict[str, dict[str, Any]] = {
    "CLIP zero-shot": {"method": {"name": "clip_zero_shot"}},
    "CLIP, 3 x 3 tiles": {"method": {"name": "clip_grid"}},
    ALL: {},
    "fully supervised": {"method": {"name": "bce"}},
    "none": {"labels": {"update": False}, "bias": {"mode": "none"}, "training": {"beta": 0.0}},
    "update": {"bias": {"mode": "none"}, "training": {"beta": 0.0}},
    "update + debias": {"training": {"beta": 0.0}},
    "update + consistency": {"bias": {"mode": "none"}},
    "control: random boxes": {"views": {"policy": "random"}},
    "control: same boxes, moved": {"views": {"policy": "moved"}},
    "control: constant bias": {"bias": {"mode": "constant"}},
    "control: floor without bias": {"bias": {"mode": "floor"}},
    "control: bias without floor": {"bias": {"floor": 0.0}},
}
KINDS = ("global", "initial", "local", "final")
MEASURES = {"mAP": "mAP", "mAP_of_20": "mAP of 20", "micro_AP": "micro-AP", "F1": "F1 at 0.5"}
SEEDLESS = ("CLIP zero-shot", "CLIP, 3 x 3 tiles")  # rows in which nothing is random


def folder(out: Path, row: str, seed: int) -> Path:
    return out / f"{row.replace(' ', '-').replace(':', '').replace(',', '')}-{seed}"


def result(out: Path, row: str, seed: int) -> dict[str, Any] | None:
    """The APs of a finished row, or None. Rows without chance have one seed."""
    file = folder(out, row, 0 if row in SEEDLESS else seed) / "scores" / "ap.json"
    return json.loads(file.read_text()) if file.is_file() else None


def start_where_it_differs(out: Path, config: CCDConfig, path: Path) -> None:
    """Copy the warm-up, and the views, of an earlier run in `out` to a new run, if they would be the same."""
    if (path / "config.yaml").is_file() or config.method.name != "ccd":
        return
    run = Run.create(path, config, open_dataset(config.data.spec).classes)
    for row in ROWS:
        earlier = folder(out, row, config.seed)
        if earlier == path or not (earlier / "config.yaml").is_file():
            continue
        other = Run.open(earlier)
        if (
            other.status != "finished"
            or other.config.bias != config.bias
            or other.config.method.name != "ccd"
            or not (config.labels.update and other.config.labels.update)
        ):
            continue
        warm = other.file("checkpoints", "warmup.safetensors")
        if warm.is_file() and not run.has("checkpoints", "last.safetensors"):
            run.file("checkpoints").mkdir(exist_ok=True)
            shutil.copy2(warm, run.file("checkpoints", "last.safetensors"))
        if other.has("views.parquet") and other.config.views == config.views:
            for name in ("views.parquet", "view_threshold.json"):
                shutil.copy2(other.file(name), run.file(name))


def work(job: tuple[Path, CCDConfig, str]) -> None:
    """Compute one row of one seed."""
    import torch

    out, config, row = job
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if result(out, row, config.seed) is None:
        changed = config.changed(**ROWS[row])
        path = folder(out, row, config.seed)
        start_where_it_differs(out, changed, path)
        run_ccd(changed, path)
    found = result(out, row, config.seed)
    assert found is not None
    print(
        f"seed {config.seed}, {row}: {found['val']['mAP']:.1f} mAP, {found['val']['micro_AP']:.1f} micro-AP"
    )


def settings(arguments: argparse.Namespace) -> CCDConfig:
    """The settings that all rows start from."""
    changes = list(arguments.set)
    if arguments.teacher:
        changes += [f"clip.model={arguments.teacher}", "clip.pretrained=null"]
    if arguments.dataset:
        return load_config(arguments.preset or "best", changes=changes, dataset=arguments.dataset)
    scenes = write_dataset(
        arguments.out / "scenes", {"train": arguments.images, "val": SPLITS["val"]}, seed=FRESH_SEED
    )
    return load_config(arguments.preset or "demo", changes=changes, dataset=f"demo:{scenes}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", help="a data set with labels, such as folder:photos; else toy scenes")
    parser.add_argument("--teacher", help="clip.model of all rows, such as local-dir:my_clip")
    parser.add_argument("--preset", help="best for a data set, demo for toy scenes")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of all rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    parser.add_argument("--images", type=int, default=SPLITS["train"], help="training scenes")
    parser.add_argument("--report", action="store_true", help="only print what is finished")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes at a time, which share the CPU's cores"
    )
    arguments = parser.parse_args()
    threads = str(max(1, (os.cpu_count() or 1) // arguments.jobs))
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    base = settings(arguments)
    if not arguments.report:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.jobs, mp_context=spawn, max_tasks_per_child=1) as pool:
            for row in arguments.rows:  # one after another, so that later rows find what they can share
                seeds = range(1 if row in SEEDLESS else arguments.seeds)
                list(pool.map(work, [(arguments.out, base.changed(seed=seed), row) for seed in seeds]))
    report(arguments.out, base, arguments.rows, arguments.seeds)


def report(out: Path, config: CCDConfig, rows: list[str], seeds: int) -> None:
    """Print the tables of what is finished, and write them to quality.json."""
    dataset = open_dataset(config.data.spec)
    frequent: dict[str, list[str]] = {}
    for split in ("train", "val"):
        truth = dataset.ground_truth(split)
        assert truth is not None, "quality is measured against labels"
        counts = (truth.targets == 1).sum(0)
        frequent[split] = [
            name for name, count in zip(dataset.classes, counts, strict=True) if count >= POSITIVES
        ]

    def of(row: str, *keys: str) -> dict[str, list[float]]:
        """{measure: one value a finished seed} of the report at `keys`."""
        values: dict[str, list[float]] = {name: [] for name in MEASURES}
        for seed in range(1 if row in SEEDLESS else seeds):
            found: Any = result(out, row, seed)
            for key in keys:
                found = (found or {}).get(key)
            if not found:
                continue
            split = "val" if keys[0] == "val" else "train"
            common = [found["AP"][name] for name in frequent[split] if found["AP"][name] is not None]
            for name in MEASURES:
                values[name].append(float(np.mean(common)) if name == "mAP_of_20" else found[name])
        return values

    tables: dict[str, dict[str, dict[str, list[float]]]] = {"validation": {}, "labels": {}}
    for row in rows:
        tables["validation"][row] = of(row, "val")
        for kind in KINDS:
            if row == ALL or (kind in ("initial", "local", "final") and row not in SEEDLESS):
                tables["labels"][f"{kind}: {row}"] = of(row, "labels", kind)
    for title, table in tables.items():
        print(f"\n| {title} | seeds | " + " | ".join(MEASURES.values()) + " |\n|---" * 1 + "|---" * 5 + "|")
        for row, columns in table.items():
            count = len(columns["mAP"])
            if count:
                shown = [f"{np.mean(values):.1f} ± {np.std(values):.1f}" for values in columns.values()]
                print(f"| {row} | {count} | " + " | ".join(shown) + " |")
    (out / "quality.json").write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
