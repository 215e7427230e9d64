"""A run or a picture that is replaced is not answered for by the one before it."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from app.reading.asking import predictor
from app.reading.asking.clip_queue import known_probabilities, query_about, unit_box
from app.reading.asking.predictions import predict_all
from app.reading.images import data_url, jpeg
from ccd_core.config import CCDConfig
from ccd_core.runs.run import Run


class Predictors:
    """Stands in for the processes: each new one answers with its own number."""

    def __init__(self):
        self.made, self.asked, self.closed = 0, [], []

    def __call__(self, path: str):
        self.made += 1
        return Predictor(self, self.made)


class Predictor:
    def __init__(self, all_of_them: Predictors, number: int):
        self.all_of_them, self.number = all_of_them, number

    def ask(self, question: str, **arguments) -> dict:
        self.all_of_them.asked.append(question)
        scores = [[self.number / 10]] * len(arguments.get("paths", ()))
        return {
            "p": [[self.number]],
            "number": self.number,
            "scores": scores,
            "unlike": [False] * len(scores),
            "errors": {},
        }

    def close(self) -> None:
        self.all_of_them.closed.append(self.number)


@pytest.fixture
def predictors(monkeypatch):
    made = Predictors()
    monkeypatch.setattr(predictor, "PredictorClient", made)
    predictor._client.clear()
    yield made
    predictor._client.clear()


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "pets", CCDConfig.preset("demo"), ("cat",))
    weights = run.file("checkpoints", "best.safetensors")
    weights.parent.mkdir()
    weights.write_text("weights")
    return run


@pytest.fixture
def image(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def later(path) -> None:
    os.utime(path, (path.stat().st_mtime + 1,) * 2)


ANSWERS = {
    "explain": lambda run, image: predictor.explain(run, image, (0.5,))["number"],
    "cam_methods": lambda run, image: predictor.cam_methods(run, image, 0, (0.5,))["number"],
    "clip_views": lambda run, image: predictor.clip_views(run, image, [[0, 0, 1, 1]])[0][0],
    "attend": lambda run, image: predictor.attend(run, image, [0])["number"],
    "predict": lambda run, image: round(10 * float(predict_all(run, {"a": image})[0][0].scores[0])),
}


@pytest.mark.parametrize("question", ANSWERS)
@pytest.mark.parametrize("file", ["config.yaml", "checkpoints/best.safetensors"])
def test_a_run_made_again_is_asked_anew(predictors, run, image, question, file):
    answer = ANSWERS[question]
    assert [answer(run, image), answer(run, image)] == [1, 1]
    later(run.file(*file.split("/")))
    assert answer(run, image) == 2 and predictors.closed == [1]


@pytest.mark.parametrize("question", ["explain", "cam_methods", "clip_views"])
def test_a_picture_that_was_replaced_is_asked_about_anew(predictors, run, image, question):
    for _ in range(2):
        ANSWERS[question](run, image)
    assert predictors.asked == [question]
    later(image)
    ANSWERS[question](run, image)
    assert predictors.asked == [question] * 2 and predictors.made == 1


def test_what_clip_said_for_a_run_that_is_gone_is_forgotten_but_outlives_a_checkpoint(run, image):
    whole = np.array([[0.0, 0, 1, 1]])
    query_about(run, image).results[unit_box(whole[0])] = [0.7]
    later(run.file("checkpoints", "best.safetensors"))
    assert known_probabilities(run, image, whole).tolist() == [[pytest.approx(0.7)]]
    later(run.file("config.yaml"))
    assert np.isnan(known_probabilities(run, image, whole)).all()


def test_a_picture_that_was_replaced_is_shown_as_it_is(image):
    before = jpeg(image, 8), data_url(image, 8)
    Image.new("RGB", (8, 8), "blue").save(image)
    later(image)
    assert jpeg(image, 8) != before[0] and data_url(image, 8) != before[1]
