"""What background words are worth: labels of training images with 3 x 3 tiles as local views.

    python benchmarks/background_words.py --dataset folder:photos --teacher local-dir:my_clip \
        --set clip.size=224

Tiles stand for local views, so that no classifier is trained. Final labels are measured on both halves of
the training images, so that a choice made on one half can be read on the other. All values are percent.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from ccd_core.clip.teacher import PromptedClip, load_teacher
from ccd_core.config import CCDConfig, load_config
from ccd_core.data import open_dataset
from ccd_core.evaluation.metrics import summary
from ccd_core.machine.device import make_accelerator
from ccd_core.method.bias import clip_bias, debias_as_set, entropy_limit
from ccd_core.runs.progress import Progress
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work
from ccd_core.settings.presets import SCENERY, THINGS
from ccd_core.stages.tiles import grid_embeddings

GRID = 3
WORDS = {"none": [], "scenery": SCENERY, "things": THINGS, "both (best)": SCENERY + THINGS}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True, help="a data set with labels, such as folder:photos")
    parser.add_argument("--teacher", help="clip.model, such as local-dir:my_clip")
    parser.add_argument("--preset", default="best")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    changes = list(arguments.set)
    if arguments.teacher:
        changes += [f"clip.model={arguments.teacher}", "clip.pretrained=null"]
    config = load_config(arguments.preset, changes=changes, dataset=arguments.dataset)
    measure(config)


def measure(config: CCDConfig) -> None:
    """Print the table for one data set and one teacher."""
    dataset = open_dataset(config.data.spec)
    truth = dataset.ground_truth("train")
    assert truth is not None, "labels are measured against labels"
    images = dataset.splits["train"]
    accelerator = make_accelerator(config.device, config.precision)
    clip = load_teacher(config.clip, dataset.classes, accelerator)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder, "run"), config, dataset.classes)
        work = Work(config, accelerator, run, Progress(run))
        whole = grid_embeddings(clip, images, 1, work)[:, 0]
        tiles = grid_embeddings(clip, images, GRID, work)
    text = clip.text.cpu()
    p_whole = probabilities(clip, whole, text)
    bias = clip_bias(p_whole, entropy_limit(config.bias, len(text)), config.bias.shrink)
    initial = debias_as_set(p_whole, bias.value, config.bias, len(text))
    print("| background words | half | mAP | micro-AP | F1 at 0.5 |\n|---|---|---|---|---|")
    for label, words in WORDS.items():
        with_words = PromptedClip(
            clip.teacher, clip.text, config.clip.model_copy(update={"background": words})
        )
        local = probabilities(clip, tiles, with_words.view_text.cpu())[..., : len(text)].max(1)
        local = debias_as_set(local, bias.value, config.bias, len(text))
        final = config.labels.alpha * initial + (1 - config.labels.alpha) * local
        for half, rows in (("first", slice(0, None, 2)), ("second", slice(1, None, 2))):
            measures = summary(final[rows], truth.targets[rows])
            shown = [f"{100 * measures[name]:.1f}" for name in ("mAP", "micro_AP", "F1")]
            print(f"| {label} | {half} | {' | '.join(shown)} |")


def probabilities(clip: PromptedClip, embeddings: np.ndarray, text: torch.Tensor) -> np.ndarray:
    """[..., C] float32 probabilities of embeddings [..., D] for text [C, D] (Eq. 2)."""
    return clip.teacher.classify(torch.from_numpy(embeddings), text).numpy()


if __name__ == "__main__":
    main()
