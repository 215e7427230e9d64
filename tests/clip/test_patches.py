"""Patch features: what each place of an image would be embedded as, worked out in a second way."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ccd_core.clip.check import check_teacher
from ccd_core.clip.patches import embed_patches, has_patches, patch_features
from ccd_core.clip.teacher import ClipTeacher, PromptedClip
from ccd_core.errors import UserError
from ccd_core.settings.sections import ClipSettings
from tests.clip.small_models import TOWERS, write_model


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patches")
    return lambda name: write_model(folder / name, *TOWERS[name][2:])


def test_a_resnet_of_one_place_has_its_embedding_up_to_positions(model_folder):
    """With one place and no positions, the attention pool mixes nothing: it gives that place's values."""
    teacher = ClipTeacher.load(model_folder("resnet"))
    teacher.tower.visual.attnpool.pool.positional_embedding.zero_()
    image = torch.randn(2, 3, 32, 32)
    [whole, patches] = [teacher.encode_image(image), patch_features(teacher.tower, image)]
    assert patches.shape == (2, 1, 64)
    torch.testing.assert_close(patches[:, 0], whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["vit", "vit-average", "vit-14"])
def test_a_vit_without_queries_shares_its_last_values(name, model_folder):
    """With no queries each token attends to all alike; all values alike, that is no mixing."""
    teacher = ClipTeacher.load(model_folder(name))
    visual = teacher.tower.visual
    block = visual.transformer.resblocks[-1]
    width = block.attn.embed_dim
    block.attn.in_proj_weight[2 * width :].zero_()  # all values are the bias, so mixing changes nothing
    height = 4 * teacher.stride
    image = torch.randn(2, 3, height, height + teacher.stride)
    tokens = []
    hook = block.register_forward_hook(lambda *given: tokens.append(given[2]))
    teacher.tower(image)
    hook.remove()
    expected = F.normalize(visual.ln_post(tokens[0][:, 1:]) @ visual.proj, dim=-1)
    patches = patch_features(teacher.tower, image)
    assert patches.shape == (2, 4 * 5, 64)
    torch.testing.assert_close(patches, expected, atol=1e-5, rtol=1e-4)


def test_a_place_is_not_moved_by_what_lies_elsewhere(model_folder):
    """In the last block each token keeps to itself: a change of others' values leaves it as it is."""
    teacher = ClipTeacher.load(model_folder("vit"))
    block = teacher.tower.visual.transformer.resblocks[-1]
    image = torch.randn(1, 3, 64, 64)
    before = patch_features(teacher.tower, image)

    def disturb(_, inputs):
        changed = inputs[0].clone()
        changed[:, 3] *= -1  # the third patch, after the class token
        return (changed,)

    hook = block.register_forward_pre_hook(disturb)
    after = patch_features(teacher.tower, image)
    hook.remove()
    moved = (before - after).abs().amax(-1)[0] > 1e-4
    assert moved.nonzero()[:, 0].tolist() == [2]


LITE0 = {"timm_model_name": "tf_efficientnet_lite0", "timm_pool": "avg", "timm_proj": None, "image_size": 64}


@pytest.mark.parametrize(
    ("name", "precision"), [("lite0", "fp32"), ("lite0", "bf16"), ("mobileclip", "fp32")]
)
def test_a_convolutional_tower_with_a_linear_head_embeds_its_places(name, precision, model_folder, tmp_path):
    folder = write_model(tmp_path / "model", LITE0, {}) if name == "lite0" else model_folder(name)
    teacher = ClipTeacher.load(folder, precision=precision, folded=True)
    assert has_patches(teacher.tower)
    if precision == "fp32":
        image = torch.randn(2, 3, 32, 32)  # of one place, whose embedding is the image's
        patches = patch_features(teacher.tower, image)
        torch.testing.assert_close(patches[:, 0], teacher.encode_image(image), atol=1e-5, rtol=1e-4)
        image = torch.randn(2, 3, 64, 96)
        patches = patch_features(teacher.tower, image)
        assert patches.shape == (2, 2 * 3, 64)
        turned = patch_features(teacher.tower, image.flip(0))
        torch.testing.assert_close(turned, patches.flip(0), atol=1e-5, rtol=1e-4)


def test_a_head_with_a_norm_in_it_gives_no_patches(model_folder):
    assert not has_patches(ClipTeacher.load(model_folder("convnext")).tower)


def test_photo_words_embeds_the_mean_of_its_patches():
    teacher = ClipTeacher.load("photo-words")
    image = torch.rand(1, 3, 64, 96)
    visual = teacher.tower.visual
    places = visual.trunk.forward_features(image).flatten(2).mT
    expected = F.normalize((places - visual.mean) @ visual.directions.T, dim=-1)
    torch.testing.assert_close(patch_features(teacher.tower, image), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_patches_of_pixels_are_unit_length_in_every_precision(precision, model_folder):
    for name in ("resnet", "vit"):
        teacher = ClipTeacher.load(model_folder(name), precision=precision)
        clip = PromptedClip(teacher, teacher.encode_text(["cat", "dog"]), ClipSettings(size=64))
        pixels = torch.randint(0, 255, (3, 3, 64, 64), dtype=torch.uint8)
        patches = embed_patches(clip, pixels)
        assert patches.dtype == torch.float32
        torch.testing.assert_close(patches.norm(dim=-1), torch.ones(3, patches.shape[1]))


@pytest.mark.parametrize("name", ["coca", "convnext"])
def test_a_tower_without_patches_is_refused_before_anything_long(name, model_folder):
    settings = ClipSettings(model=model_folder(name), pretrained=None, size=160 if name == "convnext" else 64)
    assert check_teacher(settings, ["cat"]) is not None
    with pytest.raises(UserError, match=r"gives no patch features.*ViT tower, or the methods ccd and cdul"):
        check_teacher(settings, ["cat"], patches=True)
