"""The demo CLIP that ships is what its record says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ccd_core.clip.teacher import ClipTeacher
from ccd_core.paths import DEMO_CLIP
from ccd_core.toy.scenes import CLASSES, draw_scene


def test_the_demo_clip_is_what_its_record_says():
    weights = DEMO_CLIP / "open_clip_model.safetensors"
    assert weights.stat().st_size < 12e6
    record = json.loads((DEMO_CLIP / "quality.json").read_text())
    teacher = ClipTeacher.load("demo")
    scenes = [
        scene
        for scene in (draw_scene(555, index, 0.5) for index in range(120))
        if len({name for name, _ in scene.objects}) == 1
    ]
    import cv2

    squares = np.stack(
        [cv2.resize(scene.image, (128, 128), interpolation=cv2.INTER_AREA) for scene in scenes]
    )
    p = teacher.probabilities(
        teacher.normalise(torch.from_numpy(squares).permute(0, 3, 1, 2)), teacher.encode_text(CLASSES)
    )
    right = np.mean(
        [CLASSES[i] == scene.objects[0][0] for i, scene in zip(p.argmax(1).tolist(), scenes, strict=True)]
    )
    assert right == pytest.approx(record["one_object_accuracy"], abs=0.1)
    assert record["one_object_accuracy"] >= 0.9 and record["mean_top1_unambiguous"] >= 0.85
    assert all(0.4 <= value <= 0.6 for value in record["mean_top1_ambiguous"].values())
    assert record["same_object_cropped_alone"] > 2 * record["less_salient_object_in_scene"]
    assert record["mean_top1_most_over_least"] >= 2
