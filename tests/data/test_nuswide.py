"""NUS-WIDE in its two layouts, with their oddities."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.data import nuswide, open_dataset
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
    assert (
        dataset.ground_truth("train").targets[0].sum() == 0
    )  # a "none image" stays, with nothing true of it


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
