"""Images without any class: told apart without labels, and trained on as such."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ccd_core.config import CCDConfig, NoneImageSettings
from ccd_core.explore.relabel import ClipOutputs, relabel
from ccd_core.method.none_images import none_images, split_in_two
from ccd_core.pipeline import run_ccd
from ccd_core.runs.run import Run
from tests.support import tiny_config


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(2, 60), st.integers(2, 60))
def test_two_groups_are_split_between_them(seed, few, many):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.uniform(0, 1, few), rng.uniform(4, 5, many)])
    assert 1 <= split_in_two(values) <= 4


def test_what_is_flagged():
    p = np.array([[0.9, 0.1], [0.5, 0.5], [0.95, 0.05]], np.float32)
    similarity = np.array([0.31, 0.15, 0.30], np.float32)
    for name in ("similarity", "entropy"):
        assert none_images(p, similarity, NoneImageSettings(filter=name)).tolist() == [False, True, False]
    assert not none_images(
        p, np.full(3, 0.2, np.float32), NoneImageSettings(filter="similarity")
    ).any()  # all alike
    assert none_images(p, similarity, NoneImageSettings(filter="similarity", threshold=0.305)).tolist() == [
        False,
        True,
        True,
    ]
    assert (
        CCDConfig.preset("paper").none_images.filter
        == CCDConfig.preset("reference").none_images.filter
        == "off"
    )


def test_their_labels_are_zero_in_a_run(tiny_run, tiny_scenes, tmp_path):
    changes = {"none_images": {"filter": "similarity"}, "training": {"epochs": 2, "warmup_epochs": 1}}
    run = run_ccd(tiny_config(tiny_scenes, **changes), tmp_path / "run")
    flagged = none_images(
        run.load_global()["p_global"], run.load_global()["similarity"], run.config.none_images
    )
    assert flagged.any() and not flagged.all()
    for kind in ("initial", "final"):
        assert (run.load_labels()[kind][flagged] == 0).all()
    np.testing.assert_array_equal(
        run.load_labels()["initial"][~flagged], tiny_run.load_labels()["initial"][~flagged]
    )
    assert "show no class" in run.file("log.txt").read_text()

    made = relabel(evidence_of(run), run.config, np.zeros((len(run.classes), len(flagged)), np.float32))
    np.testing.assert_array_equal(made.final.T, run.load_labels()["final"])
    rate = evidence_of(run).mean_initial(made.bias.value, run.config.bias.floor)
    np.testing.assert_allclose(rate, run.load_labels()["initial"].mean(0), atol=1e-6)


def evidence_of(run: Run) -> ClipOutputs:
    arrays, rows = (
        run.load_global(),
        {image: row for row, image in enumerate(run.load_global()["ids"].tolist())},
    )
    none = none_images(arrays["p_global"], arrays["similarity"], run.config.none_images)
    views = run.load_views()["image"].map(rows).to_numpy(int)
    return ClipOutputs.of(arrays["p_global"], arrays["entropy"], none).with_views(
        views, run.load_view_probabilities()
    )
