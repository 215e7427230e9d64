"""What the predictor answers beside labels: CLIP's opinion of any part of an image, as the run would have formed it."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.serving import PredictorClient


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


def test_a_thin_box_is_answered_and_one_without_area_is_a_sentence(client, images):
    path = str(next(iter(images.values())))
    answer = client.ask("clip_views", path=path, boxes=[[0.999, 0, 1, 1], [0.5, 0.5, 0.5001, 0.5001]])
    np.testing.assert_allclose(np.sum(answer["p"], 1), 1, atol=1e-5)
    for box in ([0.5, 0, 0.5, 1], [0, 0, 1.2, 1], [0, 0, float("nan"), 1]):
        with pytest.raises(UserError, match="fractions of the image"):
            client.ask("clip_views", path=path, boxes=[box])
    assert client.ask("clip_views", path=path, boxes=[])["p"] == []
