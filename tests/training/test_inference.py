"""Predictions for a whole split: the same by one process as by several, and nothing of the model changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccd_core.data import open_dataset
from ccd_core.data.loading import DecodedImages
from ccd_core.machine.device import make_accelerator
from ccd_core.predict.predictor import Predictor
from ccd_core.runs.team import Team
from ccd_core.training import inference
from ccd_core.training.inference import predict_scores


@pytest.fixture(scope="module")
def images(tiny_run) -> DecodedImages:
    settings = tiny_run.config
    split = open_dataset(settings.data.spec).splits["train"]
    decoded = DecodedImages(split, settings.classifier.image_size, cache_gb=1.0, workers=0)
    decoded.check(lambda done: None)
    return decoded


@pytest.fixture
def model(tiny_run):
    return Predictor.open(tiny_run.path, device="cpu").model


def test_scores_are_those_that_the_run_stored(model, images, tiny_run):
    model.train()
    done: list[int] = []
    scores = predict_scores(model, images, make_accelerator("cpu", "fp32"), advance=done.append)
    np.testing.assert_allclose(scores, tiny_run.load_scores("train")["scores"], atol=1e-5)
    assert done == [40] and model.training  # it goes on training


def test_two_processes_share_the_batches(model, images, monkeypatch):
    monkeypatch.setattr(inference, "BATCH_SIZE", 12)
    accelerator = make_accelerator("cpu", "fp32")
    whole = predict_scores(model, images, accelerator)
    halves = [predict_scores(model, images, accelerator, Team(rank, 2)) for rank in (0, 1)]
    assert all(0 < (half.any(axis=1)).sum() < 40 for half in halves)
    np.testing.assert_allclose(sum(halves), whole, atol=1e-6)


def test_where_memory_runs_out_scores_come_by_parts_and_stay_the_same(model, images, monkeypatch):
    accelerator = make_accelerator("cpu", "fp32")
    whole = predict_scores(model, images, accelerator)
    forward = model.forward

    def forward_few(x):
        if len(x) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(x)

    monkeypatch.setattr(model, "forward", forward_few)
    np.testing.assert_allclose(predict_scores(model, images, accelerator), whole, atol=1e-6)


def test_features_come_with_the_scores(model, images):
    found = []
    accelerator = make_accelerator("cpu", "fp32")
    scores = predict_scores(
        model, images, accelerator, seen=lambda indices, features: found.append((indices, features))
    )
    [(indices, features)] = found
    assert indices.tolist() == list(range(40)) and features.shape == (40, model.head.in_channels)
    with torch.inference_mode():
        logits = features @ model.head.weight[:, :, 0, 0].T + model.head.bias
    np.testing.assert_allclose(torch.sigmoid(logits).numpy(), scores, atol=1e-5)
