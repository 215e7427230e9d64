"""What CLIP is told of a class, and what its answers mean where it was not trained with a softmax."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ccd_core.clip.teacher import ClipTeacher, PromptedClip
from ccd_core.config import CCDConfig, ClipSettings, load_config
from ccd_core.errors import UserError
from ccd_core.method.local_views import ask_clip
from ccd_core.prompts import prompts_of, templates
from tests.clip.test_towers import TOWERS, write_model

CLASSES = ("cat", "tvmonitor")


@pytest.fixture(scope="module")
def demo():
    return ClipTeacher.load("demo")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("siglip") / "model", *TOWERS["siglip"][2:])


def test_every_template_with_every_name():
    said = prompts_of(CLASSES, ["a {}", "the {} of {}"], {"tvmonitor": ["tv monitor", "television"]})
    assert said == [
        ["a cat", "the cat of cat"],
        ["a tv monitor", "the tv monitor of tv monitor", "a television", "the television of television"],
    ]
    assert prompts_of(CLASSES, "a {}", {"cat": "kitten"}) == [["a kitten"], ["a tvmonitor"]]


@pytest.mark.parametrize(("name", "count"), [("imagenet7", 7), ("imagenet80", 80)])
def test_openais_sets_are_templates(name, count):
    assert len(templates(name)) == count
    assert all("{}" in template for template in templates(name))


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


@pytest.mark.parametrize(
    "change",
    [
        "clip.prompt=a photo",
        'clip.prompt=["a {}", "b"]',
        "clip.prompt=[]",
        "clip.prompt=3",
        "clip.names={cat: 3}",
    ],
)
def test_a_wrong_prompt_is_said_before_anything_runs(change):
    with pytest.raises(UserError, match="prompt|clip.names") as error:
        load_config("demo", changes=[change])
    assert "\n" not in str(error.value)


def test_prompts_are_set_in_one_line_and_written_to_yaml(tmp_path):
    changes = ['clip.prompt=["a {}", "the {}"]', "clip.names={tvmonitor: [tv monitor, television]}"]
    config = load_config("demo", changes=changes)
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    again = CCDConfig.from_yaml(tmp_path / "config.yaml").clip
    assert (again.prompt, again.names) == (["a {}", "the {}"], {"tvmonitor": ["tv monitor", "television"]})


def test_of_a_sigmoid_model_softmax_ignores_the_bias_and_sigmoid_is_what_it_was_trained_to_say(siglip):
    image = torch.randn(2, 3, 160, 160)
    soft, each = ClipTeacher.load(siglip), ClipTeacher.load(siglip, sigmoid=True)
    text = soft.encode_text(["cat", "dog", "bird"])
    cosine = soft.encode_image(image) @ text.T
    scale, bias = float(soft.model.logit_scale.exp()), float(soft.model.logit_bias)
    assert bias == -10
    torch.testing.assert_close(soft.probabilities(image, text), (scale * cosine + bias).softmax(1))
    torch.testing.assert_close(each.probabilities(image, text), torch.sigmoid(scale * cosine + bias))
    torch.testing.assert_close(each.probabilities(image, text[:1]), each.probabilities(image, text)[:, :1])


def test_a_softmax_model_has_no_sigmoid(demo):
    with pytest.raises(UserError, match="trained with a softmax"):
        ClipTeacher.load("demo", sigmoid=True)


def test_views_of_many_frames_asked_together_are_answered_as_alone(demo):
    rng = torch.Generator().manual_seed(0)
    frames = [torch.randint(256, (3, 96, 96), dtype=torch.uint8, generator=rng) for _ in range(3)]
    views = [
        (0, (0, 0, 96, 96)),
        (2, (10, 0, 60, 90)),
        (1, (5, 5, 55, 95)),
        (0, (0, 40, 96, 80)),
        (2, (0, 0, 96, 96)),
    ]
    clip = PromptedClip(demo, demo.encode_text(CLASSES), ClipSettings(model="demo", size=128, batch_size=2))
    together = ask_clip(clip, frames, views)
    alone = np.concatenate([ask_clip(clip, frames, [view]) for view in views])
    np.testing.assert_allclose(together, alone, atol=1e-5)
