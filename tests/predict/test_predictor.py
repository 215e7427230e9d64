"""The predictor: a list of files in, labels and scores in the same order out."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.data import open_dataset


@pytest.fixture(scope="module")
def images(tiny_run):
    split = open_dataset(tiny_run.config.data.spec).splits["train"]
    return dict(zip(split.ids, split.paths, strict=True))


def test_a_list_longer_than_a_batch_keeps_its_order_and_its_bad_files(tiny_run, images, tmp_path):
    from ccd_core.predict.predictor import Predictor

    (tmp_path / "bad.jpg").write_text("no picture")
    paths = list(images.values())[:11]
    paths.insert(5, tmp_path / "bad.jpg")
    predictor, done = Predictor.open(tiny_run.path, device="cpu"), []
    answers = predictor.predict(paths, batch_size=4, advance=done.append)
    assert [one.path for one in answers] == paths and done == [4, 8, 12]
    assert "bad.jpg" in answers[5].error and answers[5].labels(predictor.classes, 0.0) == []
    stored = tiny_run.load_scores("train")
    for image, path in list(images.items())[:11]:
        mine = answers[paths.index(path)].scores
        np.testing.assert_allclose(mine, stored["scores"][stored["ids"].tolist().index(image)], atol=1e-4)
    assert predictor.predict([]) == []
