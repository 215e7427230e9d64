"""Epochs and learning rate follow the number of images, where the settings ask for it."""

from __future__ import annotations

import pytest

from ccd_core.config import CCDConfig
from ccd_core.training.schedule import fitted

STEPS = {"warmup_steps": 500, "main_steps": 1500, "rate_steps": 3600, "learning_rate": 1e-4}


@pytest.mark.parametrize("name", ["paper", "reference", "demo"])
def test_presets_that_count_epochs_do_not_change(name):
    config = CCDConfig.preset(name)
    assert fitted(config, 7) is config


def test_few_images_get_more_epochs_and_a_higher_rate():
    training = fitted(CCDConfig.preset("paper").changed(training=STEPS), 1100).training
    assert training.warmup_epochs == 8  # of 69 steps
    assert training.epochs == 8 + 22
    assert training.learning_rate == pytest.approx(1e-4 * 3600 / (30 * 69))


def test_many_images_keep_the_epochs_and_the_rate():
    config = CCDConfig.preset("paper").changed(training=STEPS)
    assert fitted(config, 82_000).training == config.training


def test_the_rate_has_an_upper_end():
    tiny = CCDConfig.preset("paper").changed(training={"rate_steps": 3600, "learning_rate": 1e-4})
    assert fitted(tiny, 10).training.learning_rate == pytest.approx(1e-3)


def test_with_few_images_the_head_alone_learns_at_its_own_rate():
    config = CCDConfig.preset("paper").changed(training=STEPS, classifier={"frozen_below": 4000})
    few = fitted(config, 1100)
    assert few.classifier.frozen == 1 and few.training.learning_rate == 1e-4
    assert few.training.epochs == 8 + 22
    assert fitted(config, 4000).classifier.frozen == 0
