"""Labels come through one door, and methods without labels have no key to it."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pytest

from ccd_core.baselines import supervision as door
from ccd_core.baselines.inputs import LabelFree, TrainingFree
from ccd_core.baselines.registry import METHODS, implementation, label_seed, label_source, labels_used
from ccd_core.baselines.supervision import Supervision, WithLabels, known_with_probability, one_positive
from ccd_core.config import CCDConfig
from ccd_core.settings.sections import SUPERVISION, MethodName
from tests.project.test_imports import MODULES, imports_of
from tests.support import ROOT, tiny_config

LABELS = np.where(np.random.default_rng(3).random((2000, 20)) < 0.15, 1, -1).astype(np.int8)


def test_one_positive_an_image_by_the_published_seed():
    """Written out again: the positives of each image are shuffled in turn, and the first is kept."""
    found = one_positive(LABELS)
    rng = np.random.RandomState(1200)
    for row, image in enumerate(LABELS):
        positives = np.flatnonzero(image == 1)
        rng.shuffle(positives)
        assert np.flatnonzero(found[row] == 1).tolist() == positives[:1].tolist()
    assert set(np.unique(found)) == {0, 1}
    assert (found.sum(1) == (LABELS == 1).any(1)).all()
    assert (found != one_positive(LABELS, 1201)).any()


def test_some_entries_by_the_published_seed():
    found = known_with_probability(LABELS)
    np.random.seed(0)
    draw = np.random.random(LABELS.shape)
    assert (found == np.where(draw < 0.1, LABELS, 0)).all()
    assert (found != 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (found[found != 0] == LABELS[found != 0]).all()


def test_the_published_seeds_are_the_default_and_go_on_with_the_runs_seed():
    base = CCDConfig.preset("demo")
    assert label_seed(base.with_method("ll_r")) == 1200
    assert label_seed(base.with_method("asl").changed(seed=2)) == 2
    assert label_seed(base.with_method("ll_r").changed(method={"label_seed": 5})) == 5
    assert label_source(base.with_method("asl")) == "10 % of the entries, label seed 0"


def test_a_run_with_labels_says_so_in_its_settings():
    base = CCDConfig.preset("demo")
    for name, method in METHODS.items():
        config = base.with_method(name)
        assert method.uses_labels == (labels_used(config) is not None) == (name in SUPERVISION)
        assert method.trains == config.method.trains
        assert f"supervision: {SUPERVISION.get(name, 'none')}" in config.to_yaml()
    assert set(METHODS) == set(MethodName.__args__)


def test_methods_without_labels_take_no_supervision():
    """By type: the one argument of `make` and `scores` says what they may see."""
    kinds = {"label_free": LabelFree, "training_free": TrainingFree}
    for name, method in METHODS.items():
        if method.module is None:
            continue
        module = implementation(method)
        function = module.make if method.trains else module.scores
        [argument] = inspect.signature(function, eval_str=True).parameters.values()
        assert argument.annotation is kinds.get(method.group, WithLabels), name
    for kind in kinds.values():
        assert Supervision not in kind.__annotations__.values()
        assert "supervision" not in kind.__annotations__


def test_only_methods_with_labels_import_the_door():
    """And of the rest of the project only `learn`, which opens it for them."""
    importing = {name for name in MODULES if any("supervision" in one for one in imports_of(name))}
    without_door = {name for name in importing if not name.startswith("ccd_core.baselines.with_labels.")}
    assert without_door == {"ccd_core.baselines.learn"} and len(importing) > 1


def test_no_method_reads_ground_truth():
    for path in (ROOT / "ccd_core" / "baselines").rglob("*.py"):
        calls = [
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        ]
        reads = any(call.endswith("ground_truth") for call in calls)
        assert reads == (path.stem == "supervision"), path


@pytest.mark.parametrize("name", ["ccd", "an"])
def test_a_run_without_labels_never_opens_the_door(name, tiny_scenes, tmp_path, monkeypatch):
    from ccd_core.baselines import learn
    from ccd_core.execution import run_ccd

    def refuse(*_):
        raise AssertionError("ground truth was asked for")

    monkeypatch.setattr(door, "supervise", refuse)
    monkeypatch.setattr(learn, "supervise", refuse)
    config = tiny_config(tiny_scenes, training={"epochs": 1, "warmup_epochs": 1}).with_method(name)
    assert run_ccd(config, tmp_path / "run").status == "finished"
