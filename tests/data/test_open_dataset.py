"""What all kinds of data sets have in common: the door to them, and their class names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccd_core.data import open_dataset
from ccd_core.data.kinds import coco, nuswide, voc
from ccd_core.errors import UserError


def test_class_names_are_words_that_clip_can_read():
    assert {"tv monitor", "dining table", "potted plant"} < set(voc.CLASSES)
    assert (len(voc.CLASSES), len(coco.CLASSES), len(nuswide.CLASSES)) == (20, 80, 81)
    assert [coco.CLASSES[i] for i in (0, 9, 79)] == ["person", "traffic light", "toothbrush"] and tuple(
        sorted(nuswide.CLASSES)
    ) == nuswide.CLASSES


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("voc2012", "data fetch voc2012"),
        ("coco2014", "data fetch coco2014"),
        ("nuswide", "data fetch nuswide"),
    ],
)
def test_an_empty_folder_says_what_to_fetch(tmp_path, kind, hint):
    with pytest.raises(UserError, match=hint):
        open_dataset(f"{kind}:{tmp_path}")


@pytest.mark.parametrize(
    "spec", ["voc2012:{}", "coco2014:{}", "nuswide:{}", "folder:{}", "voc:{}", "coco:{}"]
)
def test_a_closed_folder_is_one_sentence(tmp_path, monkeypatch, spec):
    def closed(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    for name in ("exists", "is_dir", "is_file"):
        monkeypatch.setattr(Path, name, closed)
    with pytest.raises(UserError, match=r"may not be read by this user; change its permissions\."):
        open_dataset(spec.format(tmp_path / "data"))
