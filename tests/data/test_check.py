"""`ccd data check`: counts, what is missing, what is broken, and what the labels say."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from ccd_core.cli.commands import app
from ccd_core.data.check import examine_dataset
from ccd_core.data.sources import SOURCES
from tests.make_datasets import make_coco, make_nuswide, make_voc, picture
from tests.support import ROOT, start_python


def ccd(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["data", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.output


@pytest.fixture
def small_counts(monkeypatch):
    """As if the small data sets were the published ones."""

    def publish(kind: str, **counts: int) -> None:
        for split, count in counts.items():
            monkeypatch.setitem(SOURCES[kind].counts, split, count)

    return publish


def test_a_whole_data_set_is_well(tmp_path, small_counts):
    make_voc(tmp_path, 2012, n=6)
    small_counts("voc2012", train=6, val=3)
    report = examine_dataset(f"voc2012:{tmp_path}", decode=True)
    assert report.ok and report.advice == [] and all(part.found for part in report.parts)
    train = report.splits["train"]
    assert (train.images, train.published, train.agrees, train.missing, train.broken) == (6, 6, True, 0, 0)
    assert train.class_counts["aeroplane"] == 1 and train.without_class == 1 and train.boxes == 10
    assert ccd("check", f"voc2012:{tmp_path}")[0] == 0


def test_counts_that_are_not_the_published_ones(tmp_path):
    make_coco(tmp_path)
    code, said = ccd("check", f"coco2014:{tmp_path}", "--quick")
    assert (
        code == 1
        and "The split train has 5 images and 82,081 are published" in said
        and "train2014.zip (13.5 GB)" in said
    )
    assert "not looked for" in said and "█" in said


def test_a_full_size_listing_is_counted_as_the_paper_does(tmp_path):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from full_size_listing import write_voc

    write_voc(tmp_path, 2012)
    report = examine_dataset(f"voc2012:{tmp_path}")
    assert report.ok and [(one.images, one.labelled) for one in report.splits.values()] == [
        (5717, 5717),
        (5823, 5823),
    ]


def test_missing_and_broken_images_are_named(tmp_path, small_counts):
    base = make_voc(tmp_path, 2012, n=6)
    small_counts("voc2012", train=6, val=3)
    (base / "JPEGImages" / "2007_000000.jpg").unlink()
    (base / "JPEGImages" / "2008_000001.jpg").write_bytes(b"no picture")
    quick = examine_dataset(f"voc2012:{tmp_path}").splits["train"]
    assert quick.missing_examples == ["2007_000000"] and quick.broken is None
    report = examine_dataset(f"voc2012:{tmp_path}", decode=True)
    assert report.splits["train"].missing == 1 and list(report.splits["train"].broken_examples) == [
        "2008_000001"
    ]
    code, said = ccd("check", f"voc2012:{tmp_path}")
    assert code == 1 and "such as 2007_000000" in said and "2008_000001.jpg is not an image" in said


def test_the_benchmarks_own_count_is_right_too(tmp_path, monkeypatch):
    make_nuswide(tmp_path, n=10, layout="benchmark")
    monkeypatch.setitem(SOURCES["nuswide"].counts, "train", 10)
    monkeypatch.setitem(SOURCES["nuswide"].counts, "val", 4)
    monkeypatch.setitem(SOURCES["nuswide"].also, "val", 5)
    report = examine_dataset(f"nuswide:{tmp_path}")
    assert report.ok and any("60,260" in note for note in report.notes)


def test_what_cannot_be_opened_lists_what_is_missing(tmp_path):
    (tmp_path / "VOCdevkit" / "VOC2007" / "JPEGImages").mkdir(parents=True)
    code, said = ccd("check", f"voc2007:{tmp_path}")
    assert (
        code == 2
        and "ImageSets/Main/trainval.txt" in said
        and "VOCtrainval_06-Nov-2007.tar (460 MB) https://thor.robots" in said
    )
    report = examine_dataset(f"voc2007:{tmp_path}")
    assert [part.found for part in report.parts] == [
        False,
        False,
        True,
        False,
    ] and "data fetch voc2007" in report.problem


def test_labels_that_cannot_be_read_are_told_and_the_rest_too(tmp_path):
    base = make_voc(tmp_path, 2012, n=6)
    (base / "Annotations" / "2007_000000.xml").write_text("<annotation>")
    report = examine_dataset(f"voc2012:{tmp_path}")
    assert (
        "2007_000000.xml is damaged" in report.splits["train"].label_problem
        and report.splits["val"].labelled == 3
    )


def test_a_folder_of_ones_own(tmp_path):
    picture(tmp_path / "a.jpg")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert ccd("check", f"folder:{tmp_path}")[0] == 0
    (tmp_path / "labels.csv").write_text("file,labels\na.jpg,cat\n")
    report = examine_dataset(f"folder:{tmp_path}")
    assert report.ok and report.splits["val"].class_counts == {"cat": 1, "dog": 0}
    assert any("No image of val shows dog" in note for note in report.notes)
    # A folder without a column split is trained on and scored by design.
    assert not any("train and in val" in note for note in report.notes)


def test_the_examination_needs_no_torch():
    examination = start_python(
        """
        import sys
        from ccd_core.data.check import examine_dataset
        examine_dataset("voc2012:/nowhere")
        print("torch" in sys.modules)
        """,
        cwd=ROOT,
    )
    assert examination.communicate()[0].strip() == "False"
