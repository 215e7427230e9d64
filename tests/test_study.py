"""The proof-of-concept study (Fig. 3): what each policy cuts. Boxes reach this measurement only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccd_core import study as module
from ccd_core.config import load_config
from ccd_core.errors import UserError
from ccd_core.study import around_boxes, grid_boxes, in_frame, study
from ccd_core.training.trainer import Trainer


def test_policies_cut_the_grid_the_boxes_and_what_is_around_them():
    cells = grid_boxes(640)
    assert len(cells) == 9 and sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in cells) == 640 * 640
    boxes = in_frame([(0, (0, 0, 100, 50)), (1, (199, 99, 200, 100))], (200, 100), 640)
    assert boxes.tolist() == [[0, 0, 320, 320], [637, 634, 640, 640]]
    around = around_boxes(boxes, 80, 640, np.random.default_rng(0))
    first = around[::2]
    assert (first[:, :2] == 0).all() and (first[:, 2:] >= 320).all() and (first[:, 2:] <= 480).all()


@pytest.mark.parametrize("policy", ["boxes", "around_boxes"])
def test_no_run_can_use_the_policies_that_need_ground_truth(policy):
    with pytest.raises(UserError, match="setting views.policy"):
        load_config("demo", None, [f"views.policy={policy}"])


def test_a_policy_without_its_run_or_its_ground_truth_is_refused(tiny_run, tmp_path):
    with pytest.raises(UserError, match="takes the views of a run"):
        study(tiny_run.config, ["cam"])
    (tmp_path / "classes.txt").write_text("house\n")
    picture = next(Path(tiny_run.config.data.spec.partition(":")[2], "JPEGImages").glob("*.jpg"))
    (tmp_path / "a.jpg").write_bytes(picture.read_bytes())
    with pytest.raises(UserError, match="no ground truth"):
        study(tiny_run.config.changed(data={"spec": f"folder:{tmp_path}"}), ["grid"])


def test_a_stopped_study_goes_on_with_what_it_has(tiny_run, home, monkeypatch):
    policies = ["grid", "random"]
    whole = study(tiny_run.config, policies, limit=24, train=True)
    assert not list((home / "study").iterdir())
    cut = []
    trained = []
    cut_views = module.local_probabilities_of
    fit = Trainer.train

    def counted(views, *rest):
        cut.append(views.policy)
        return cut_views(views, *rest)

    def killed_at_the_second(trainer, *rest):
        trained.append(trainer.run.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        fit(trainer, *rest)

    monkeypatch.setattr(module, "local_probabilities_of", counted)
    monkeypatch.setattr(Trainer, "train", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        study(tiny_run.config, policies, limit=24, train=True)
    again = study(tiny_run.config, policies, limit=24, train=True)
    assert cut == policies and trained == ["initial", "grid", "grid", "random"]
    assert again == whole and not list((home / "study").iterdir())


def test_a_classifier_is_trained_on_the_labels_of_a_policy(tiny_run):
    """On the labels of the run's own views it is the run's classifier."""
    results = study(tiny_run.config, ["cam"], tiny_run, train=True)
    assert results["cam"]["classifier"]["mAP"] == tiny_run.load_ap()["val"]["mAP"]
    assert results["initial"]["classifier"]["mAP"] != results["cam"]["classifier"]["mAP"]
