"""ONNX on onnxruntime against PyTorch: how far the results differ, and images a second of both in one run.

    python benchmarks/export_speed.py                                  the demo's classifier
    python benchmarks/export_speed.py --backbone resnet50 --size 448   random weights, any backbone

Both take the same pixels on the CPU with the same number of threads, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from safetensors.torch import save_file

from ccd_core import CCDConfig, Run
from ccd_core.data import open_dataset
from ccd_core.data.loading import read_batches
from ccd_core.export import Export, export_run
from ccd_core.export.models.model import pixel_classifier
from ccd_core.export.thresholds import thresholds_of
from ccd_core.method.classifier import make_classifier
from ccd_core.paths import DEMO_RUN

Model = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--run", type=Path, default=DEMO_RUN, help="a finished run")
    arguments.add_argument("--backbone", help="instead: random weights of this backbone")
    arguments.add_argument("--size", type=int, default=448, help="with --backbone: pixels")
    arguments.add_argument("--images", type=int, default=256)
    arguments.add_argument("--batch", type=int, default=32)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.open(given.run)
        if given.backbone:
            run = with_backbone(Path(folder) / "run", given.backbone, given.size)
        began = time.perf_counter()
        exported = export_run(run, "onnx", Path(folder) / "onnx")
        print(f"{run.config.classifier.backbone} at {run.config.classifier.image_size} pixels")
        print(f"exported in {time.perf_counter() - began:.1f} s, torch {torch.__version__}")
        models = {"PyTorch": pytorch(run), "onnxruntime": runtime(exported / "model.onnx", given.threads)}
        batches = pixels(run.config.classifier.image_size, given.images, given.batch)
        parity(models, batches)
        speed(models, batches, given.repeats, given.threads)


def with_backbone(path: Path, backbone: str, size: int) -> Run:
    """A run that has settings and random weights only."""
    torch.manual_seed(0)
    classifier = {"backbone": backbone, "weights": None, "image_size": size, "cam_size": size}
    config = CCDConfig.preset("demo").changed(classifier=classifier)
    run = Run.create(path, config, Run.open(DEMO_RUN).classes)
    model = make_classifier(config.classifier, len(run.classes))
    run.file("checkpoints").mkdir()
    save_file(model.state_dict(), run.file("checkpoints", "best.safetensors"))
    return run


def pytorch(run: Run) -> Model:
    """With channels last, which is PyTorch's quickest layout for convolutions on a CPU."""
    model, _ = pixel_classifier(Export(run, thresholds_of(run)))
    model = model.to(memory_format=torch.channels_last)

    def predict(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            images = torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)
            logits, cam = model(images)
        return logits.numpy(), cam.numpy()

    return predict


def runtime(path: Path, threads: int) -> Model:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    print(f"onnxruntime {onnxruntime.__version__}, {path.stat().st_size / 1e6:.1f} MB")

    def predict(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits, cam = session.run(None, {"pixels": batch})
        return logits, cam

    return predict


def pixels(size: int, count: int, batch_size: int) -> list[np.ndarray]:
    """Batches of validation images of the demo, uint8 [B, 3, S, S]."""
    images = open_dataset("demo").splits["val"]
    rows = np.resize(np.arange(len(images)), count)
    batches = read_batches(images, size, batch_size, rows, workers=0)
    return [pixels.numpy() for _, pixels, _ in batches]


def parity(models: dict[str, Model], batches: list[np.ndarray]) -> None:
    """Print the largest differences over all images, in batches of several sizes."""
    logits = maps = largest = 0.0
    for number, batch in enumerate(batches):
        part = batch[: max(1, len(batch) - number)]
        expected, given = (model(part) for model in models.values())
        logits = max(logits, float(np.abs(expected[0] - given[0]).max()))
        maps = max(maps, float(np.abs(expected[1] - given[1]).max()))
        largest = max(largest, float(np.abs(expected[1]).max()))
    print(f"largest difference: logits {logits:.1e}, maps {maps:.1e} (maps reach {largest:.1f})")


def speed(models: dict[str, Model], batches: list[np.ndarray], repeats: int, threads: int) -> None:
    """Print images a second, the median of `repeats` turns."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, model in models.items():
            began = time.perf_counter()
            for batch in batches:
                model(batch)
            seconds[name].append(time.perf_counter() - began)
    count = sum(map(len, batches))
    for name, values in seconds.items():
        print(f"{name}: {count / statistics.median(values):.0f} images a second ({threads} thread(s))")


if __name__ == "__main__":
    main()
