"""What CLIP makes of class names: names it never predicts, names that take all, names it confuses."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.errors import UserError
from ccd_core.method.class_names import report_names
from ccd_core.settings.prompts import parse_names

CLASSES = ("cat", "dog", "sofa", "couch", "unicorn")


def softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


@pytest.fixture
def logits() -> np.ndarray:
    """[60, 5]: sofa and couch are the same but for noise, and no image is one of a unicorn."""
    rng = np.random.default_rng(0)
    found = rng.normal(0, 3, (60, 5))
    found[:, 3] = found[:, 2] + rng.normal(0, 0.1, 60)
    found[:, 4] = -8
    return found


def test_synonyms_are_confused_and_nothing_else_is(logits):
    ids = [f"{row}.jpg" for row in range(60)]
    report = report_names(CLASSES, ids, softmax(logits), logits)
    assert report.confused == [("sofa", "couch")]
    assert report.never == ["unicorn"] and report.greedy == []
    assert sum(report.first) == report.images == 60
    text = " ".join(report.warnings)
    assert "unicorn first in none of 60 images" in text and "hardly tells sofa from couch" in text


def test_a_class_that_takes_most_images_is_said(logits):
    logits[:40, 0] += 20
    report = report_names(CLASSES, [str(row) for row in range(60)], softmax(logits), logits)
    assert report.greedy == ["cat"] and any("narrower name" in text for text in report.warnings)


def test_two_classes_and_one_image_get_no_verdict_about_confusion():
    p = np.array([[0.6, 0.4]])
    assert report_names(("cat", "dog"), ["a"], p, np.log(p)).confused == []


def test_words_are_parsed_and_a_text_without_a_class_is_a_sentence():
    assert parse_names(["tvmonitor=tv monitor, television"]) == {"tvmonitor": ["tv monitor", "television"]}
    for wrong in ("tvmonitor", "=tv", "tvmonitor= ,"):
        with pytest.raises(UserError, match="CLASS=WORDS"):
            parse_names([wrong])
