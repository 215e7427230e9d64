"""Every kind of image tower that open_clip has, at its own size, at another and at the shape of a crop."""

from __future__ import annotations

import functools
import json

import open_clip
import pytest
import torch
from open_clip.model import _build_vision_tower

from ccd_core.clip.teacher import ClipTeacher
from ccd_core.clip.towers import any_size
from ccd_core.errors import UserError
from tests.clip.small_models import SHALLOW, TOWERS, write_model
from tests.clip.small_models import timm as timm_tower


@pytest.fixture(autouse=True)
def shallow(monkeypatch):
    import timm

    build = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, **settings: build(name, **settings, **SHALLOW.get(name, {}))
    )


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers")
    return lambda name: write_model(folder / name, *TOWERS[name][2:])


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_at_its_own_size_and_at_others(name, model_folder):
    kind, stride, _, _ = TOWERS[name]
    model = model_folder(name)
    teacher, plain = ClipTeacher.load(model), open_clip.create_model(model).eval()
    height, width = teacher.native_size
    assert (teacher.tower.kind, teacher.stride, teacher.tower.any_size) == (kind, stride, True)
    image = torch.randn(2, 3, height, width)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(plain.encode_image(image), dim=-1)
    torch.testing.assert_close(teacher.encode_image(image), expected, atol=1e-5, rtol=1e-4)

    text = teacher.encode_text(["cat", "dog", "bird"])
    wide = torch.nn.functional.interpolate(image, (height, 2 * width), mode="bilinear")
    for other in (wide, wide.mT, wide[..., : width + stride], torch.randn(1, 3, 3 * stride, 2 * stride + 5)):
        features, p = teacher.encode_image(other), teacher.probabilities(other, text)
        assert features.shape == (len(other), text.shape[1])
        torch.testing.assert_close(features.norm(dim=1), torch.ones(len(other)))
        torch.testing.assert_close(p.sum(1), torch.ones(len(other)))
    assert not torch.allclose(teacher.encode_image(wide), teacher.encode_image(image), atol=1e-3)
    # Other sizes leave nothing behind.
    torch.testing.assert_close(teacher.encode_image(image), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["resnet", "vit", "siglip", "eva02", "vitamin", "mobileclip", "convnext"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_holds_half_the_weights_and_agrees(name, precision, model_folder):
    model = model_folder(name)
    full, half = ClipTeacher.load(model), ClipTeacher.load(model, precision=precision)
    held = [sum(weight.nbytes for weight in teacher.tower.parameters()) for teacher in (full, half)]
    assert held[1] < 0.7 * held[0]
    image = torch.randn(1, 3, 2 * full.native_size[0], full.native_size[1])
    cosine = (full.encode_image(image) * half.encode_image(image)).sum()
    assert cosine > 0.99
    torch.testing.assert_close(full.encode_text(["cat"]), half.encode_text(["cat"]))


def test_sides_between_strides_become_the_nearest_multiple(model_folder):
    teacher = ClipTeacher.load(model_folder("vit-14"))
    assert [teacher.side(side) for side in (640, 630, 3)] == [644, 630, 14]
    image = torch.randn(1, 3, 64, 64)
    nearest = torch.nn.functional.interpolate(image, (70, 70), mode="bilinear", antialias=True)
    torch.testing.assert_close(teacher.encode_image(image), teacher.encode_image(nearest))


def test_a_tower_of_one_size_squeezes_views_to_it_and_refuses_another_clip_size(tmp_path):
    vision = timm_tower("swin_tiny_patch4_window7_224", 224, "avg")
    teacher = ClipTeacher.load(write_model(tmp_path, vision, {}))
    assert not teacher.tower.any_size and teacher.side(224) == 224
    view = torch.randn(1, 3, 96, 224)
    squeezed = torch.nn.functional.interpolate(view, (224, 224), mode="bilinear", antialias=True)
    torch.testing.assert_close(teacher.encode_image(view), teacher.encode_image(squeezed))
    with pytest.raises(UserError, match="SwinTransformer takes 224x224 images only, not 640x640; set clip"):
        teacher.side(640)


def test_convolutional_trunks_are_tried_out_and_not_listed(tmp_path):
    """EfficientNet, RegNet and ResNet of timm are in no list, and take every size."""
    for name in ("tf_efficientnet_lite0", "regnetx_002", "resnet10t"):
        vision = timm_tower(name, 64, "avg", None)
        tower = ClipTeacher.load(write_model(tmp_path / name, vision, {})).tower
        assert tower.any_size and tower.stride == 32, name


# Open_clip has no weights for either.
ONE_SIZE = {
    "swin_base_patch4_window7_224",
    "vit_relpos_medium_patch16_cls_224",
}


@functools.cache
def bare_tower(embed_dim: int, vision: str):
    """A tower without weights, made ready for any size; models that differ only in their words share it."""
    with torch.device("meta"):
        return any_size(_build_vision_tower(embed_dim, json.loads(vision)).eval())


@pytest.mark.parametrize("name", open_clip.list_models())
def test_every_model_of_open_clip_takes_any_size_or_is_known_not_to(name):
    config = open_clip.get_model_config(name)
    tower = bare_tower(config["embed_dim"], json.dumps(config["vision_cfg"]))
    assert tower.any_size == (name not in ONE_SIZE)
    assert tower.native_size[0] == config["vision_cfg"]["image_size"]
    if tower.any_size:
        assert tower.stride in (14, 16, 18, 32, 64)
    else:
        assert not open_clip.list_pretrained_tags_by_model(name)
