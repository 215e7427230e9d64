"""Results of a finished run are known by their digests; arrays are checked for what they must be."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.files import write_arrays
from ccd_core.predict.predictor import Predictor
from ccd_core.runs.files.digests import FILE, RESULTS, write_digests
from ccd_core.runs.run import Run


@pytest.fixture
def run(copied_run) -> Run:
    copied = copied_run()
    write_digests(copied.path)
    return copied


def test_a_finished_run_has_digests_of_all_results(tiny_run):
    named = json.loads(tiny_run.file(FILE).read_text())
    assert set(named) == {name for name in RESULTS if tiny_run.has(name)}
    assert {"labels.npz", "views.parquet", "scores/ap.json", "checkpoints/best.safetensors"} <= set(named)


def test_scores_of_another_run_are_refused(run):
    report = json.loads(run.file("scores", "ap.json").read_text())
    report["val"]["mAP"] = 99.0
    run.file("scores", "ap.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match=r"ap\.json is damaged or of another run"):
        run.load_ap()


def test_shuffled_views_are_refused(run):
    table = pq.read_table(run.file("views.parquet"))
    pq.write_table(table.take(list(reversed(range(table.num_rows)))), run.file("views.parquet"))
    for read in (run.load_views, run.load_view_probabilities, lambda: run.views_of("x")):
        with pytest.raises(UserError, match="of another run"):
            read()


def test_another_classifier_is_refused_and_a_missing_file_is_named(run):
    weights = run.file("checkpoints", "best.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"best\.safetensors is damaged or of another run"):
        Predictor.open(run.path, "cpu")
    run.file("metrics.csv").unlink()
    with pytest.raises(UserError, match=r"metrics\.csv is gone"):
        run.load_metrics()


def test_a_changed_result_ends_a_resume_and_a_deleted_one_is_made_again(run):
    labels = run.load_labels()
    write_arrays(run.file("labels.npz"), **{**labels, "final": labels["final"][::-1]})
    with pytest.raises(UserError, match=r"labels\.npz is damaged or of another run"):
        run_ccd(run.config, run.path)
    run.file("labels.npz").unlink()
    run_ccd(run.config, run.path)
    np.testing.assert_array_equal(run.load_labels()["final"], labels["final"])


def test_a_copy_of_a_run_keeps_its_digests(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "copy")
    assert len(Run.open(tmp_path / "copy").load_views()) == len(run.load_views())


def _repeat(arrays):
    return arrays | {"ids": np.concatenate([arrays["ids"][:-1], arrays["ids"][:1]])}


CHANGES = {  # of a run without digests
    "a name twice": _repeat,
    "a lost row": lambda arrays: arrays | {"final": arrays["final"][:-1]},
    "another number of classes": lambda arrays: arrays | {"final": arrays["final"][:, :-1]},
    "NaN": lambda arrays: arrays | {"final": np.full_like(arrays["final"], np.nan)},
    "text": lambda arrays: arrays | {"final": arrays["final"].astype(str)},
    "no probability": lambda arrays: arrays | {"final": arrays["final"] + 7},
    "an array is missing": lambda arrays: {name: a for name, a in arrays.items() if name != "n_views"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_arrays_that_cannot_be_right_are_refused(copied_run, change):
    run = copied_run()
    write_arrays(run.file("labels.npz"), **CHANGES[change](run.load_labels()))
    with pytest.raises(UserError, match=r"labels\.npz is damaged"):
        run.load_labels()


def test_views_without_a_number_for_each_class_are_refused(copied_run):
    run = copied_run()
    table = pq.read_table(run.file("views.parquet"))
    at = table.column_names.index("probabilities")
    short = [row[:-1] for row in table.column("probabilities").to_pylist()]
    pq.write_table(table.set_column(at, "probabilities", [short]), run.file("views.parquet"))
    with pytest.raises(UserError, match=r"views\.parquet is damaged"):
        run.load_view_probabilities()
    with pytest.raises(UserError, match=r"views\.parquet is damaged"):
        run.views_of(str(run.load_labels()["ids"][0]))
