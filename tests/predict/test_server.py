"""The predictor's process: it answers questions about a run's classifier and its CLIP."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.predict import server
from ccd_core.predict.predictor import SHOWN_THRESHOLD
from ccd_core.predict.server import PredictorClient
from tests.support import is_gone, wait_for

# A process that answers every line at once, without a model.
ANSWERING = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"said": 1}), flush=True)
"""


@pytest.fixture(scope="module")
def client(tiny_run):
    client = PredictorClient(tiny_run.path)
    yield client
    client.close()


@pytest.fixture(scope="module")
def images(tiny_run):
    split = open_dataset(tiny_run.config.data.spec).splits["train"]
    return dict(zip(split.ids, split.paths, strict=True))


def test_clips_answer_about_a_view_is_the_one_that_the_run_kept(client, tiny_run, images):
    views = tiny_run.load_views()
    recorded = tiny_run.load_view_probabilities()
    image = views["image"].iloc[0]
    mine = views[views["image"] == image]
    boxes = mine[["x0", "y0", "x1", "y1"]].to_numpy() / tiny_run.config.views.frame
    answer = client.ask("clip_views", path=str(images[image]), boxes=boxes.tolist())
    np.testing.assert_allclose(answer["p"], recorded[mine.index], atol=1e-5)


def test_the_whole_image_is_asked_about_as_the_run_did(client, tiny_run, images):
    known = tiny_run.load_global()
    answer = client.ask("clip_views", path=str(images[known["ids"][0]]), boxes=[[0, 0, 1, 1]], whole=True)
    np.testing.assert_allclose(answer["p"][0], known["p_global"][0], atol=1e-5)


def predictors_of(run_path: Path) -> list[psutil.Process]:
    """The predictor processes that this process has started for a run."""
    children = psutil.Process().children()
    return [child for child in children if not is_gone(child) and str(run_path) in child.cmdline()]


def test_a_predictor_is_ready_when_it_has_answered_and_ends_when_it_is_closed(copied_run):
    client = PredictorClient(copied_run().path)
    client.wake(after=0.05)
    wait_for(lambda: predictors_of(client.run_path))
    assert not client.ready  # it loads its models
    client.ask("predict", paths=[])
    assert client.ready
    client.close()
    assert not client.ready and not predictors_of(client.run_path)


def test_a_predictor_that_is_closed_before_it_was_to_start_does_not_start(copied_run):
    client = PredictorClient(copied_run().path)
    client.wake(after=0.05)
    client.close()
    time.sleep(0.3)
    assert not client.ready and not predictors_of(client.run_path)


def test_a_predictor_that_was_killed_is_started_again_by_the_next_question(copied_run):
    client = PredictorClient(copied_run().path)
    client.ask("predict", paths=[])
    (process,) = predictors_of(client.run_path)
    process.kill()
    wait_for(lambda: not client.ready)
    assert client.ask("predict", paths=[])["scores"] == []
    client.close()


@pytest.fixture
def stopped():
    """A client whose process somebody has stopped, and the process. It has no model."""
    client = PredictorClient("")
    client.command = [sys.executable, "-c", ANSWERING]
    assert client.ask("first") == {"said": 1} and client._process
    process = psutil.Process(client._process.pid)
    process.suspend()
    yield client, process
    client.close()


@pytest.mark.parametrize("letters", [1, 10**6])  # more than a pipe holds
def test_a_predictor_that_was_stopped_blocks_its_askers_for_a_time_only(stopped, letters, monkeypatch):
    client, process = stopped
    with monkeypatch.context() as quick:
        quick.setattr(server, "STUCK_SECONDS", 0.2)
        quick.setattr(server, "LOOK_SECONDS", 0.1)
        with pytest.raises(UserError, match=r"has not worked for 0\.2 seconds"):
            client.ask("next", more="x" * letters)
    assert is_gone(process)
    assert client.ask("next") == {"said": 1}  # by a new process


def test_a_predictor_that_was_stopped_can_be_closed(stopped, monkeypatch):
    client, process = stopped
    monkeypatch.setattr(server, "END_SECONDS", 0.2)
    client.close()
    assert is_gone(process)


def test_a_thin_box_is_answered_and_one_without_area_is_a_sentence(client, images):
    path = str(next(iter(images.values())))
    answer = client.ask("clip_views", path=path, boxes=[[0.999, 0, 1, 1], [0.5, 0.5, 0.5001, 0.5001]])
    np.testing.assert_allclose(np.sum(answer["p"], 1), 1, atol=1e-5)
    for box in ([0.5, 0, 0.5, 1], [0, 0, 1.2, 1], [0, 0, float("nan"), 1]):
        with pytest.raises(UserError, match="fractions of the image"):
            client.ask("clip_views", path=path, boxes=[box])
    assert client.ask("clip_views", path=path, boxes=[])["p"] == []


def test_the_maps_of_some_classes_are_those_of_all(client, tiny_run, images):
    path = str(next(iter(images.values())))
    whole = client.ask("explain", path=path, thresholds=[SHOWN_THRESHOLD])
    part = client.ask("attend", path=path, classes=[3, 0])
    frame = tiny_run.config.views.frame
    for place, c in enumerate([3, 0]):
        assert np.shape(part["cam"][place]) == np.shape(whole["cam"][c])
        assert min(map(min, part["cam"][place])) >= 0 and max(map(max, part["cam"][place])) <= 1
        box = part["boxes"][place]
        assert box is not None and 0 <= box[0] < box[2] <= 1
        # The image reaches the model at another size, so boxes are alike and not equal.
        np.testing.assert_allclose(np.array(box) * frame, whole["boxes"][c][0], atol=frame / 8)
    np.testing.assert_allclose(part["clip"], whole["clip"], atol=1e-5)
