"""Compare a run on one device with the same run on several: labels, metrics and time.

    python benchmarks/distributed.py
    python benchmarks/distributed.py --labelling 256
    python benchmarks/distributed.py --devices cuda:0 cuda:all --preset paper
    --dataset voc2012:/data/VOCdevkit

Without options it runs the demo on the CPU, with one process and with two, each of one thread.

--labelling labels so many scenes with one process and with two, and compares the CPU time an image. That is
what sharding costs, also where others use the cores too. There are four chunks to share, of a quarter of the
images each; a run has chunks of 512 and 256 images.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ccd_core.runs.run import Run

KINDS = ("initial", "local", "final")


def timed_run(device: str, out: Path, arguments: argparse.Namespace) -> float:
    """Seconds of `ccd run` with empty caches."""
    command = [sys.executable, "-m", "ccd_core.cli", "run", "--preset", arguments.preset]
    command += ["--device", device, "--out", str(out)]
    command += ["--dataset", arguments.dataset] if arguments.dataset else []
    command += [word for change in arguments.set for word in ("--set", change)]
    environment = os.environ | {
        "CCD_HOME": str(out.parent / f"home-{out.name}"),
        "OMP_NUM_THREADS": str(arguments.threads),
    }
    began = time.time()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.time() - began


def compared(first: Run, other: Run) -> list[str]:
    """For each kind of labels, how far those of `other` are from those of `first`."""
    one = first.load_labels()
    two = other.load_labels()
    cells = []
    for kind in KINDS:
        same = np.array_equal(one[kind], two[kind], equal_nan=True)
        cells.append("the same bits" if same else f"differ by {np.nanmax(np.abs(one[kind] - two[kind])):.1e}")
    return cells


def labelling(images: int, threads: int) -> None:
    """CPU time an image of the stages `global` and `views`, by one process and by two."""
    from ccd_core.toy.scenes import write_dataset

    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder) / "scenes", {"train": images, "val": 4})
        used = {}
        for number, processes in enumerate((1, 2, 2, 1)):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            own = Path(folder) / str(number)
            own.mkdir()
            environment = os.environ | {
                "CCD_HOME": str(own / "home"),
                "OMP_NUM_THREADS": str(threads),
                "WORLD_SIZE": str(processes),
                "LOCAL_WORLD_SIZE": str(processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            command = [sys.executable, __file__, "--share", folder, str(own / "run")]
            started = [
                subprocess.Popen(
                    command,
                    env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for rank in range(processes)
            ]
            seconds = sum(float(process.communicate()[0].splitlines()[-1]) for process in started)
            used.setdefault(processes, []).append(seconds)
            print(f"{processes} processes: {1e3 * seconds / images:.2f} ms of CPU an image", flush=True)
    ratio = sum(used[1]) / sum(used[2])
    print(f"efficiency of two processes: {ratio:.3f}, from {len(used[1])} measurements of each")


def share(folder: Path, out: Path) -> None:
    """This process's share of the labelling; prints the seconds of CPU of the two stages."""
    import torch

    from ccd_core.clip.teacher import load_teacher
    from ccd_core.config import CCDConfig
    from ccd_core.data import open_dataset
    from ccd_core.machine.device import make_accelerator
    from ccd_core.method.classifier import make_classifier
    from ccd_core.runs.work import Work
    from ccd_core.stages import global_labels, local_views
    from ccd_core.training.distributed import team_of

    # Images are decoded in the same process, so that its CPU time is all that there is.
    config = CCDConfig.preset("demo").changed(
        data={"spec": f"demo:{folder / 'scenes'}", "workers": 0},
        device="cpu",
        precision="fp32",
        views={"threshold": {"mean_views": 2.0}},
    )
    dataset = open_dataset(config.data.spec)
    accelerator = make_accelerator("cpu", "fp32")
    team = team_of(accelerator)
    clip = load_teacher(config.clip, dataset.classes, accelerator)
    torch.manual_seed(0)
    model = make_classifier(config.classifier, len(dataset.classes))
    with team.main_process_first():
        run = Run.create(out, config, dataset.classes) if team.first else Run.open(out)
    work = Work(config, accelerator, run, team=team)
    images = dataset.splits["train"]
    global_labels.CHUNK = local_views.CHUNK = len(images) // 4
    before = time.process_time()
    global_labels.global_outputs(clip, images, work)
    local_views.find_views(accelerator.prepare_model(model, evaluation_mode=True), clip, images, work)
    print(time.process_time() - before)
    accelerator.end_training()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--devices",
        nargs="+",
        default=["cpu", "cpu:0,1"],
        help="the first is what the others are compared with",
    )
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--dataset")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads a process")
    parser.add_argument("--labelling", type=int, metavar="IMAGES", help="measure the labelling alone")
    parser.add_argument("--share", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.share:
        share(*arguments.share)
        return
    if arguments.labelling:
        labelling(arguments.labelling, arguments.threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = [Run(Path(folder) / str(number), None, ()) for number in range(len(arguments.devices))]
        print(
            f"| device | seconds | {' | '.join(f'{kind} labels' for kind in KINDS)} | train-label mAP, last "
            "epoch | val mAP |"
        )
        print(f"|{'---|' * (4 + len(KINDS))}")
        for device, run in zip(arguments.devices, runs, strict=True):
            seconds = timed_run(device, run.path, arguments)
            train = run.load_metrics()["train_map"].iloc[-1]
            score = (run.load_ap().get("val") or {"mAP": float("nan")})["mAP"]
            print(
                f"| {device} | {seconds:.0f} | {' | '.join(compared(runs[0], run))} | {train:.2f} | "
                f"{score:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
