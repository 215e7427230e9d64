"""Write a run folder as large as those of the public data sets, with plausible numbers, to measure the app.

    python benchmarks/synthetic_run.py OUT [--images 50000] [--classes 80]

OUT/data is a data set in COCO's layout, whose files are links to a few hundred toy scenes. OUT/synthetic is
the run, written by the same functions as a real run. Nothing in it was trained. Its classifier is a small
network with random weights, so that the app's predictor works, too.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.data.kinds.coco import CLASSES, FOLDERS
from ccd_core.evaluation.metrics import average_precision, summary
from ccd_core.files import write_arrays, write_atomic, write_json
from ccd_core.machine.device import make_accelerator
from ccd_core.method.bias import entropy
from ccd_core.method.boxes import add_offset
from ccd_core.method.classifier import make_classifier
from ccd_core.method.labels import final_labels, initial_labels, local_labels
from ccd_core.method.views import view_threshold
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work
from ccd_core.stages.labels import measure_bias, write_labels
from ccd_core.stages.local_views import CHUNK, write_views

DRAWINGS = 300  # toy scenes to which the images are links
FRAME = 640
VIEWS_AN_IMAGE = 8


def draw(folder: Path) -> list[Path]:
    from ccd_core.toy.scenes import write_dataset

    return sorted((write_dataset(folder, {"train": DRAWINGS, "val": 1}) / "JPEGImages").glob("train*.jpg"))


def write_split(
    root: Path, split: str, targets: np.ndarray, drawings: list[Path], rng: np.random.Generator
) -> list[str]:
    """Write the links and the annotations of one split. Returns the ids that the data set will have."""
    folder = root / FOLDERS[split]
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    annotations: list[dict] = []
    corners = rng.integers(0, [180, 120, 40, 40], (len(targets), targets.shape[1], 4))
    for row, present in enumerate(targets):
        name = f"COCO_{folder.name}_{row + 1:012d}.jpg"
        if not (folder / name).exists():
            os.link(drawings[row % len(drawings)], folder / name)
        images.append({"id": row + 1, "file_name": name, "width": 240, "height": 180})
        for c in np.flatnonzero(present).tolist():
            x, y, width, height = corners[row, c].tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": row + 1,
                    "category_id": c + 1,
                    "bbox": [x, y, width + 20, height + 20],
                    "iscrowd": 0,
                }
            )
    instances = {"images": images, "annotations": annotations}
    instances["categories"] = [{"id": c + 1, "name": name} for c, name in enumerate(CLASSES)]
    write_atomic(root / "annotations" / f"instances_{FOLDERS[split]}.json", json.dumps(instances))
    return [f"{FOLDERS[split]}/{image['file_name']}" for image in images]


def some_targets(count: int, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Targets [count, C] with about three classes an image, some of them rare. Every image has one."""
    frequency = np.r_[np.geomspace(0.3, 0.005, classes), np.zeros(len(CLASSES) - classes)]
    targets = rng.random((count, len(CLASSES))) < frequency
    targets[np.arange(count), rng.integers(0, classes, count)] = True
    return targets.astype(np.float32)


def scored(targets: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Scores [N, C] such as a classifier gives: mostly right and sometimes wrong."""
    logits = 4.5 * targets - 3 + noise * rng.standard_normal(targets.shape, np.float32)
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def views_in_parts(
    scores: np.ndarray, view_threshold: float, targets: np.ndarray, rng: np.random.Generator
) -> Iterator[dict[str, np.ndarray]]:
    for begin in range(0, len(scores), CHUNK):
        image, cls = np.nonzero(scores[begin : begin + CHUNK] > view_threshold)
        image += begin
        corner = rng.integers(0, 560, (len(image), 2))
        side = rng.integers(10, 80, (len(image), 2))
        cam_box = np.concatenate([corner, corner + side], 1)
        p = np.exp(3.0 * targets[image] + rng.standard_normal((len(image), targets.shape[1]), np.float32))
        p[np.arange(len(image)), cls] *= 8
        yield {
            "image": image,
            "class_index": cls,
            "cam_box": cam_box,
            "box": add_offset(cam_box, 80, (FRAME, FRAME)),
            "p": (p / p.sum(1, keepdims=True)).astype(np.float32),
        }


def write_run(
    root: Path, out: Path, targets: dict[str, np.ndarray], ids: dict[str, list[str]], rng: np.random.Generator
) -> Run:
    small = {
        "backbone": "timm:test_resnet",
        "backbone_options": {},
        "weights": None,
        "image_size": 64,
        "cam_size": 160,
    }
    config = CCDConfig.preset("demo").changed(
        data={"spec": f"coco2014:{root}"}, classifier=small, device="cpu"
    )
    run = Run.create(out, config, CLASSES)
    work = Work(config, make_accelerator(config.device), run)
    train = targets["train"]
    logits = 4 * train * rng.uniform(0.3, 1.2, train.shape[1]).astype(np.float32) + rng.standard_normal(
        train.shape, np.float32
    )
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    write_arrays(run.file("global.npz"), ids=np.array(ids["train"]), p_global=p, entropy=entropy(p))
    bias = measure_bias(p, work)
    initial = initial_labels(p, bias, config)
    after_warmup = scored(train, 2.0, rng)
    threshold = view_threshold(after_warmup, VIEWS_AN_IMAGE)
    write_json(
        run.file("view_threshold.json"),
        {"threshold": threshold, "mean_views": float((after_warmup > threshold).sum() / len(train))},
    )
    parts = views_in_parts(after_warmup, threshold, train, rng)
    write_views(run.file("views.parquet"), tuple(ids["train"]), run.classes, after_warmup, parts)
    rows = {image: row for row, image in enumerate(ids["train"])}
    view_image = run.load_views()["image"].map(rows).to_numpy(int)
    local = local_labels(len(train), view_image, run.load_view_probabilities(), bias, config)
    final = final_labels(initial, local, config)
    n_views = np.bincount(view_image, minlength=len(train))
    write_labels(work, ids["train"], initial, local, final, n_views)

    report: dict = {"epoch": 5}
    for split in ("train", "val"):
        scores = scored(targets[split], 1.4, rng)
        write_arrays(run.file("scores", f"{split}.npz"), ids=np.array(ids[split]), scores=scores)
        report[split] = measured(scores, targets[split])
    report["labels"] = {
        kind: measured(values, train)
        for kind, values in {
            "global": p,
            "initial": initial,
            "local": np.nan_to_num(local),
            "final": final,
        }.items()
    }
    write_json(run.file("scores", "ap.json"), report)
    curve = [
        {
            "epoch": e,
            "phase": "warm-up" if e < 2 else "main",
            "loss": 0.5 / (e + 1),
            "train_map": 50 + 4 * e,
            "val_map": 55 + 3 * e,
            "seconds": 600.0,
        }
        for e in range(6)
    ]
    run.write_metrics(curve)
    write_weights(run, config)
    run.update_state(
        status="finished",
        stage="done",
        seconds={"images": 60, "global": 900, "warm-up": 1200, "views": 4000, "training": 2400, "scores": 90},
        skipped=[],
    )
    return run


def measured(values: np.ndarray, targets: np.ndarray) -> dict:
    """The measures of one split, as ap.json has them."""
    ap = average_precision(values, targets)
    named = {name: None if np.isnan(one) else 100 * float(one) for name, one in zip(CLASSES, ap, strict=True)}
    return {key: 100 * float(value) for key, value in summary(values, targets).items()} | {"AP": named}


def write_weights(run: Run, config: CCDConfig) -> None:
    import torch
    from safetensors.torch import save

    torch.manual_seed(0)
    write_atomic(
        run.file("checkpoints", "best.safetensors"),
        save(make_classifier(config.classifier, len(CLASSES)).state_dict()),
    )
    write_json(
        run.file("checkpoints", "best.json"), {"epoch": 5, "kept_because": "synthetic: random weights"}
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument(
        "--classes", type=int, default=80, help="of COCO's 80 classes, how many occur in the images"
    )
    arguments = parser.parse_args()
    began = time.time()
    rng = np.random.default_rng(0)
    out = arguments.out.resolve()
    drawings = draw(out / "drawings")
    targets = {
        "train": some_targets(arguments.images, arguments.classes, rng),
        "val": some_targets(max(1, arguments.images // 10), arguments.classes, rng),
    }
    ids = {
        split: write_split(out / "data", split, values, drawings, rng) for split, values in targets.items()
    }
    run = write_run(out / "data", out / "synthetic", targets, ids, rng)
    seconds = time.time() - began
    views = len(run.load_views())
    print(f"{run.path}: {arguments.images:,} images, {views:,} views, written in {seconds:.0f} s")


if __name__ == "__main__":
    main()
