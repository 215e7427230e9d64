"""What it is worth that a run's process keeps freed memory: processor time and peak memory, in pairs.

    python benchmarks/kept_memory.py
    OMP_NUM_THREADS=1 python benchmarks/kept_memory.py --pairs 7

Each pair is two processes, one as Python starts it and one that has called `keep_freed_memory`, that make the
same training steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from statistics import median

# name: (backbone, share that is frozen, images a step, side, steps)
WORK = {
    "demo": ("clip:demo", 0.0, 16, 128, 15),
    "head on EfficientNet-Lite0": ("timm:tf_efficientnet_lite0", 1.0, 16, 224, 4),
    "ResNet-50": ("resnet50", 0.0, 4, 224, 4),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", choices=list(WORK))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured(arguments.child[0], arguments.child[1] == "kept")))
        return
    print("work | CPU seconds, default | kept | ratios | of these in the kernel | peak memory, MB")
    for name in [arguments.only] if arguments.only else WORK:
        pairs = [[child(name, way) for way in ("default", "kept")] for _ in range(arguments.pairs)]
        ratios = [kept["seconds"] / default["seconds"] for default, kept in pairs]
        default, kept = ({key: median(one[key] for one in way) for key in way[0]} for way in zip(*pairs))
        print(
            f"{name} | {default['seconds']:.2f} | {kept['seconds']:.2f} | {median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {default['kernel']:.2f}, {kept['kernel']:.2f} | "
            f"{default['peak']:.0f}, {kept['peak']:.0f}",
            flush=True,
        )


def child(name: str, way: str) -> dict[str, float]:
    """What a process of its own measures."""
    command = [sys.executable, __file__, "--child", name, way]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measured(name: str, kept: bool) -> dict[str, float]:
    """Processor seconds of the steps, those of them in the kernel, and the process's peak memory in MB."""
    if kept:
        from ccd_core.machine.heap import keep_freed_memory

        keep_freed_memory()
    import torch

    from ccd_core.method.classifier import CamClassifier
    from ccd_core.method.losses import ccd_loss

    backbone, frozen, batch, side, steps = WORK[name]
    torch.manual_seed(0)
    model = CamClassifier(backbone, 16, frozen=frozen, fold_norms=True).train()
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], 1e-3)
    images = torch.randn(batch, 3, side, side)
    labels = torch.rand(batch, 16)

    def step() -> None:
        optimizer.zero_grad()
        ccd_loss(model(images), labels, model(images.flip(3))).backward()
        optimizer.step()

    step()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(steps):
        step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    kernel = after.ru_stime - before.ru_stime
    return {
        "seconds": after.ru_utime - before.ru_utime + kernel,
        "kernel": kernel,
        "peak": after.ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
