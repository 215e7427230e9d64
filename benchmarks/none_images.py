"""Measure how well images without any class are recognised, and what labels of zero for them are worth.

    python benchmarks/none_images.py --images 600

A fifth of the toy scenes show no class. The scenes are new to the demo CLIP. If the filter flags an image,
its initial labels become zero. All values but counts are percent.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ccd_core.clip.teacher import load_teacher
from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.evaluation.metrics import summary
from ccd_core.machine.device import make_accelerator
from ccd_core.method.bias import clip_bias
from ccd_core.method.labels import initial_labels
from ccd_core.method.none_images import none_images, zero_none_images
from ccd_core.runs.progress import Progress
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import global_outputs
from ccd_core.toy.scenes import write_dataset

FRESH_SEED = 31_337
NONE_SHARE = 0.2  # of the scenes show no class


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=600)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scenes = write_dataset(
            Path(folder, "scenes"), {"train": arguments.images, "val": 1}, FRESH_SEED, none_share=NONE_SHARE
        )
        config = CCDConfig.preset("demo").changed(data={"spec": f"demo:{scenes}"}, device="cpu")
        dataset = open_dataset(config.data.spec)
        truth = dataset.ground_truth("train")
        assert truth is not None
        accelerator = make_accelerator(config.device, config.precision)
        clip = load_teacher(config.clip, dataset.classes, accelerator)
        run = Run.create(Path(folder, "run"), config, dataset.classes)
        work = Work(config, accelerator, run, Progress(run))
        p_global, similarity = global_outputs(clip, dataset.splits["train"], work)
        labels = initial_labels(p_global, clip_bias(p_global, config.bias.entropy_threshold), config)
        without = truth.targets.sum(1) == 0
        print(f"{len(without)} toy scenes, {without.sum()} of them without any class\n")
        print("| filter | flagged | found | false alarms | label mAP | micro-AP | F1 at 0.5 |")
        print("|---|---|---|---|---|---|---|")
        for name in ("off", "similarity", "entropy"):
            settings = config.changed(none_images={"filter": name}).none_images
            flagged = none_images(p_global, similarity, settings)
            measures = summary(zero_none_images(labels, flagged), truth.targets)
            values = " | ".join(f"{100 * measures[key]:.1f}" for key in ("mAP", "micro_AP", "F1"))
            found = 100 * (flagged & without).sum() / without.sum()
            alarms = 100 * (flagged & ~without).sum() / (~without).sum()
            print(f"| {name} | {flagged.sum()} | {found:.0f} % | {alarms:.1f} % | {values} |")


if __name__ == "__main__":
    main()
