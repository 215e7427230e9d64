"""A run and its predictions with file names that are not UTF-8, and with pictures of many kinds."""

from __future__ import annotations

import csv
import json
import logging
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from ccd_core.cli.commands import app
from ccd_core.data import open_dataset
from ccd_core.data.listing.names import as_name
from ccd_core.execution import run_ccd
from ccd_core.predict.predictor import Predictor
from tests.make_datasets import photos
from tests.support import tiny_config

ODD = {b"caf\xe9.jpg", b"two\nlines.jpg", b"-dash.jpg", b"q\"uo'te;semi,comma.jpg", b"\xff[b].jpg"}


@pytest.mark.slow
def test_odd_names_come_back_from_every_file_of_a_run(tmp_path, tiny_scenes, caplog):
    photographs = tmp_path / "photographs"
    photos(photographs, *(f"plain{number}.jpg" for number in range(20)))
    for number, name in enumerate(sorted(ODD)):
        os.rename(photographs / f"plain{number}.jpg", os.fsencode(photographs) + b"/" + name)
    Image.fromarray((np.arange(3000).reshape(50, 60)).astype(np.uint16)).save(photographs / "deep.png")
    (photographs / "damaged\n.jpg").write_bytes(b"no picture")
    (photographs / "raw.CR2").write_bytes(b"II*\0")
    (photographs / "classes.txt").write_text("cat\ndog\n")
    table = [["file", "labels", "split"], ["caf\\xe9.jpg", "cat", "val"], ["two\nlines.jpg", "dog", "val"]]
    with open(photographs / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows(table)
    spec = f"folder:{photographs}"
    val = {b"caf\xe9.jpg", b"two\nlines.jpg"}
    caplog.set_level(logging.INFO, "ccd")
    run = run_ccd(tiny_config(tiny_scenes, data={"spec": spec}, training={"epochs": 3}), tmp_path / "run")

    def names(ids) -> set[bytes]:
        return {os.fsencode(as_name(str(name))) for name in ids}

    there = {os.fsencode(name) for name in os.listdir(photographs)}
    plain = {name for name in there if name.startswith(b"plain")} | {b"deep.png"}
    assert names(run.load_global()["ids"]) == (ODD | plain) - val
    assert names(np.load(run.file("dataset.npz"))["val.ids"]) == val
    assert names(np.load(run.file("scores", "val.npz"))["ids"]) == val
    assert names(pq.read_table(run.file("views.parquet"))["image"].to_pylist()) <= (ODD | plain) - val
    assert names(run.load_json("images.json")["train"]) == {b"damaged\n.jpg"}
    assert "Left out: 1 file ('raw.CR2'): camera RAW is not read" in caplog.text
    assert "of which 12 are used" in caplog.text
    assert set(open_dataset(spec).splits["val"].ids) == {"caf\\xe9.jpg", "two\nlines.jpg"}

    predictor = Predictor.open(run.path, "cpu")
    assert len(predictor.classes) == 2
    out = tmp_path / "predicted.csv"
    result = CliRunner().invoke(app, ["predict", str(run.path), str(photographs), "--csv", str(out)])
    assert result.exit_code == 0, result.output
    with open(out, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert names(os.path.relpath(row["image"], photographs) for row in rows) == ODD | plain
    result = CliRunner().invoke(app, ["predict", str(run.path), str(photographs), "--json"])
    records = json.loads(result.stdout.splitlines()[-1])
    found = names(os.path.relpath(record["image"], photographs) for record in records)
    assert found == ODD | plain | {b"damaged\n.jpg"}
