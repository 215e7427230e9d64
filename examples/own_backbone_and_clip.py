"""A backbone of your own under the classifier, and a CLIP of your own as the teacher.

    python examples/own_backbone_and_clip.py folder:photos --clip my_clip --out runs/own

The backbone is any network that is registered with timm and gives a feature map. The CLIP is a folder with
open_clip_config.json and open_clip_model.safetensors, as open_clip's `save_for_hf` writes it.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from timm.models import register_model
from torch import Tensor, nn

from ccd_core import CamClassifier, ClipTeacher, Predictor, UserError, run_ccd
from ccd_core.config import load_config
from ccd_core.export import export_run


class SmallNet(nn.Module):
    """Four convolutions; a feature stands for 16 x 16 pixels."""

    def __init__(self, channels: int = 64):
        super().__init__()
        widths = [3, channels // 4, channels // 2, channels, channels]
        self.stages = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU())
                for before, after in pairwise(widths)
            )
        )

    def forward_features(self, x: Tensor) -> Tensor:
        """Images [B, 3, H, W] to features [B, Q, H / 16, W / 16]. CCD asks for no more than this."""
        return self.stages(x)


@register_model
def my_small_net(pretrained: bool = False, channels: int = 64, **_: Any) -> SmallNet:
    return SmallNet(channels)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("dataset", help="folder:DIR, voc:ROOT, coco:FILE, ... or demo")
    options.add_argument("--clip", type=Path, required=True, help="the folder of the CLIP")
    options.add_argument("--out", type=Path, default=Path("runs/own"), help="where the run is kept")
    options.add_argument("--settings", type=Path, help="a YAML file of settings, as `ccd settings` prints")
    given = options.parse_args()

    # 1. Both can be tried by themselves, before anything long.
    classifier = CamClassifier("timm:my_small_net", num_classes=3, channels=32)
    _, maps = classifier(torch.zeros(1, 3, 64, 64), return_cam=True)
    print(f"the backbone gives maps of {maps.shape[-2]} x {maps.shape[-1]} for 64 x 64 pixels")
    clip = ClipTeacher.load(f"local-dir:{given.clip}")
    grey = torch.full((1, 3, 96, 96), 128)
    p = clip.probabilities(clip.normalise(grey), clip.encode_text(["tree", "house"]))
    print(f"the CLIP finds {p[0, 0]:.1%} tree and {p[0, 1]:.1%} house in a grey image")

    # 2. In a run they are settings like all others.
    config = load_config("paper", given.settings, dataset=given.dataset).changed(
        clip={"model": f"local-dir:{given.clip}", "pretrained": None},
        classifier={"backbone": "timm:my_small_net", "backbone_options": {"channels": 32}, "weights": None},
    )
    run = run_ccd(config, given.out)
    print(f"finished with {sum(p.numel() for p in Predictor(run).model.parameters()):,} parameters")

    # 3. Programs that do not know the backbone take the model as a torch.export program or as ONNX.
    print(export_run(run, "torch", given.out.with_name(f"{given.out.name}-torch"), force=True))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"Error: {error}") from None
