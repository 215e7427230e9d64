"""The teacher: what it says of images and of classes, and clear words for what cannot be loaded."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ccd_core.clip.teacher import ClipTeacher
from ccd_core.errors import UserError
from tests.clip.small_models import TOWERS, write_model

CLASSES = ("cat", "tvmonitor")


def test_openai_weights_get_quick_gelu(recorded_teachers):
    parts = recorded_teachers["clip_rn"].model.transformer.modules()
    assert "QuickGELU" in {type(part).__name__ for part in parts}


def test_too_small_an_image_is_refused(recorded_teachers):
    with pytest.raises(ValueError, match="at least 31"):
        recorded_teachers["clip_rn"].encode_image(torch.zeros(1, 3, 30, 96))


@pytest.mark.parametrize(
    ("model", "pretrained", "sentence"),
    [
        ("RN50x99", "openai", "no model 'RN50x99'"),
        ("RN50", "nobody", "no weights 'nobody'"),
        ("RN50", "/nowhere/clip.pt", "no file of weights /nowhere/clip.pt"),
        ("local-dir:/nowhere", None, "could not be loaded"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(model, pretrained, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        ClipTeacher.load(model, pretrained)
    assert "\n" not in str(error.value)


def test_a_prompt_needs_a_place_for_the_class(recorded_teachers):
    with pytest.raises(UserError, match="has no {}"):
        recorded_teachers["clip_rn"].encode_text(["cat"], "a photo")


@pytest.fixture(scope="module")
def demo():
    return ClipTeacher.load("demo")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("siglip") / "model", *TOWERS["siglip"][2:])


def test_an_ensemble_is_the_mean_of_unit_embeddings_made_unit(demo):
    names = {"tvmonitor": ["tv monitor", "television"]}
    together = demo.encode_text(CLASSES, ["a {}", "the {}"], names)
    alone = demo.encode_text(["a tv monitor", "the tv monitor", "a television", "the television"], "{}")
    torch.testing.assert_close(together[1], F.normalize(alone.mean(0), dim=0))
    torch.testing.assert_close(together.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(demo.encode_text(CLASSES, ["a {}"]), demo.encode_text(CLASSES, "a {}"))


def test_names_of_a_class_that_is_not_there(demo):
    with pytest.raises(
        UserError, match="'dog', which is not a class of this data set; its classes are cat, tvmonitor"
    ):
        demo.encode_text(CLASSES, names={"dog": "puppy"})


def test_a_sigmoid_model_gives_a_softmax_or_the_probability_of_each_class_by_itself(siglip):
    """The bias of such a model is the same for all classes, so a softmax ignores it."""
    image = torch.randn(2, 3, 160, 160)
    softmax = ClipTeacher.load(siglip)
    sigmoid = ClipTeacher.load(siglip, sigmoid=True)
    text = softmax.encode_text(["cat", "dog", "bird"])
    cosine = softmax.encode_image(image) @ text.T
    scale = float(softmax.model.logit_scale.exp())
    bias = float(softmax.model.logit_bias)
    assert bias == -10
    torch.testing.assert_close(softmax.probabilities(image, text), (scale * cosine).softmax(1))
    each = sigmoid.probabilities(image, text)
    torch.testing.assert_close(each, torch.sigmoid(scale * cosine + bias))
    torch.testing.assert_close(sigmoid.probabilities(image, text[:1]), each[:, :1])


def test_a_softmax_model_has_no_sigmoid(demo):
    with pytest.raises(UserError, match="trained with a softmax"):
        ClipTeacher.load("demo", sigmoid=True)
