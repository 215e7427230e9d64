"""`hf:ROOT`: folders of Hugging Face's library `datasets`, as `save_to_disk` and the hub write them."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ccd_core.data import open_dataset
from ccd_core.data.kinds.hugging_face import unpacking
from ccd_core.errors import UserError

LABELS = {"_type": "ClassLabel", "names": ["cat", "dog"]}
IMAGE = {"_type": "Image"}


def jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, shade, shade)).save(buffer, "JPEG")
    return buffer.getvalue()


def table(count: int, labels: list, features: dict | None) -> pa.Table:
    pictures = [{"bytes": jpeg(20 * number), "path": None} for number in range(count)]
    made = pa.table({"image": pictures, "label": labels})
    if features is None:
        return made
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def test_parquet_of_the_hub_with_class_labels(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    features = {"image": IMAGE, "label": LABELS}
    pq.write_table(table(3, [0, 1, 1], features), data / "train-00000-of-00002.parquet")
    pq.write_table(table(2, [0, -1], features), data / "train-00001-of-00002.parquet")
    pq.write_table(table(1, [1], features), data / "validation-00000-of-00001.parquet")
    (tmp_path / "loading.py").write_text("raise SystemExit('this was run')")
    dataset = open_dataset(f"hf:{tmp_path}")
    assert dataset.classes == ("cat", "dog")
    assert len(dataset.splits["train"]) == 5 and len(dataset.splits["val"]) == 1
    truth = dataset.ground_truth("train")
    assert truth is not None
    # The row with -1 is left out: nobody has labelled it.
    np.testing.assert_array_equal(truth.targets, [[1, 0], [0, 1], [0, 1], [1, 0]])
    notes = " ".join(dataset.notes)
    assert "Taken for a data set of Hugging Face in 3 Parquet files" in notes
    assert "Not run: 'loading.py'" in notes
    with Image.open(dataset.splits["train"].paths[2]) as picture:
        assert picture.size == (40, 30)


def test_a_folder_of_save_to_disk_with_lists_of_labels(tmp_path):
    features = {"image": IMAGE, "labels": {"_type": "List", "feature": LABELS}}
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    folder = tmp_path / "train"
    folder.mkdir()
    rows = table(3, [[0, 1], [], [1]], None).rename_columns(["image", "labels"])
    with pa.ipc.new_stream(folder / "data-00000-of-00001.arrow", rows.schema) as stream:
        stream.write_table(rows)
    (folder / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]})
    )
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    dataset = open_dataset(f"hf:{tmp_path}")
    truth = dataset.ground_truth("train")
    assert truth is not None
    np.testing.assert_array_equal(truth.targets, [[1, 1], [0, 0], [0, 1]])


def test_names_as_text_and_classes_of_ones_own(tmp_path):
    pq.write_table(table(2, ["dog", "bird"], None), tmp_path / "train.parquet")
    assert open_dataset(f"hf:{tmp_path}").classes == ("bird", "dog")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = open_dataset(f"hf:{tmp_path}")
    assert dataset.classes == ("cat", "dog")
    assert "1 label of classes that are not in the list" in " ".join(dataset.notes)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"PAR1 and no more", "is damaged or no table"), (None, "has no files of Parquet or Arrow")],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "train.parquet").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        open_dataset(f"hf:{tmp_path}")


def test_numbers_without_names_ask_for_the_names(tmp_path):
    pq.write_table(table(2, [0, 1], None), tmp_path / "train.parquet")
    with pytest.raises(UserError, match="numbers, and nothing tells their names; write the names"):
        open_dataset(f"hf:{tmp_path}")


def test_pictures_that_are_far_larger_than_their_table_are_not_unpacked(tmp_path, monkeypatch):
    same = [{"bytes": jpeg(1) + bytes(100_000), "path": None}] * 2000
    pq.write_table(pa.table({"image": same, "label": ["cat"] * 2000}), tmp_path / "train.parquet")
    assert (tmp_path / "train.parquet").stat().st_size < 1_000_000
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(unpacking, "ALWAYS", 0)
    with pytest.raises(UserError, match=r"more than 50 times their tables, as in a file .* use folder:DIR"):
        open_dataset(f"hf:{tmp_path}")
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert not left


def test_a_picture_of_unusual_size_is_left_out_and_a_disk_is_not_filled(tmp_path, monkeypatch):
    rows = [{"bytes": jpeg(1), "path": None}, {"bytes": jpeg(2) + bytes(9000), "path": None}]
    pq.write_table(pa.table({"image": rows, "label": ["cat", "dog"]}), tmp_path / "train.parquet")
    monkeypatch.setattr(unpacking, "MOST_OF_ONE", 5000)
    dataset = open_dataset(f"hf:{tmp_path}")
    assert len(dataset.splits["train"]) == 1 and "more than 0 MB" in " ".join(dataset.notes)
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(unpacking, "KEPT_FREE", 2**60)
    with pytest.raises(UserError, match="MiB free, of which .* are left to others"):
        open_dataset(f"hf:{tmp_path}")
