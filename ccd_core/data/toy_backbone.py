"""Pre-train the demo classifier's backbone on drawings of made-up objects: the demo's stand-in for ImageNet.

    python -m ccd_core.data.toy_backbone --out assets/demo_backbone.safetensors

None of the 80 made-up classes is a class of the demo, and none of their labels is a label of one.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from ccd_core.classifier import CamClassifier
from ccd_core.clip import normalise
from ccd_core.config import CCDConfig
from ccd_core.data.toy_scenes import abstract_world, draw_scene

CLASSES, POOL, SEED = 80, 6_000, 90_000
STEPS, BATCH, LEARNING_RATE = 600, 32, 2e-3


def draw_pool(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[N, 3, size, size] uint8 and [N, CLASSES] of 0 and 1."""
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        drawn = list(pool.map(_draw, ((i, size) for i in range(count)), chunksize=64))
    labels = torch.zeros(count, CLASSES)
    for row, (_, kinds) in enumerate(drawn):
        labels[row, kinds] = 1
    return torch.from_numpy(np.stack([picture for picture, _ in drawn])).permute(0, 3, 1, 2), labels


def _draw(job: tuple[int, int]) -> tuple[np.ndarray, list[int]]:
    index, size = job
    cv2.setNumThreads(1)
    scene = draw_scene(SEED, index, 0.4, vocabulary=abstract_world(CLASSES))
    return cv2.resize(scene.image, (size, size), interpolation=cv2.INTER_AREA), [int(name) for name, _ in scene.objects]


def train(steps: int, pool_size: int, size: int) -> tuple[Any, list[dict]]:
    settings = CCDConfig.preset("demo").classifier
    torch.manual_seed(SEED)
    pixels, labels = draw_pool(pool_size, size)
    model: Any = CamClassifier(settings.backbone, CLASSES, None, **settings.backbone_options).to(memory_format=torch.channels_last)
    torch.nn.init.constant_(model.head.bias, -3.0)  # most classes are absent from most pictures
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    history, began, running = [], time.time(), 0.0
    for step in range(1, steps + 1):
        rows = torch.randint(len(pixels), (BATCH,))
        x = pixels[rows]
        x = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, x.flip(-1), x)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(normalise(x).contiguous(memory_format=torch.channels_last))
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels[rows]) * CLASSES
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0 or step == steps:
            history.append({"step": step, "seconds": round(time.time() - began), "loss": round(running, 3)})
            print(history[-1], flush=True)
    return model.eval(), history


def main(out: Path, steps: int, pool_size: int) -> None:
    size = CCDConfig.preset("demo").classifier.image_size
    model, history = train(steps, pool_size, size)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: (v.half() if v.is_floating_point() else v).contiguous() for name, v in model.backbone.state_dict().items()}, out)
    record = {"steps": steps, "pool": pool_size, "classes": CLASSES, "batch": BATCH, "learning_rate": LEARNING_RATE, "size": size, "history": history}
    out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--pool", type=int, default=POOL, help="how many scenes to draw")
    arguments = parser.parse_args()
    main(arguments.out, arguments.steps, arguments.pool)
