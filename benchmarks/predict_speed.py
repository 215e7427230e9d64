"""`ccd predict` beside a plain PyTorch loop over the same model and files, and its memory by number of files.

    python benchmarks/predict_speed.py speed            # pairs, one after the other, and their ratios
    python benchmarks/predict_speed.py memory --files 5000 50000
    python benchmarks/predict_speed.py size --files 5000 50000 200000

The plain loop is what one writes first: a Dataset that opens each file with Pillow, a DataLoader with a
worker process for each core, and one forward pass a batch. Both sides predict the same files with the same
weights, and their scores are compared. Files of the other measurements are hard links to a few small scenes.
`size` kills a prediction after its first part, makes up all other parts but two, and lets it go on.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ccd_core.predict.plan import PART_IMAGES
from ccd_core.toy.scenes import write_dataset

ROOT = Path(__file__).resolve().parents[1]
BATCH = 32


def plain_loop(run_path: Path, files: Sequence[Path], workers: int):
    """Scores [N, C] by the loop that one would write first."""
    import numpy as np
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    from ccd_core.clip.teacher import normalise
    from ccd_core.predict.predictor import Predictor

    predictor = Predictor.open(run_path, "cpu")
    size = predictor.run.config.classifier.image_size

    class Files(Dataset):
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, index: int) -> torch.Tensor:
            with Image.open(files[index]) as image:
                small = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(small)).permute(2, 0, 1)

    moments = []
    scores = []
    with torch.inference_mode():
        for pixels in DataLoader(Files(), BATCH, num_workers=workers):
            scores.append(torch.sigmoid(predictor.model(normalise(pixels))))
            moments.append(time.perf_counter())
    return torch.cat(scores).numpy(), rate(len(files), moments)


def ours(run_path: Path, files: Sequence[Path], folder: Path):
    """Scores [N, C] by what `ccd predict` does once its model is loaded: parts, and a CSV at the end."""
    import numpy as np

    from ccd_core.cli.many_images import Request
    from ccd_core.evaluation.thresholds import in_use
    from ccd_core.predict.folder import merge, work
    from ccd_core.predict.plan import Plan
    from ccd_core.runs.run import Run

    run = Run.open(run_path)
    request = Request(
        run, list(files), {"csv": folder / "out.csv"}, None, in_use(run), False, BATCH, -1, False
    )
    plan = Plan.make(request.folder, request.images, request.in_full())
    moments: list[float] = []
    work(plan, "cpu", advance=lambda done: moments.append(time.perf_counter()))
    scores = np.array([row.scores for row in plan.rows()], np.float32)
    merge(plan)
    return scores, rate(len(files), [*moments, time.perf_counter()])


def rate(images: int, moments: Sequence[float]) -> float:
    """Images a second after the first batch, so that loading a model and starting workers do not count."""
    return (images - BATCH) / (moments[-1] - moments[0])


def speed(run_path: Path, files: Sequence[Path], pairs: int) -> None:
    import numpy as np

    cores = os.cpu_count() or 1
    ratios = []
    work_ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(pairs):
            sides = [lambda: ours(run_path, files, Path(folder)), lambda: plain_loop(run_path, files, cores)]
            measured = {}
            work = {}
            for side in (0, 1) if pair % 2 == 0 else (1, 0):  # neither side is always the first
                before = cpu_seconds()
                measured[side] = sides[side]()
                work[side] = 1000 * (cpu_seconds() - before) / len(files)
            (mine, fast), (theirs, plain) = measured[0], measured[1]
            ratios.append(fast / plain)
            work_ratios.append(work[1] / work[0])
            most = float(np.abs(mine - theirs).max())
            print(
                f"pair {pair + 1}: ccd predict {fast:.1f}, plain loop {plain:.1f} images a second, "
                f"ratio {ratios[-1]:.2f}; {work[0]:.1f} and {work[1]:.1f} ms of CPU an image, with start; "
                f"scores differ by at most {most:.3f}",
                flush=True,
            )
    print(
        f"median ratio of {pairs} pairs: {statistics.median(ratios):.2f} by the clock, "
        f"{statistics.median(work_ratios):.2f} by CPU time"
    )


def cpu_seconds() -> float:
    """CPU seconds of this process and of the workers that it has waited for."""
    return sum(os.times()[:4])


def linked(sources: Sequence[Path], count: int, folder: Path) -> None:
    """Make `count` files in folders of 1,000, as hard links to the sources."""
    for number in range(count):
        below = folder / f"{number // 1000:03d}"
        below.mkdir(parents=True, exist_ok=True)
        os.link(sources[number % len(sources)], below / f"{number:06d}.jpg")


def memory(run_path: Path, sources: Sequence[Path], count: int) -> None:
    """Peak resident memory of `ccd predict` over `count` files, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        linked(sources, count, Path(name) / "photos")
        began = time.perf_counter()
        _, status, usage = os.wait4(command(run_path, Path(name)).pid, 0)
        assert status == 0, "ccd predict failed"
        seconds = time.perf_counter() - began
        print(
            f"{count:,} files: peak {usage.ru_maxrss / 1024:,.0f} MiB, {seconds:.0f} s, "
            f"{count / seconds:.0f} images a second with start",
            flush=True,
        )


def size(run_path: Path, sources: Sequence[Path], count: int) -> None:
    """Peak memory until the first part of `count` files, and of going on with the last two and merging."""
    import numpy as np

    from ccd_core.predict.plan import Plan, Row, text_of
    from ccd_core.runs.run import Run

    classes = len(Run.open(run_path).classes)
    with tempfile.TemporaryDirectory() as name:
        linked(sources, count, Path(name) / "photos")
        parts = Path(name) / "out.csv.parts"
        first = command(run_path, Path(name))
        while not list(parts.glob("part-*")):
            assert first.poll() is None, "ccd predict failed"
            time.sleep(0.05)
        first.kill()
        _, _, killed = os.wait4(first.pid, 0)
        plan = Plan.open(parts)
        scores = np.random.default_rng(0).random((PART_IMAGES, classes)).astype(np.float32).tolist()
        for part in plan.open_parts()[:-2]:
            paths = plan.paths_of(part)
            rows = [Row(text_of(path), row, None, False, None) for path, row in zip(paths, scores)]
            plan.write_part(part, rows)
        _, status, usage = os.wait4(command(run_path, Path(name)).pid, 0)
        assert status == 0, "ccd predict failed"
        with open(Path(name) / "out.csv") as file:
            assert sum(1 for _ in file) == count + 1, "images are missing"
        print(
            f"{count:,} files: peak {killed.ru_maxrss / 1024:,.0f} MiB until it was killed, "
            f"{usage.ru_maxrss / 1024:,.0f} MiB of going on and merging",
            flush=True,
        )


def command(run_path: Path, folder: Path) -> subprocess.Popen[bytes]:
    """`ccd predict` on the photos in a folder."""
    words = [sys.executable, "-m", "ccd_core.cli", "predict", str(run_path), str(folder / "photos")]
    for kind in ("csv", "parquet", "jsonl"):
        words += [f"--{kind}", str(folder / f"out.{kind}")]
    return subprocess.Popen([*words, "--device", "cpu"], stderr=subprocess.DEVNULL, cwd=ROOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["speed", "memory", "size"])
    parser.add_argument("--run", type=Path, default=ROOT / "assets" / "demo_run")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, default=400, help="of each side of a pair")
    parser.add_argument("--files", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--side", type=int, help="shrink the scenes of `memory` to so many pixels first")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scenes = write_dataset(Path(folder) / "scenes", {"val": min(arguments.images, 100)})
        files = sorted((scenes / "JPEGImages").glob("*.jpg"))
        if arguments.what == "speed":
            copies = [Path(folder) / f"{number:05d}.jpg" for number in range(arguments.images)]
            for number, path in enumerate(copies):
                shutil.copy(files[number % len(files)], path)
            speed(arguments.run, copies, arguments.pairs)
            return
        if arguments.side:
            from PIL import Image

            for path in files:
                with Image.open(path) as image:
                    image.resize((arguments.side, arguments.side)).save(path)
        for count in arguments.files:
            (memory if arguments.what == "memory" else size)(arguments.run, files, count)


if __name__ == "__main__":
    main()
