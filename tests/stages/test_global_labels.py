"""Stage `global`: CLIP's probabilities of whole images, with a run's folder or without one."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.clip.teacher import load_teacher
from ccd_core.data import open_dataset
from ccd_core.machine.device import make_accelerator
from ccd_core.method.bias import entropy
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import global_outputs


@pytest.fixture(scope="module")
def computed(tiny_run):
    """The stage without a folder: images and outputs."""
    config = tiny_run.config
    dataset = open_dataset(config.data.spec)
    work = Work(config, make_accelerator(config.device, config.precision))
    clip = load_teacher(config.clip, dataset.classes, work.accelerator)
    return dataset.splits["train"], global_outputs(clip, dataset.splits["train"], work)


def test_without_a_folder_it_gives_what_a_run_keeps(computed, tiny_run):
    images, outputs = computed
    stored = tiny_run.load_global()
    assert stored["ids"].tolist() == list(images.ids)
    np.testing.assert_array_equal(outputs.p, stored["p_global"])
    np.testing.assert_array_equal(outputs.similarity, stored["similarity"])


def test_it_gives_a_distribution_over_the_classes_for_each_image(computed, tiny_run):
    _, outputs = computed
    assert outputs.p.shape == (40, 16) and outputs.p.dtype == np.float32
    np.testing.assert_allclose(outputs.p.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(tiny_run.load_global()["entropy"], entropy(outputs.p))
    assert (np.abs(outputs.similarity) <= 1).all()
