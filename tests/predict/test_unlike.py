"""Predict says when an image is unlike the training images: the library, the table and the page."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image

from ccd_core.data.loading import DecodedImages
from ccd_core.paths import DEMO_RUN
from ccd_core.predict.predictor import Predictor
from ccd_core.predict.tables import as_csv, as_records
from ccd_core.runs.likeness import FILE, read_likeness
from ccd_core.runs.work import Work
from ccd_core.stages import likeness as stage
from ccd_core.toy.scenes import write_dataset
from ccd_core.training.inference import predict_scores


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Twelve scenes of the demo's kind, and three pictures that nobody drew."""
    folder = tmp_path_factory.mktemp("images")
    scenes = sorted((write_dataset(folder / "scenes", {"val": 12}) / "JPEGImages").glob("*.jpg"))
    rng = np.random.default_rng(0)
    others = []
    for name, pixels in {
        "noise": rng.integers(0, 255, (96, 96, 3)),
        "stripes": np.tile(np.arange(96) % 8 * 32, (96, 1))[..., None].repeat(3, 2),
        "grass": rng.normal((60, 120, 40), 40, (96, 96, 3)).clip(0, 255),
    }.items():
        others.append(folder / f"{name}.png")
        Image.fromarray(pixels.astype(np.uint8)).resize((256, 256), Image.Resampling.BICUBIC).save(others[-1])
    return scenes, others


def test_the_shipped_demo_knows_its_scenes_and_says_what_it_has_never_seen(images):
    scenes, others = images
    predictor = Predictor.open(DEMO_RUN, "cpu")
    like = predictor.predict(scenes)
    assert not any(one.unlike for one in like) and all(one.distance is not None for one in like)
    assert all(one.unlike and one.distance > 4 for one in predictor.predict(others))
    assert (DEMO_RUN / FILE).stat().st_size < 300_000


def test_tables_have_a_last_column_for_it():
    scores = np.array([0.9, 0.1], np.float32)
    rows = [("a.jpg", scores), ("b.jpg", scores)]
    limits = Predictor.open(DEMO_RUN, "cpu").thresholds.same(("x", "y"), 0.5)
    table = list(csv.DictReader(io.StringIO(as_csv(rows, ("x", "y"), limits, unlike={"b.jpg"}))))
    assert [row["unlike_training"] for row in table] == ["0", "1"]
    assert "unlike" not in as_csv(rows, ("x", "y"), limits)
    assert [row["unlike_training"] for row in as_records(rows, ("x", "y"), limits, {"b.jpg"})] == [
        False,
        True,
    ]


def test_a_run_writes_it_once_and_a_damaged_file_is_left_aside(copied_run, tiny_scenes, monkeypatch):
    run = copied_run()
    assert not run.has(FILE)  # 40 images are too few
    predictor = Predictor(run, "cpu")
    assert predictor.likeness is None and predictor.predict([]) == []
    from ccd_core.data import open_dataset

    train = open_dataset(run.config.data.spec).splits["train"]
    decoded = DecodedImages(train, run.config.classifier.image_size, 0, 0)
    decoded.check(lambda done: None)
    work = Work(run.config, predictor.accelerator, run)
    monkeypatch.setattr(stage, "FEWEST", 20)
    monkeypatch.setattr("ccd_core.method.likeness.FEWEST", 20)

    def written_again() -> None:
        features = stage.TrainingFeatures(len(decoded), predictor.model.head.in_channels, work)
        predict_scores(predictor.model, decoded, predictor.accelerator, seen=features.see)
        stage.write_likeness_of(features, work)

    written_again()
    written = read_likeness(run)
    assert written is not None and len(written.distances) == 10
    before = run.file(FILE).stat().st_mtime_ns
    written_again()
    assert run.file(FILE).stat().st_mtime_ns == before
    assert Predictor(run, "cpu").predict([train.paths[0]])[0].distance is not None
    run.file(FILE).write_bytes(b"no arrays")
    assert read_likeness(run) is None and Predictor(run, "cpu").likeness is None
