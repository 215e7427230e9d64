"""Parsed ground truth is cached until an annotation changes."""

from __future__ import annotations

import os

import numpy as np

from ccd_core.data import open_dataset, truth_cache
from ccd_core.data.kinds import voc
from ccd_core.data.types import GroundTruth
from tests.make_datasets import (
    make_voc,
)


def test_annotations_are_read_again_only_when_they_change(tmp_path, monkeypatch):
    base = make_voc(tmp_path / "data", n=4)
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(truth_cache, "WORTH_CACHING_SECONDS", 0)
    reads = []
    monkeypatch.setattr(
        voc,
        "read_annotations",
        lambda *arguments, read=voc.read_annotations: reads.append(1) or read(*arguments),
    )

    def truth() -> GroundTruth:
        return open_dataset(f"voc2012:{tmp_path / 'data'}").ground_truth("train")

    first, second = truth(), truth()
    assert (
        len(reads) == 1
        and second.ids == first.ids
        and second.boxes[:] == first.boxes[:]
        and second.targets.dtype == np.float32
    )
    np.testing.assert_array_equal(second.targets, first.targets)
    annotation = next((base / "Annotations").iterdir())
    os.utime(annotation, (1, 1))
    truth()
    assert len(reads) == 2
    next((tmp_path / "home" / "ground_truth").glob("*.npz")).write_bytes(b"damaged")
    assert truth().ids == first.ids and truth().ids == first.ids
