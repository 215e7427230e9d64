"""Which images a run trains on: those that can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.runs.run import Run
from tests.make_datasets import broken_files
from tests.support import tiny_config


def test_one_class_and_broken_files(tmp_path, tiny_scenes):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number, path in enumerate(sorted((tiny_scenes / "JPEGImages").glob("*.jpg"))[:12]):
        (folder / "deep" / f"{number}.jpg").write_bytes(path.read_bytes())
    thermal = np.linspace(0, 4000, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(thermal).save(folder / "deep" / "thermal.png")
    (folder / "broken").mkdir()
    broken = broken_files(folder / "broken")
    (folder / "classes.txt").write_text("house\n")
    config = tiny_config(
        tiny_scenes,
        data={"spec": f"folder:{folder}"},
        training={"epochs": 2, "warmup_epochs": 1},
        views={"threshold": {"mean_views": 1.0}},
    )
    run = run_ccd(config, tmp_path / "run")
    assert {entry["id"] for entry in run.state["skipped"]} == {f"broken/{path.name}" for path in broken}
    assert all(Path(entry["id"]).name in entry["reason"] for entry in run.state["skipped"])
    assert run.picture_bits == 12  # for Predict
    assert len(run.load_labels()["ids"]) == 13 and run.load_ap() == {}
    assert np.isfinite(run.load_scores("train")["scores"]).all()


def test_nothing_readable_is_said(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    (tmp_path / "photos" / "classes.txt").write_text("house\ncar\n")
    with pytest.raises(UserError, match="None of the 1 training images"):
        run_ccd(
            CCDConfig.preset("demo").changed(data={"spec": f"folder:{tmp_path / 'photos'}"}), tmp_path / "run"
        )
    assert Run.open(tmp_path / "run").status == "failed"
