"""Ground truth and images follow what happens to a data set while the app runs."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from app.reading import ground_truth
from app.reading.images import image_path
from ccd_core.config import CCDConfig
from ccd_core.data.types import Boxes, GroundTruth
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.runs.run import Run
from tests.support import tiny_config


def photo(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


@pytest.fixture
def run(tmp_path):
    """A run of two classes over a labelled folder, as far as its settings."""
    photo(tmp_path / "photos" / "a.jpg")
    photo(tmp_path / "photos" / "b.jpg")
    (tmp_path / "photos" / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "photos" / "labels.csv").write_text("file,labels\na.jpg,cat\n")
    return Run.create(
        tmp_path / "runs" / "pets",
        CCDConfig.preset("demo").changed(data={"spec": f"folder:{tmp_path / 'photos'}"}),
        ("cat", "dog"),
    )


def later(path) -> None:
    """A second passes: some file systems tell no less apart."""
    changed = path.stat().st_mtime + 1
    os.utime(path, (changed, changed))


def rename(photos, names: str) -> None:
    (photos / "classes.txt").write_text(names)
    later(photos / "classes.txt")


@pytest.mark.parametrize("names", ["dog\ncat\n", "bird\ncat\ndog\n"])
def test_truth_is_matched_by_name_where_the_list_of_classes_has_changed(run, tmp_path, names):
    assert ground_truth.image_truth(run, "a.jpg")[0].tolist() == [1, 0]
    rename(tmp_path / "photos", names)
    assert ground_truth.image_truth(run, "a.jpg")[0].tolist() == [1, 0]
    rows, targets = ground_truth.matched(run, "train", np.array(["b.jpg", "a.jpg"]))
    assert rows.tolist() == [1] and targets.tolist() == [[1, 0]]


def test_a_class_that_has_gone_leaves_no_truth_and_the_reason_names_it(run, tmp_path):
    rename(tmp_path / "photos", "cat\n")
    assert ground_truth.ground_truth(run) is None and ground_truth.image_truth(run, "a.jpg") is None
    assert "no longer has the class 'dog'" in ground_truth.why_no_truth(run)
    (tmp_path / "photos" / "labels.csv").unlink()
    assert "There is no ground truth" in ground_truth.why_no_truth(run)


def test_boxes_follow_their_names_too():
    truth = GroundTruth(
        ("a", "b"),
        np.array([[1, 1, 0], [0, 0, 1]], np.float32),
        Boxes.of([[(0, (0, 0, 1, 1)), (1, (0, 0, 2, 2))], [(2, (0, 0, 3, 3))]]),
    )
    mapped = truth.in_terms_of(("dog", "cat"), ("cat", "bird", "dog"))
    assert mapped.targets.tolist() == [[0, 1], [1, 0]]
    assert mapped.boxes[:] == (((1, (0, 0, 1, 1)),), ((0, (0, 0, 3, 3)),))


def test_labels_and_photos_that_come_while_the_app_runs_are_seen(run, tmp_path):
    photos = tmp_path / "photos"
    assert ground_truth.image_truth(run, "b.jpg") is None
    (photos / "labels.csv").write_text("file,labels\nb.jpg,dog\n")
    later(photos / "labels.csv")
    assert ground_truth.image_truth(run, "b.jpg")[0].tolist() == [0, 1]
    (photos / "deep").mkdir()
    ground_truth.dataset(run)
    photo(photos / "deep" / "c.jpg")  # the time of `photos` does not show it
    assert image_path(run, "deep/c.jpg") == photos / "deep" / "c.jpg"


def test_a_missing_image_does_not_have_the_folder_searched_every_time(run, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        ground_truth,
        "open_dataset",
        lambda *args, really=ground_truth.open_dataset: opened.append(args) or really(*args),
    )
    for _ in range(5):
        with pytest.raises(UserError, match="has no image 'gone.jpg'"):
            image_path(run, "gone.jpg")
    assert len(opened) == 2


@pytest.fixture(scope="module")
def finished(tiny_scenes, tmp_path_factory):
    """A finished run over a folder of 10 labelled images, where `photos` and `runs` lie side by side."""
    place = tmp_path_factory.mktemp("finished")
    (place / "photos").mkdir()
    names = [path.name for path in sorted((tiny_scenes / "JPEGImages").glob("train*.jpg"))[:10]]
    for name in names:
        shutil.copy(tiny_scenes / "JPEGImages" / name, place / "photos" / name)
    (place / "photos" / "classes.txt").write_text("tree\ncar\n")
    (place / "photos" / "labels.csv").write_text(
        "file,labels\n" + "".join(f"{name},{'tree' if k % 2 else ''}\n" for k, name in enumerate(names))
    )
    changes = {"data": {"spec": f"folder:{place / 'photos'}"}, "views": {"threshold": {"mean_views": 1.0}}}
    return run_ccd(
        tiny_config(tiny_scenes, **changes, training={"epochs": 2, "warmup_epochs": 1}),
        place / "runs" / "older",
    )


@pytest.mark.parametrize("listed", ["bird\ncar\ntree\n", "tree\nship\n"])
def test_no_page_breaks_on_a_run_that_is_older_than_the_list_of_classes(app, finished, monkeypatch, listed):
    photos = finished.path.parent.parent / "photos"
    rename(photos, listed)
    monkeypatch.setenv("CCD_RUNS", str(finished.path.parent))
    for page, query in [
        ("labels", {}),
        ("labels", {"show": "The whole data set"}),
        ("clip_bias", {"bias_part": "Before and after"}),
        ("cam_boxes", {"layout": "Grid"}),
        ("results", {"part": "Curves"}),
    ]:
        test = app(page, run="older", **query)
        assert not test.exception and not test.error, (page, test.exception)
        said = " ".join(text.value for text in [*test.info, *test.caption])
        if query and page != "cam_boxes":
            assert ("no longer has the class 'car'" in said) == ("car" not in listed), (page, said)
