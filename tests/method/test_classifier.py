"""The demo's world: reproducible, in VOC's layout, with the variety that the demo needs; and the models that ship."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from ccd_core.clip.teacher import ClipTeacher
from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.method.classifier import CamClassifier
from ccd_core.paths import DEMO_CLIP
from ccd_core.toy.scenes import CLASSES, draw_scene, write_dataset


def test_same_seed_same_scenes(tmp_path):
    for name in ("one", "two"):
        write_dataset(tmp_path / name, {"train": 3, "val": 2})
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 12
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_drawing_goes_on_where_it_was_interrupted(tmp_path):
    write_dataset(tmp_path, {"train": 4})
    (tmp_path / "ImageSets/Main/train.txt").unlink()
    kept = (tmp_path / "JPEGImages/train_000002.jpg").stat().st_mtime_ns
    write_dataset(tmp_path, {"train": 4})
    assert (tmp_path / "JPEGImages/train_000002.jpg").stat().st_mtime_ns == kept


def test_scenes_have_the_promised_variety():
    scenes = [draw_scene(3, index, 0.1) for index in range(400)]
    counts = [len({name for name, _ in scene.objects}) for scene in scenes]
    frequency = {name: sum(name in {n for n, _ in scene.objects} for scene in scenes) for name in CLASSES}
    assert len(CLASSES) >= 14 and set(range(6)) >= set(counts) >= set(range(5))
    assert 0.02 < counts.count(0) / 400 < 0.09
    assert min(frequency.values()) > 5 and max(frequency.values()) > 3 * min(frequency.values())


def test_boxes_hold_their_objects():
    """Where an object is drawn over an empty background, the picture changes inside the box and not outside."""
    for index in range(30):
        scene = draw_scene(5, index)
        height, width = scene.image.shape[:2]
        for _, (x0, y0, x1, y1) in scene.objects:
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            assert 0.04 * min(width, height) < max(x1 - x0, y1 - y0) < 0.62 * max(width, height)


def test_the_demo_is_read_as_voc_is(tiny_scenes):
    dataset = open_dataset(f"demo:{tiny_scenes}")
    truth = dataset.ground_truth("val")
    assert (
        dataset.classes == CLASSES and len(dataset.splits["train"]) == 40 and truth.targets.shape == (16, 16)
    )
    for row, boxes in enumerate(truth.boxes):
        assert set(np.flatnonzero(truth.targets[row])) == {index for index, _ in boxes}


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


def test_the_demo_classifier_starts_from_the_demo_clip():
    settings = CCDConfig.preset("demo").classifier
    model = CamClassifier(settings.backbone, 16, settings.weights, **settings.backbone_options)
    logits, cam = model(torch.zeros(1, 3, 128, 128), return_cam=True)
    torch.testing.assert_close(logits, cam.mean((2, 3)))
    assert cam.shape == (1, 16, 8, 8)


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 512), ("timm:mobilenetv3_small_050", 288)])
def test_any_cnn_is_a_backbone(name, channels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CamClassifier(name, 3)
    assert model.head.in_channels == channels
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


@pytest.mark.parametrize("file", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize(
    ("name", "first"), [("resnet18", "conv1.weight"), ("timm:mobilenetv3_small_050", "conv_stem.weight")]
)
def test_published_weights_of_a_whole_network_start_the_backbone(tmp_path, name, first, file):
    whole = (
        timm.create_model(name.removeprefix("timm:"))
        if name.startswith("timm:")
        else torchvision.models.get_model(name)
    )
    if file.endswith(".pth"):
        torch.save(whole.state_dict(), tmp_path / file)
    else:
        save_file(whole.state_dict(), tmp_path / file)
    model, x = CamClassifier(name, 3, str(tmp_path / file)).eval(), torch.rand(1, 3, 64, 64)
    network = model.backbone.network if name.startswith("timm:") else model.backbone
    assert (network.state_dict()[first] == whole.state_dict()[first]).all()
    if name.startswith("timm:"):
        assert (model.backbone(x) == whole.eval().forward_features(x)).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.pop("layer1.0.conv1.weight"), r"layer1\.0\.conv1\.weight is missing"),
        (
            lambda state: state.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}),
            r"conv1\.weight is \[64, 1, 7, 7\], not \[64, 3, 7, 7\]",
        ),
        (
            lambda state: state.update({"layer1.2.conv1.weight": torch.zeros(1)}),
            r"the backbone has no layer1\.2\.conv1\.weight",
        ),
        (lambda state: state.clear(), "more like it"),
    ],
)
def test_weights_of_another_network_are_refused_with_what_differs(tmp_path, change, sentence):
    state = torchvision.models.resnet18().state_dict()
    change(state)
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match=sentence):
        CamClassifier("resnet18", 3, str(tmp_path / "weights.safetensors"))


@pytest.mark.parametrize(
    ("name", "weights", "sentence"),
    [
        ("resnet99", None, "no torchvision ResNet 'resnet99'"),
        ("timm:nothing", None, "timm has no model 'nothing'"),
        ("timm:vit_tiny_patch16_224", None, "gives no feature map"),
        ("resnet18", "/nowhere.safetensors", "no file of weights /nowhere.safetensors"),
    ],
)
def test_what_is_no_backbone_is_said(name, weights, sentence):
    with pytest.raises(UserError, match=sentence):
        CamClassifier(name, 3, weights)
