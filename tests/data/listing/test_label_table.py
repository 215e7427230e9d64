"""Tables of labels as spreadsheets, notebooks and other programs write them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from tests.make_datasets import photos

CLASSES = "dog\ncat\nperson\n"
FILES = ("a0.jpg", "a1.jpg", "deep/a2.jpg")


def opened(tmp_path: Path, table: str | bytes, classes: str = CLASSES, files: tuple[str, ...] = FILES):
    photos(tmp_path, *files)
    (tmp_path / "classes.txt").write_text(classes)
    (tmp_path / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    return open_dataset(f"folder:{tmp_path}")


def labels_of(dataset) -> dict[str, list[str]]:
    """{image: its classes} of all images with ground truth."""
    found = {}
    for split in dataset.splits:
        truth = dataset.ground_truth(split)
        for name, targets in zip(truth.ids if truth else (), truth.targets if truth else (), strict=True):
            found[name] = [dataset.classes[column] for column in np.flatnonzero(targets)]
    return found


BOTH = {"a0.jpg": ["dog", "cat"], "a1.jpg": ["person"]}


@pytest.mark.parametrize(
    "table",
    [
        "file,labels\na0.jpg,dog;cat\na1.jpg,person\n",
        "file,labels\na0.jpg,dog|cat\na1.jpg,person\n",
        'file,labels\na0.jpg,"dog, cat"\na1.jpg,person\n',
        'file, labels\na0.jpg, "dog,cat"\na1.jpg, person\n',
        "file;labels\na0.jpg;dog,cat\na1.jpg;person\n",
        "file\tlabels\na0.jpg\tdog;cat\na1.jpg\tperson\n",
        "sep=;\nfile;labels\na0.jpg;dog,cat\na1.jpg;person\n",
        "file,labels\na0.jpg,dog\na0.jpg,cat\na1.jpg,person\n",
        "ImageID,Source,LabelName,Confidence\na0,v,dog,1\na0,v,cat,1\na0,v,person,0\na1,v,person,1\n",
        "file,labels\na0.jpg,dog,cat\na1.jpg,person\n",
        "file,labels\r\na0.jpg,Dog;CAT\r\na1.jpg,Person\r\n",
        "file,labels\na0.jpg,dog cat\na1.jpg,person\n",
        "file,labels\na0.jpg,\"['dog', 'cat']\"\na1.jpg,['person']\n",
        'file,labels\na0.jpg,"[""dog"", ""cat""]"\na1.jpg,person\n',
        "file,labels\na0.jpg,['dog' 'cat']\na1.jpg,['person']\n",
        "\n\nfile,labels\n\na0.jpg,dog;cat\n,\na1.jpg,person\n",
        ",file,labels\n0,a0.jpg,dog;cat\n1,a1.jpg,person\n",
        "id,filename,labels\n0,a0.jpg,dog;cat\n1,a1.jpg,person\n",
        "Filename,Tags\na0.jpg,dog;cat\na1.jpg,person\n",
        "file,labels,width,height\na0.jpg,dog;cat,80,60\na1.jpg,person,80,60\n",
        "width,file,labels\n80,a0.jpg,dog;cat\n80,a1.jpg,person\n",
        "file,labels,,\na0.jpg,dog;cat,,\na1.jpg,person,,\n",
        "a0.jpg,dog;cat\na1.jpg,person\n",
        "file,dog,cat,person\na0.jpg,1,1,0\na1.jpg,0,0,1\n",
        "file,dog,cat,person\na0.jpg,1.0,1.0,0.0\na1.jpg,0,0,1\n",
        "file;dog;cat;person\na0.jpg;1,0;1,0;0,0\na1.jpg;0;0;1\n",
        "file,dog,cat,person\na0.jpg,True,TRUE,False\na1.jpg,no,n,yes\n",
        "file,dog,cat,person\na0.jpg,x,x,\na1.jpg,,,x\n",
        "file,dog,cat,person\na0.jpg,1,1,-1\na1.jpg,-1,-1,1\n",
        "file,Dog,CAT,person\na0.jpg,1,1,0\na1.jpg,0,0,1\n",
        "image_id,dog,cat,person\na0,1,1,0\na1,0,0,1\n",
        "file,labels\n/data/set/a0.jpg,dog;cat\nC:\\set\\a1.jpg,person\n",
        "file,labels\nhttps://host.org/data/a0.jpg?size=5,dog;cat\nA1.JPG,person\n",
        "file,labels\na0.png,dog;cat\n./a1.jpg,person\n",
        "file,labels\na0.jpg,dog;cat\na1.jpg,person\nzzz.jpg,cat\n",
        "file,labels\na0.jpg,dog;cat;\na1.jpg,;person\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_way_to_write_the_same_labels(tmp_path, table, encoding):
    dataset = opened(tmp_path, table.encode(encoding))
    assert labels_of(dataset) == BOTH
    assert dataset.splits["val"].ids == ("a0.jpg", "a1.jpg") and len(dataset.splits["train"]) == 3


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_splits_as_people_write_them(tmp_path, delimiter):
    rows = [
        "file,labels,split", "a0.jpg,dog,Val", "a1.jpg,cat,test", "b2.jpg,cat, VALIDATION ",
        "b3.jpg,dog,Train", "b4.jpg,dog,",
    ]  # fmt: skip
    files = ("a0.jpg", "a1.jpg", "b2.jpg", "b3.jpg", "b4.jpg", "b5.jpg")
    dataset = opened(tmp_path, "\n".join(rows).replace(",", delimiter), files=files)
    assert dataset.splits["val"].ids == ("a0.jpg", "a1.jpg", "b2.jpg")
    assert dataset.splits["train"].ids == ("b3.jpg", "b4.jpg", "b5.jpg")
    assert dataset.ground_truth("train").ids == ("b3.jpg", "b4.jpg")


def test_a_row_with_more_cells_keeps_its_split(tmp_path):
    dataset = opened(tmp_path, "file,labels,split\na0.jpg,dog,cat,val\na1.jpg,person,train\n")
    assert labels_of(dataset) == BOTH and dataset.splits["val"].ids == ("a0.jpg",)
    assert any("1 row with more cells than columns" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("table", "note"),
    [
        (
            "file,labels\na0.jpg,dog\na0.jpg,cat\n",
            "several rows for 1 image ('a0.jpg'); the labels of its rows were",
        ),
        ("file,labels,width\na0.jpg,dog,5\n", "1 further column that is not read: 'width'"),
        (
            "file,labels\na0.jpg,dog\nz1.jpg,cat\nz2.jpg,cat\n",
            "2 rows for images that are not there: 'z1.jpg' and",
        ),
        ("file;labels\na0.jpg;dog\n", "was read with ';' between its columns"),
        ("file,dog,cat,person\na0.jpg,1,-1,0\n", "1 value below 0, which count as absent"),
        ("file,dog,cat\na0.jpg,1,0\n", "has no column for 'person': taken as absent"),
        ("file,labels\n/data/a0.jpg,dog\n", "matched by name, such as '/data/a0.jpg' to 'a0.jpg'"),
        ("file,labels,split\na0.jpg,dog,train\n", "marks no image as val"),
        ("a0.jpg,dog\n", "has no line of column names"),
        (b"file,labels\na0.jpg,dog\ncaf\xe9.jpg,cat\n", "was read as Windows-1252"),
        ("ImageID,LabelName,Confidence\na0,dog,1\na0,cat,0\n", "1 label with a confidence below 0.5"),
    ],
)
def test_what_was_understood_or_left_out_is_said(tmp_path, table, note):
    dataset = opened(tmp_path, table)
    assert any(note in one and "labels.csv" in one for one in dataset.notes) or note.startswith("marks no")
    assert any(note in one for one in dataset.notes)
    assert labels_of(dataset)["a0.jpg"][0] == "dog"


def test_a_plain_table_needs_no_notes(tmp_path):
    assert opened(tmp_path, "file,labels,split\na0.jpg,dog;cat,val\na1.jpg,person,train\n").notes == ()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            "file,labels\na0.jpg,dgo\na1.jpg,wolf\n",
            r"2 labels .*\(line 2: 'dgo' is no class, is 'dog' meant\?; line 3",
        ),
        (
            "file,dog,cat,person\na0.jpg,7,0,0\na1.jpg,?,0,0\n",
            "2 values .*of dog must be 0 or 1, not '7'; line 3",
        ),
        (
            "file,labels,split\na0.jpg,dog,holdout\n",
            r"1 split .*\(line 2: 'holdout'\): a split must be train or val",
        ),
        ("file,labels,split\na0.jpg,dog\n", r"1 row of another length .*\(line 2: 2 cells, 3 columns\)"),
        ("file,dog,cat,person\na0.jpg,1,0,0,1\n", "line 2: 5 cells, 4 columns"),
        (
            "file,labels,split\na0.jpg,dog,val\na0.jpg,cat,train\n",
            "'a0.jpg' is in train here and in val in line 2",
        ),
        ("file,dog,cat,person\na0.jpg,1,0,0\na0.jpg,0,0,0\n", "'a0.jpg' differs in dog from line 2"),
        ("ImageID,LabelName,Confidence\na0,dog,1\na0,dog,0\n", "shows dog and that it does not"),
        ("file,dog,dog,cat\na0.jpg,1,0,0\n", "more than one column 'dog'"),
        ("file,labels,labels\na0.jpg,dog,cat\n", "more than one column 'labels'"),
        ("file,dgo,cat,person\na0.jpg,1,0,0\n", r"column 'dgo' is no class \(is 'dog' meant\?\)"),
        ("file,width\na0.jpg,1\n", "column 'width' is no class; the classes are dog, cat, person"),
        ("file,labels\nz.jpg,dog\n", "none of its 1 row names an image .*line 2: there is no image 'z.jpg'"),
        ("", "is empty; its first line names the columns"),
        ("\n \n", "is empty"),
        ('file,labels\n"a0.jpg,dog\na1.jpg,cat\n', "line 2: 1 cell, 2 columns"),
        (b"file,labels\n" + bytes(range(1, 256)), "save it as text in UTF-8"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence(tmp_path, table, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        opened(tmp_path, table)
    assert "labels.csv" in str(error.value) and "\n" not in str(error.value)


def test_many_wrong_rows_are_counted_and_three_are_named(tmp_path):
    table = "file,labels\n" + "a0.jpg,wolf\n" * 12
    with pytest.raises(UserError, match=r"12 labels .*line 2: .*line 3: .*line 4: .* and 9 more\)") as error:
        opened(tmp_path, table)
    assert "line 5" not in str(error.value)


def test_a_name_in_two_folders_must_say_which(tmp_path):
    files = ("a/x.jpg", "b/x.jpg")
    with pytest.raises(UserError, match=r"'x.jpg' may be 'a/x.jpg' and 'b/x.jpg'\): write its path"):
        opened(tmp_path, "file,labels\nx.jpg,dog\n", files=files)
    assert labels_of(opened(tmp_path, "file,labels\nb/x.jpg,dog\n/other/a/x.jpg,cat\n", files=files)) == {
        "a/x.jpg": ["cat"],
        "b/x.jpg": ["dog"],
    }


def test_the_labels_of_a_missing_image_go_to_no_other_image(tmp_path):
    files = ("dog/001.jpg", "dog/002.jpg")
    dataset = opened(tmp_path, "file,labels\ncat/001.jpg,cat\ndog/001.jpg,dog\n", files=files)
    assert labels_of(dataset) == {"dog/001.jpg": ["dog"]}
    assert any("1 row for images that are not there: 'cat/001.jpg'" in note for note in dataset.notes)
    with pytest.raises(UserError, match="may be 'dog/002.jpg as cat/002.jpg'"):
        opened(tmp_path, "file,labels\ncat/002.jpg,cat\nbird/002.jpg,dog\n", files=files)


def test_class_names_with_separators(tmp_path):
    classes = "chair;table\nchair\ntable\nrock, paper\n"
    dataset = opened(
        tmp_path, 'file,labels\na0.jpg,chair;table\na1.jpg,"rock, paper;chair"\n', classes=classes
    )
    assert labels_of(dataset) == {"a0.jpg": ["chair;table"], "a1.jpg": ["chair", "rock, paper"]}
    with pytest.raises(UserError, match="can be read in several ways"):
        opened(tmp_path, "file,labels\na0.jpg,chair;table;chair\n", classes=classes)


def test_a_name_in_another_unicode_form(tmp_path):
    files = ("cafe\u0301.jpg",)
    dataset = opened(tmp_path, "file,labels\ncafé.jpg,cafe\u0301\n", classes="café\ncat\n", files=files)
    assert labels_of(dataset) == {"cafe\u0301.jpg": ["café"]}


def test_a_file_name_of_another_code_page_is_found(tmp_path):
    photos(tmp_path, "x.jpg", "two\nlines.jpg")
    os.rename(tmp_path / "x.jpg", os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    dataset = opened(tmp_path, 'file,labels\ncaf\xe9.jpg,dog\n"two\nlines.jpg",cat\n'.encode("latin-1"))
    assert labels_of(dataset) == {"caf\\xe9.jpg": ["dog"], "two\nlines.jpg": ["cat"]}


def test_a_table_named_in_another_case_is_used(tmp_path):
    photos(tmp_path, "a.jpg")
    (tmp_path / "Classes.TXT").write_text("dog\n")
    (tmp_path / "Labels.csv").write_text("file,labels\na.jpg,dog\n")
    assert labels_of(open_dataset(f"folder:{tmp_path}")) == {"a.jpg": ["dog"]}


def test_all_images_held_out(tmp_path):
    with pytest.raises(UserError, match="mark all 1 images as val, so none is left to train on"):
        opened(tmp_path, "file,labels,split\na0.jpg,dog,val\n", files=("a0.jpg",))
