"""Memory of a whole run on a synthetic list of images of NUS-WIDE's size, stage by stage.

    python benchmarks/memory.py --images 15000 150000

The list names a few hundred small files many times. It has 81 classes, 10 views an image, and ground truth
for every image. CLIP's tower is replaced by a projection of the mean colour, and the classifier is timm's
test_resnet at 32 pixels. So the pipeline's own memory is measured and not that of models, and a run takes
minutes. Each size has a process of its own, whose resident memory is printed in MiB. There are no processes
that decode images.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CLASSES = 81
FILES = 300
SIDE = 32  # pixels


def run_once(images: int, folder: Path) -> None:
    """Run once, and print {"before": MiB, "stages": {name: MiB}, "seconds": ..., ...} as JSON."""
    import numpy as np
    import psutil
    import torch
    from PIL import Image

    from ccd_core import execution, pipeline
    from ccd_core.clip.teacher import ClipTeacher, PromptedClip
    from ccd_core.config import CCDConfig
    from ccd_core.data import loading
    from ccd_core.data.types import Boxes, Dataset, GroundTruth, ImageList, Paths

    rng = np.random.default_rng(0)
    for number in range(FILES):
        Image.fromarray(rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(folder / f"{number}.jpg")
    # The files repeat, and decoding them again would take time but no memory.
    loading.read_image = functools.lru_cache(FILES)(loading.read_image)

    def listed(split: str, count: int) -> ImageList:
        return ImageList(
            tuple(f"{split}/{index:06d}" for index in range(count)),
            Paths(folder, [f"{index % FILES}.jpg" for index in range(count)]),
        )

    splits = {"train": listed("train", images), "val": listed("val", images * 2 // 5)}
    truths = {
        split: GroundTruth(
            some.ids, (rng.random((len(some), CLASSES)) < 0.03).astype(np.float32), Boxes.none(len(some))
        )
        for split, some in splits.items()
    }
    names = tuple(f"class {index}" for index in range(CLASSES))

    class MeanColour(ClipTeacher):
        logit_scale = 100.0
        stride = SIDE

        def __init__(self) -> None:
            self.device = torch.device("cpu")
            self.precision = "fp32"
            self.mean = (0.5,) * 3
            self.std = (0.25,) * 3
            self.sigmoid = False
            self.project = torch.randn(3, 1024, generator=torch.Generator().manual_seed(0))

        def side(self, wanted: int) -> int:
            return wanted

        def encode_image(self, x):
            return torch.nn.functional.normalize(x.mean((2, 3)) @ self.project, dim=-1)

        def fingerprint(self) -> str:
            return f"mean colour {images} {time.time()}"

    text = torch.nn.functional.normalize(
        torch.randn(CLASSES, 1024, generator=torch.Generator().manual_seed(1)), dim=-1
    )
    execution.open_dataset = lambda *_, **__: Dataset("synthetic", names, splits, truths.get)
    pipeline.load_teacher = lambda settings, *_: PromptedClip(MeanColour(), text, settings)
    config = CCDConfig.preset("paper").changed(
        device="cpu",
        precision="fp32",
        data={"spec": "synthetic", "workers": 0},
        clip={"size": SIDE, "batch_size": 256},
        classifier={
            "backbone": "timm:test_resnet",
            "weights": None,
            "image_size": SIDE,
            "cam_size": 4 * SIDE,
        },
        views={"frame": SIDE, "offset": 4},
        training={
            "epochs": 2,
            "warmup_epochs": 1,
            "batch_size": 512,
            "keep": "last",
            "positive_label": 0.5,
            "learning_rate": 1e-3,
        },
    )
    process = psutil.Process()
    peaks: dict[str, float] = {}  # by stage
    now = ["start"]  # the present stage
    over = threading.Event()
    before = process.memory_info().rss / 2**20

    def sample() -> None:
        while not over.wait(0.05):
            peaks[now[0]] = max(peaks.get(now[0], 0.0), process.memory_info().rss / 2**20)

    def report(stage: str, done: int, total: int, detail: str) -> None:
        if now[0] != stage:
            print(f"{time.strftime('%H:%M:%S')} {images} images, {stage}", file=sys.stderr, flush=True)
        now[0] = stage

    watcher = threading.Thread(target=sample, daemon=True)
    began = time.time()
    watcher.start()
    run = execution.run_ccd(config, folder / "run", report)
    seconds = time.time() - began
    over.set()
    watcher.join()
    views = float(run.load_labels()["n_views"].mean())
    print(
        json.dumps(
            {
                "before": before,
                "stages": peaks,
                "seconds": seconds,
                "views": views,
                "disk": run.file("views.parquet").stat().st_size / 2**20,
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[15_000, 150_000])
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        run_once(arguments.images[0], arguments.once)
        return
    results = {}
    for images in arguments.images:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--images", str(images), "--once", folder]
            environment = os.environ | {"CCD_HOME": f"{folder}/home"}
            results[images] = json.loads(
                subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
            )
    stages = list(dict.fromkeys(name for result in results.values() for name in result["stages"]))
    print(f"| MiB resident | {' | '.join(f'{images} images' for images in results)} |")
    print("|---" * (1 + len(results)) + "|")
    for name, values in {
        "libraries, before the run": [result["before"] for result in results.values()],
        **{
            f"stage {stage}": [result["stages"].get(stage, 0) for result in results.values()]
            for stage in stages
        },
        "most": [max(result["stages"].values()) for result in results.values()],
        "views.parquet on disk": [result["disk"] for result in results.values()],
        "views an image": [result["views"] for result in results.values()],
        "seconds": [result["seconds"] for result in results.values()],
    }.items():
        print(f"| {name} | " + " | ".join(f"{value:.0f}" for value in values) + " |")


if __name__ == "__main__":
    main()
