"""Measure the demo CLIP on toy scenes of a seed of their own: zero-shot quality, salience and bias.

python benchmarks/demo_clip.py [--images 600] [--write assets/demo_clip/quality.json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from ccd_core.clip.teacher import ClipTeacher
from ccd_core.config import CCDConfig
from ccd_core.evaluation.metrics import summary
from ccd_core.method.bias import clip_bias
from ccd_core.toy.scenes import CLASSES, draw_scene
from ccd_core.toy.train_clip import AMBIGUOUS

SEED = 555
SIZE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    teacher = ClipTeacher.load("demo")
    text = teacher.encode_text(CLASSES)

    def probabilities(images: list[np.ndarray]) -> np.ndarray:
        size = (arguments.size, arguments.size)
        squares = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
        x = teacher.normalise(torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2))
        return torch.cat([teacher.probabilities(part, text) for part in x.split(64)]).numpy()

    scenes = [draw_scene(SEED, index, 0.5) for index in range(arguments.images)]
    p = probabilities([scene.image for scene in scenes])
    present = [[CLASSES.index(name) for name, _ in scene.objects] for scene in scenes]
    targets = np.zeros_like(p)
    for row, classes in enumerate(present):
        targets[row, classes] = 1
    one = [row for row, classes in enumerate(present) if len(set(classes)) == 1]
    right = np.array([p[row].argmax() == present[row][0] for row in one])
    top = {
        name: [float(p[row].max()) for row in one if present[row][0] == index]
        for index, name in enumerate(CLASSES)
    }
    mean_top = {name: round(float(np.mean(values)), 3) for name, values in top.items() if values}

    in_scene: list[float] = []  # probability of the less salient of two objects
    alone: list[float] = []  # the same, if the image is cropped to that object
    for row, scene in enumerate(scenes):
        if len(scene.objects) == 2 and len(set(present[row])) == 2:
            areas = [(x1 - x0) * (y1 - y0) for _, (x0, y0, x1, y1) in scene.objects]
            smaller = int(np.argmin(areas))
            name, (x0, y0, x1, y1) = scene.objects[smaller]
            margin = max(x1 - x0, y1 - y0) // 3
            crop = scene.image[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
            in_scene.append(p[row, CLASSES.index(name)])
            alone.append(probabilities([crop])[0, CLASSES.index(name)])
    bias = clip_bias(p, CCDConfig.preset("demo").bias.entropy_threshold).value
    clear = [value for name, value in mean_top.items() if name not in AMBIGUOUS]
    result = {
        "images": arguments.images,
        "size": arguments.size,
        "one_object_accuracy": round(float(right.mean()), 3),
        "mean_top1_unambiguous": round(float(np.mean(clear)), 3),
        "mean_top1_ambiguous": {name: mean_top.get(name) for name in AMBIGUOUS},
        "clip_bias_most_over_least": round(float(bias.max() / bias.min()), 2),
        "mean_top1_most_over_least": round(max(mean_top.values()) / min(mean_top.values()), 2),
        "less_salient_object_in_scene": round(float(np.mean(in_scene)), 3),
        "same_object_cropped_alone": round(float(np.mean(alone)), 3),
        "global_labels_percent": {name: round(100 * value, 1) for name, value in summary(p, targets).items()},
    }
    print(json.dumps(result, indent=1))
    if arguments.write:
        arguments.write.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
