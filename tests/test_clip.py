"""The teacher: the authors' features at every recorded size, and clear words for what cannot be loaded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ccd_core.bias import Bias
from ccd_core.clip import ClipTeacher
from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.labels import final_labels, local_labels
from ccd_core.views import add_offset, cam_boxes, crop_views


@pytest.fixture(scope="module")
def teachers(golden, tmp_path_factory):
    """The two recorded CLIPs, each saved as a file and loaded through the one door."""
    folder, loaded = tmp_path_factory.mktemp("clip"), {}
    for name in ("clip_rn", "extra_clip_rn"):
        path = folder / f"{name}.safetensors"
        save_file({key: torch.from_numpy(value).contiguous() for key, value in golden(f"{name}_weights").items()}, path)
        loaded[name] = ClipTeacher.load("recorded", pretrained=str(path))
    return loaded


@pytest.mark.parametrize("name", ["clip_rn", "extra_clip_rn"])
def test_features_as_recorded_at_every_size(golden, golden_json, teachers, name):
    data, teacher = golden(name), teachers[name]
    images = data if name == "clip_rn" else golden("clip_rn") | data
    classes = golden_json("meta")["clip_rn"]["classes"] if name == "clip_rn" else golden_json("extra")["extra_clip_rn"]["classes"]
    text = teacher.encode_text(classes, "a photo of the {}")
    np.testing.assert_allclose(text.numpy(), data["unit_text_feature"], atol=1e-5)
    sizes = [key.removeprefix("unit_feature_") for key in data if key.startswith("unit_feature_")]
    assert len(sizes) >= 9
    for size in sizes:
        key = f"image_{size.removeprefix('clip_rn_')}"
        source = golden("clip_rn") if size.startswith("clip_rn_") else images
        x = torch.from_numpy(source[key]).float()
        np.testing.assert_allclose(teacher.encode_image(x).numpy(), data[f"unit_feature_{size}"], atol=2e-5, err_msg=size)
        np.testing.assert_allclose(teacher.probabilities(x, text).numpy(), data[f"prob_{size}"], atol=2e-3, err_msg=size)


@pytest.mark.parametrize(("preset", "kind"), [("reference", "reference"), ("paper", "extent")])
def test_the_whole_step_of_an_image_as_recorded(golden, teachers, preset, kind):
    """Logits and maps -> boxes -> crops -> CLIP -> labels, as in local_views.py and pipeline.py, on the recorded images."""
    data, teacher, config = golden("extra_views"), teachers["extra_clip_rn"], CCDConfig.preset(preset)
    text, views, probabilities = torch.from_numpy(data["unit_text_feature"]), [], []
    for index in range(4):
        size = tuple(int(side) for side in data[f"size_{index}"])
        image = torch.from_numpy(data[f"small_image_{index}"]).float().repeat_interleave(8, 1).repeat_interleave(8, 2)
        assert image.shape[1:] == size
        whole = teacher.probabilities(image[None], text)[0]
        np.testing.assert_allclose(whole, data[f"global_prob_{index}"], atol=1e-3)
        classes = np.flatnonzero(1 / (1 + np.exp(-data["classifier_logits"][index])) >= 0.05)
        if not len(classes):
            continue
        maps = torch.from_numpy(data["cam"][index, classes])
        boxes = cam_boxes(maps, size, config.views.cam_threshold, config.views.offset, config.views.box)
        if kind == "extent":  # recorded with both ends inside the box, then cut as if half-open: one pixel less than here
            boxes = add_offset(cam_boxes(maps, size, config.views.cam_threshold, 0) - np.array([0, 0, 1, 1]), config.views.offset, size)
        crops = crop_views(image, boxes.tolist(), config.clip.size, round_to=1)
        views += [(index, name, *box, *crop.shape[1:]) for name, box, crop in zip(classes, boxes.tolist(), crops, strict=True)]
        probabilities.append(teacher.view_probabilities(crops, text).numpy())
    found, asked = np.array(views), np.concatenate(probabilities)
    np.testing.assert_array_equal(found[:, :2].T, [data["view_image"], data["view_class"]])
    np.testing.assert_array_equal(found[:, 2:6], data[f"{kind}_box"])
    np.testing.assert_array_equal(found[:, 6:], data[f"{kind}_crop_hw"])
    np.testing.assert_allclose(asked, data[f"{kind}_view_prob"], atol=1e-3)
    if preset == "reference":
        bias = Bias(data["bias"], np.ones(20), np.ones(4, bool), np.ones(20, bool))
        local = local_labels(4, found[:, 0], asked, bias, config)
        np.testing.assert_allclose(final_labels(data["initial"], local, config), data["reference_final_floor"], atol=1e-3)


def test_openai_weights_get_quick_gelu(teachers):
    assert "QuickGELU" in {type(part).__name__ for part in teachers["clip_rn"].model.transformer.modules()}


def test_views_of_many_shapes_keep_their_order(teachers, golden):
    teacher = teachers["clip_rn"]
    text = torch.from_numpy(golden("clip_rn")["unit_text_feature"])
    views = [torch.randn(3, h, w) for h, w in [(96, 64), (64, 96), (96, 64), (96, 96), (64, 96)]]
    together = teacher.view_probabilities(views, text, batch_size=2)
    alone = torch.cat([teacher.probabilities(view[None], text) for view in views])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_too_small_an_image_is_refused(teachers):
    with pytest.raises(ValueError, match="at least 31"):
        teachers["clip_rn"].encode_image(torch.zeros(1, 3, 30, 96))


@pytest.mark.parametrize(
    ("model", "pretrained", "sentence"),
    [
        ("RN50x99", "openai", "no model 'RN50x99'"),
        ("RN50", "nobody", "no weights 'nobody'"),
        ("RN50", "/nowhere/clip.pt", "no CLIP checkpoint /nowhere/clip.pt"),
        ("local-dir:/nowhere", None, "could not be loaded"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_sentence(model, pretrained, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        ClipTeacher.load(model, pretrained)
    assert "\n" not in str(error.value)


def test_a_prompt_needs_a_place_for_the_class(teachers):
    with pytest.raises(UserError, match="has no {}"):
        teachers["clip_rn"].encode_text(["cat"], "a photo")
