"""The predictor: a list of files in, labels and scores in the same order out."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.predict.predictor import Predictor
from ccd_core.runs.run import Run


@pytest.fixture(scope="module")
def images(tiny_run):
    split = open_dataset(tiny_run.config.data.spec).splits["train"]
    return dict(zip(split.ids, split.paths, strict=True))


def test_answers_come_in_the_order_of_the_files_also_with_a_bad_one_among_them(tiny_run, images, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    paths = list(images.values())[:11]
    paths.insert(5, tmp_path / "bad.jpg")
    predictor = Predictor.open(tiny_run.path, device="cpu")
    done: list[int] = []
    answers = predictor.predict(paths, batch_size=4, advance=done.append)
    assert [one.path for one in answers] == paths and done == [4, 8, 12]
    assert "bad.jpg" in answers[5].error and answers[5].labels(predictor.classes, 0.0) == []
    stored = tiny_run.load_scores("train")
    for image, path in list(images.items())[:11]:
        mine = answers[paths.index(path)].scores
        np.testing.assert_allclose(mine, stored["scores"][stored["ids"].tolist().index(image)], atol=1e-4)
    assert predictor.predict([]) == []


def test_thresholds_are_one_number_or_one_for_each_class(tiny_run, images):
    predictor = Predictor.open(tiny_run.path, device="cpu")
    (answer,) = predictor.predict([next(iter(images.values()))])
    surest = predictor.classes[int(answer.scores.argmax())]
    assert (
        answer.labels(predictor.classes, 0.0)[0] == surest
        and len(answer.labels(predictor.classes, 0.0)) == 16
    )
    each = dict.fromkeys(predictor.classes, 1.0) | {surest: 0.0}
    assert answer.labels(predictor.classes, each) == [surest]


def test_a_run_without_a_model_yet_is_one_sentence(tiny_run, tmp_path):
    run = Run.create(tmp_path / "young", tiny_run.config, tiny_run.classes)
    with pytest.raises(UserError, match="Run young has no trained model yet"):
        Predictor.open(run.path, device="cpu")


def test_the_teachers_share_is_mixed_into_the_scores(tiny_run, images, monkeypatch):
    predictor = Predictor(tiny_run, "cpu")
    image = next(iter(images.values()))
    alone = predictor.predict([image])[0].scores
    p = np.linspace(0, 1, len(predictor.classes)).tolist()
    monkeypatch.setattr(predictor, "_global_probabilities", lambda path: p)
    predictor.blend = 0.25
    np.testing.assert_allclose(
        predictor.predict([image])[0].scores, 0.75 * alone + 0.25 * np.array(p), atol=1e-5
    )
    monkeypatch.setattr(predictor, "_global_probabilities", lambda path: None)  # CLIP's weights are not here
    np.testing.assert_allclose(predictor.predict([image])[0].scores, alone, atol=1e-5)
