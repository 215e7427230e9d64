"""The predictor's process: it answers questions about a run's classifier and its CLIP."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.predict.server import PredictorClient


@pytest.fixture(scope="module")
def client(tiny_run):
    client = PredictorClient(tiny_run.path)
    yield client
    client.close()


@pytest.fixture(scope="module")
def images(tiny_run):
    split = open_dataset(tiny_run.config.data.spec).splits["train"]
    return dict(zip(split.ids, split.paths, strict=True))


def test_a_view_asked_again_gets_the_runs_own_answer(client, tiny_run, images):
    views, recorded = tiny_run.load_views(), tiny_run.load_view_probabilities()
    image = views["image"].iloc[0]
    mine = views[views["image"] == image]
    boxes = mine[["x0", "y0", "x1", "y1"]].to_numpy() / tiny_run.config.views.frame
    answer = client.ask("clip_views", path=str(images[image]), boxes=boxes.tolist())
    np.testing.assert_allclose(answer["p"], recorded[mine.index], atol=1e-5)


def test_a_predictor_is_ready_once_it_has_answered_and_none_starts_after_its_end(tiny_run, images):
    client = PredictorClient(tiny_run.path)
    client.wake(after=0.05)
    client.close()  # before the time has come
    time.sleep(0.3)
    assert client._process is None and not client.ready
    client.wake(after=0.05)
    deadline = time.monotonic() + 20
    while client._process is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert client._process is not None and not client.ready  # it starts
    client.ask("predict", paths=[])
    assert client.ready
    client.close()
    assert not client.ready


def test_a_thin_box_is_answered_and_one_without_area_is_a_sentence(client, images):
    path = str(next(iter(images.values())))
    answer = client.ask("clip_views", path=path, boxes=[[0.999, 0, 1, 1], [0.5, 0.5, 0.5001, 0.5001]])
    np.testing.assert_allclose(np.sum(answer["p"], 1), 1, atol=1e-5)
    for box in ([0.5, 0, 0.5, 1], [0, 0, 1.2, 1], [0, 0, float("nan"), 1]):
        with pytest.raises(UserError, match="fractions of the image"):
            client.ask("clip_views", path=path, boxes=[box])
    assert client.ask("clip_views", path=path, boxes=[])["p"] == []


def test_attending_gives_the_boxes_that_explaining_gives(client, tiny_run, images):
    from ccd_core.predict.predictor import SHOWN_THRESHOLD as threshold

    path = str(next(iter(images.values())))
    whole = client.ask("explain", path=path, thresholds=[threshold])
    part = client.ask("attend", path=path, classes=[3, 0])
    frame = tiny_run.config.views.frame
    for place, c in enumerate([3, 0]):
        assert np.shape(part["cam"][place]) == np.shape(whole["cam"][c])
        assert min(map(min, part["cam"][place])) >= 0 and max(map(max, part["cam"][place])) <= 1
        box = part["boxes"][place]
        assert box is not None and 0 <= box[0] < box[2] <= 1
        np.testing.assert_allclose(
            np.array(box) * frame, whole["boxes"][c][0], atol=frame / 8
        )  # the image reaches the model at another size
    np.testing.assert_allclose(part["clip"], whole["clip"], atol=1e-5)
