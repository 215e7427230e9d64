"""NUS-WIDE in its two layouts, with their oddities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.data.kinds import nuswide
from ccd_core.errors import UserError
from tests.make_datasets import (
    make_nuswide,
    nuswide_labels,
    nuswide_name,
)


@pytest.mark.parametrize("layout", ["official", "benchmark"])
def test_both_layouts_hold_the_same_images_and_labels(tmp_path, layout):
    make_nuswide(tmp_path, n=10, layout=layout)
    dataset = open_dataset(f"nuswide:{tmp_path}")
    assert dataset.splits["train"].ids == tuple(nuswide_name(index) for index in range(10))
    assert all(path.is_file() for images in dataset.splits.values() for path in images.paths)
    np.testing.assert_array_equal(dataset.ground_truth("train").targets, nuswide_labels(0, 10))
    np.testing.assert_array_equal(dataset.ground_truth("val").targets, nuswide_labels(10, 5))
    # A "none image" stays, with nothing true of it.
    assert dataset.ground_truth("train").targets[0].sum() == 0


def test_the_papers_split_is_preferred(tmp_path):
    make_nuswide(tmp_path, n=10, layout="official")
    make_nuswide(tmp_path, n=4, layout="benchmark")
    assert len(open_dataset(f"nuswide:{tmp_path}").splits["train"]) == 4


@pytest.mark.parametrize(
    "line",
    [
        "actor\\1.jpg",
        " actor/1.jpg\r",
        "C:\\ImageData\\Flickr\\actor\\1.jpg",
        "/data/nuswide/Flickr/actor/1.jpg",
        "./actor/1.jpg",
        "../../actor/1.jpg",
    ],
)
def test_paths_that_were_written_on_any_machine_are_found_below_flickr(line):
    assert nuswide.below_flickr(line) == "actor/1.jpg"


def test_lists_that_do_not_fit_are_one_sentence_each(tmp_path):
    make_nuswide(tmp_path, n=10)
    labels = tmp_path / "Groundtruth" / "TrainTestLabels" / "Labels_cat_Train.txt"
    labels.write_text("0\n1\n")
    with pytest.raises(
        UserError, match="Labels_cat_Train.txt has 2 labels, and TrainImagelist.txt lists 10 images"
    ):
        open_dataset(f"nuswide:{tmp_path}").ground_truth("train")
    labels.unlink()
    with pytest.raises(UserError, match="Labels_cat_Train.txt is missing; unpack Groundtruth.zip"):
        open_dataset(f"nuswide:{tmp_path}").ground_truth("train")
    (tmp_path / "ConceptsList" / "Concepts81.txt").write_text("airport\nbird\n")
    with pytest.raises(UserError, match="'animal' is expected and 'bird' is there"):
        open_dataset(f"nuswide:{tmp_path}")
    (tmp_path / "ConceptsList" / "Concepts81.txt").unlink()
    np.save(tmp_path / "formatted_train_images.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match="no array file of numpy"):  # never unpickled
        open_dataset(f"nuswide:{tmp_path}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_of_windows_editors(tmp_path, encoding):
    make_nuswide(tmp_path / "plain")
    make_nuswide(tmp_path / "odd")
    for path in [*(tmp_path / "odd").rglob("*.txt")]:
        path.write_bytes(path.read_bytes().decode().encode(encoding))
    plain, odd = (open_dataset(f"nuswide:{tmp_path / name}") for name in ("plain", "odd"))
    assert odd.splits["train"].ids == plain.splits["train"].ids
    np.testing.assert_array_equal(odd.ground_truth("val").targets, plain.ground_truth("val").targets)


def test_minus_one_is_absent(tmp_path):
    make_nuswide(tmp_path)
    expected = open_dataset(f"nuswide:{tmp_path}").ground_truth("train").targets
    for path in (tmp_path / "Groundtruth" / "TrainTestLabels").iterdir():
        path.write_text("\n".join({"0": "-1", "1": "+1"}[word] for word in path.read_text().split()))
    np.testing.assert_array_equal(open_dataset(f"nuswide:{tmp_path}").ground_truth("train").targets, expected)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("2 " * 10, "has the label '2'"), ("1 " * 9, "has 9 labels"), (None, "is a folder")],
)
def test_label_files_that_are_not_right(tmp_path, content, sentence):
    make_nuswide(tmp_path)
    path = tmp_path / "Groundtruth" / "TrainTestLabels" / "Labels_sky_Train.txt"
    path.unlink()
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=f"sky_Train.txt {sentence}"):
        open_dataset(f"nuswide:{tmp_path}").ground_truth("train")


def test_arrays_that_are_not_right(tmp_path):
    make_nuswide(tmp_path, layout="benchmark")
    names, labels = (tmp_path / f"formatted_train_{what}.npy" for what in ("images", "labels"))
    plain = np.load(names)
    np.save(names, np.array(["caf\xe9/1.jpg".encode("latin-1"), *map(str.encode, plain[1:].tolist())]))
    assert open_dataset(f"nuswide:{tmp_path}").splits["train"].ids[0] == "caf\\xe9/1.jpg"
    np.save(labels, np.load(labels).astype(str))
    with pytest.raises(UserError, match="must hold numbers"):
        open_dataset(f"nuswide:{tmp_path}").ground_truth("train")
    np.save(names, np.array([Path("a.jpg")], object), allow_pickle=True)
    with pytest.raises(UserError, match="holds Python objects"):
        open_dataset(f"nuswide:{tmp_path}")
    with open(names, "wb") as file:
        np.savez(file, plain)
    with pytest.raises(UserError, match="holds several arrays"):
        open_dataset(f"nuswide:{tmp_path}")
