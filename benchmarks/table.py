"""The paper's tables and sweeps on toy scenes of their own: one command for all of them.

    python benchmarks/table.py --out /tmp/table                    # Table 1, every method, 3 seeds
    python benchmarks/table.py --out /tmp/table --only sweeps      # Table 2, Figures 6a, 6b and 7
    python benchmarks/table.py --out /tmp/table --only cost        # a sweep against whole runs
    python benchmarks/table.py --out /tmp/table --only counted     # the same of the paper's models, counted

The scenes are drawn with a seed on which no setting was chosen. Everything goes through `ccd table` and `ccd
sweep`, so a stopped benchmark goes on when it is started again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from ccd_core.toy.scenes import write_dataset

SEED = 271_828
# Half of the demo's training images, and its settings. The last epoch is kept for every method, because the
# rate falls to zero.
SETTINGS = ("training.keep=last",)
VOC12 = (5_717, 5_823)  # training and validation images
SWEEPS = ("ablation", "6a", "6b", "7")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("table", "sweeps", "cost", "counted"), default="table")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--val", type=int, default=400)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--device", default="cpu:0,1")
    arguments = parser.parse_args()
    if arguments.only == "counted":
        counted()
        return
    scenes = arguments.out / "scenes"
    if not scenes.exists():
        write_dataset(scenes, {"train": arguments.images, "val": arguments.val}, seed=SEED)
    common = [f"demo:{scenes}", "--seeds", arguments.seeds, "--device", arguments.device]
    for setting in SETTINGS:
        common += ["--set", setting]
    if arguments.only == "table":
        ccd("table", *common, "--out", arguments.out / "table")
    elif arguments.only == "sweeps":
        for name in SWEEPS:
            what = ["--ablation"] if name == "ablation" else ["--figure", name]
            ccd("sweep", *common, *what, "--out", arguments.out / f"sweep-{name}")
    else:
        cost(arguments.out, common)


def cost(out: Path, common: list[str]) -> None:
    """Seconds of a sweep over six alphas, with shared stages and without."""
    values = ["--setting", "labels.alpha", "--values", "0,0.2,0.4,0.6,0.8,1"]
    seconds: dict[str, float] = {}
    for name, how in (("shared", []), ("whole", ["--whole-runs"])):
        began = time.time()
        ccd("sweep", *common, *values, *how, "--out", out / f"cost-{name}")
        seconds[name] = time.time() - began
    print(json.dumps(seconds | {"times": seconds["whole"] / seconds["shared"]}))


def counted() -> None:
    """Operations of six whole runs over those of a sweep, with the paper's models on VOC 2012.

    No embedding is in the cache, a local view is `VIEW_AREA` of a whole image, and all epochs are run.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from ccd_core.clip.teacher import place_of
    from ccd_core.clip.towers import any_size
    from ccd_core.clip.weights import architecture
    from ccd_core.config import CCDConfig
    from ccd_core.method.backbones import make_backbone
    from ccd_core.runs.needs import work
    from ccd_core.speed import VIEW_AREA

    config = CCDConfig.preset("paper", "voc2012:ROOT")

    def operations(network: torch.nn.Module, side: int) -> float:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network.to("meta").eval()(torch.zeros(1, 3, side, side, device="meta"))
        return float(counter.get_total_flops())

    name, pretrained = place_of(config.clip.model, config.clip.pretrained)
    clip = operations(any_size(architecture(name, pretrained).visual), config.clip.size)
    backbone, _ = make_backbone(config.classifier.backbone, None, {}, (config.classifier.image_size,))
    score = operations(backbone, config.classifier.image_size)
    cam = operations(backbone, config.classifier.cam_size)
    images = work(config, *VOC12)
    main = config.training.epochs - config.training.warmup_epochs
    of_stage = {
        "global": images["global"] * clip,
        "warm-up": 3 * images["warm-up"] * score + config.training.warmup_epochs * VOC12[1] * score,
        "views": images["views"] * VIEW_AREA * clip + VOC12[0] * cam,
        "training": 3 * images["training"] * score + main * VOC12[1] * score,
        "scores": images["scores"] * score,
    }
    whole = sum(of_stage.values())
    again = of_stage["training"] + of_stage["scores"]
    shares = {stage: round(value / whole, 3) for stage, value in of_stage.items()}
    print(json.dumps({"shares": shares, "times": round(6 * whole / (whole + 5 * again), 2)}))


def ccd(*words: object) -> None:
    """Run the command `ccd`, and say how long it took."""
    began = time.time()
    subprocess.run([sys.executable, "-m", "ccd_core.cli", *map(str, words)], check=True)
    print(f"ccd {words[0]}: {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
