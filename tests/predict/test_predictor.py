"""The predictor: a list of files in, labels and scores in the same order out."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ccd_core.clip.teacher import PromptedClip
from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.export import export_run
from ccd_core.files import write_json
from ccd_core.predict.predictor import Predictor
from ccd_core.runs.run import Run


@pytest.fixture(scope="module")
def images(tiny_run):
    splits = open_dataset(tiny_run.config.data.spec).splits.values()
    return {name: path for split in splits for name, path in zip(split.ids, split.paths, strict=True)}


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


def test_dark_pictures_of_16_bits_are_scaled_as_the_runs_own_were(copied_run, images, tmp_path):
    """Also by what was exported."""
    run = copied_run()
    write_json(run.file("images.json"), run.load_json("images.json") | {"bits": 12})
    grey = np.asarray(Image.open(next(iter(images.values()))).convert("L")) // 8
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) << 4).save(tmp_path / "12.png")
    paths = [tmp_path / "8.png", tmp_path / "12.png"]
    exported = export_run(run, "huggingface", tmp_path / "exported")
    for predictor in (Predictor(run, "cpu"), Predictor.from_pretrained(exported, "cpu")):
        plain, deep = predictor.predict(paths)
        np.testing.assert_array_equal(plain.scores, deep.scores)
    plain, deep = Predictor(copied_run("older"), "cpu").predict(paths)  # a picture's own values tell
    assert not np.array_equal(plain.scores, deep.scores)


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


@pytest.mark.parametrize("grid", [1, 3])
def test_predictions_are_blended_with_clip_as_those_of_the_run_are(copied_run, images, grid, monkeypatch):
    run = copied_run()
    settings = yaml.safe_load(run.file("config.yaml").read_text())
    settings["predict"] = {"blend": 0.25, "grid": grid}
    run.file("config.yaml").write_text(yaml.safe_dump(settings))
    alone = Run.open(run.path).load_scores("val")["scores"]
    shutil.rmtree(run.file("scores"))
    run = run_ccd(Run.open(run.path).config, run.path)
    stored = run.load_scores("val")
    np.testing.assert_allclose(stored["classifier"], alone, atol=1e-5)
    share = (stored["scores"] - 0.75 * alone) / 0.25
    trained = run.load_scores("train")
    of_train = (trained["scores"] - 0.75 * trained["classifier"]) / 0.25
    assert (of_train.sum(1).max() < 1.01) == (grid == 1)  # otherwise the largest of several local views
    assert abs(share.sum(1) - 1).max() < 1e-3 if grid == 1 else share.sum(1).min() > 1.05
    paths = [images[image] for image in stored["ids"].tolist()]
    predictor = Predictor.open(run.path, "cpu")
    found = predictor.predict([*paths, paths[0].parent / "nothing.jpg"], batch_size=5)
    np.testing.assert_allclose(np.stack([one.scores for one in found[:-1]]), stored["scores"], atol=1e-3)
    assert found[-1].scores is None and "nothing.jpg" in found[-1].error
    # Where CLIP's weights are not, the classifier answers alone.
    predictor = Predictor.open(run.path, "cpu")

    def not_here() -> PromptedClip:
        raise UserError("The weights are not here.")

    monkeypatch.setattr(predictor, "_clip", not_here)
    np.testing.assert_allclose(predictor.predict(paths[:1])[0].scores, alone[0], atol=1e-3)


def test_threads_give_the_same_answers_in_the_order_of_the_files(tiny_run, images):
    predictor = Predictor.open(tiny_run.path, "cpu")
    paths = list(images.values())
    computing = torch.get_num_threads()
    found = [
        [one for batch in predictor.stream(paths, 7, workers, predictor.thresholds) for one in batch]
        for workers in (1, 3)
    ]
    for one, other, path in zip(*found, paths, strict=True):
        assert one.path == other.path == path and one.boxes == other.boxes
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    assert torch.get_num_threads() == computing
