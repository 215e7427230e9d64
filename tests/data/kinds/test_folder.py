"""Data sets and images of real formats: folders, VOC's official layout, and files that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from tests.make_datasets import photos


def test_images_are_found_in_any_nesting_and_hidden_ones_left_out(tmp_path):
    photos(tmp_path, "b.jpg", "deep/er/a.PNG", ".hidden/c.jpg", ".d.jpg")
    (tmp_path / "classes.txt").write_text("\ufeffcat\n# a comment\n\nbig dog\n", encoding="utf-8")
    dataset = open_dataset(f"folder:{tmp_path}")
    assert dataset.classes == ("cat", "big dog") and dataset.splits["train"].ids == ("b.jpg", "deep/er/a.PNG")
    assert "val" not in dataset.splits and dataset.ground_truth("train") is None


@pytest.mark.parametrize(
    "table", ["file,labels\nb.jpg,cat;dog\n./deep/a.jpg,\n", "file,cat,dog\nb.jpg,1,1\ndeep\\a.jpg,0,\n"]
)
def test_labels_csv_scores(tmp_path, table):
    photos(tmp_path, "b.jpg", "deep/a.jpg", "c.jpg")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "labels.csv").write_text(table)
    dataset = open_dataset(f"folder:{tmp_path}")
    assert len(dataset.splits["train"]) == 3 and dataset.splits["val"].ids == ("b.jpg", "deep/a.jpg")
    np.testing.assert_array_equal(dataset.ground_truth("val").rows(["b.jpg", "deep/a.jpg"]), [[1, 1], [0, 0]])


@pytest.mark.parametrize("table", ["file,labels\na.jpg,\nb.jpg,\n", "file,labels,split\na.jpg,,val\n"])
def test_labels_csv_without_a_single_label_is_no_ground_truth(tmp_path, table):
    photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "labels.csv").write_text(table)
    dataset = open_dataset(f"folder:{tmp_path}")
    assert "val" in dataset.splits and not any(dataset.ground_truth(split) for split in dataset.splits)


def test_a_split_column_holds_images_out(tmp_path):
    photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "labels.csv").write_text("file,labels,split\na.jpg,cat,val\nb.jpg,,train\n")
    dataset = open_dataset(f"folder:{tmp_path}")
    assert dataset.splits["train"].ids == ("b.jpg",) and dataset.splits["val"].ids == ("a.jpg",)


@pytest.mark.parametrize(
    ("classes", "labels", "sentence"),
    [
        (None, None, "no list of class names"),
        ("", None, "has no class names"),
        ("cat\ncat\n", None, "more than once"),
        ("cat\n", "file,labels\na.jpg,dgo\n", "line 2: 'dgo' is no class"),
        ("cat\n", "file,labels\nz.jpg,cat\n", "line 2: there is no image 'z.jpg'"),
        ("cat\n", "file,cat\na.jpg,7\n", "line 2: the value of cat must be 0 or 1"),
        ("cat\n", "file,dog\na.jpg,1\n", "column 'dog' is no class"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path, classes, labels, sentence):
    photos(tmp_path, "a.jpg")
    if classes is not None:
        (tmp_path / "classes.txt").write_text(classes)
    if labels:
        (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(UserError, match=sentence):
        open_dataset(f"folder:{tmp_path}")
