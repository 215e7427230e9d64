"""Thresholds: what each choice promises holds exactly, and the file comes back as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from ccd_core.errors import UserError
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.sorted_scores import SortedScores

N = 24
C = 3
CLASSES = ("a", "b", "c")
# Many ties.
SCORES = arrays(np.float32, (N, C), elements=st.sampled_from([round(0.05 * i, 2) for i in range(21)]))
TARGETS = arrays(np.int8, (N, C), elements=st.integers(0, 1))


@given(SCORES, TARGETS)
@settings(max_examples=60, deadline=None)
def test_best_f1_is_what_trying_every_score_finds(scores, targets):
    chosen = thresholds.choose("f1", SortedScores(scores, targets), CLASSES).array(CLASSES)
    for c in range(C):
        if targets[:, c].any():
            best = max(
                f1_score(targets[:, c], scores[:, c] >= limit, zero_division=0) for limit in scores[:, c]
            )
            assert f1_score(
                targets[:, c], scores[:, c] >= np.float32(chosen[c]), zero_division=0
            ) == pytest.approx(best)
        else:
            assert chosen[c] == thresholds.DEFAULT
    one = thresholds.choose("f1", SortedScores.of_all_entries(scores, targets), CLASSES)
    if targets.any():
        best = max(
            f1_score(targets.ravel(), scores.ravel() >= limit, zero_division=0) for limit in np.unique(scores)
        )
        assert not one.per_class and len(set(one.values.values())) == 1
        assert f1_score(
            targets.ravel(), scores.ravel() >= np.float32(one.values["a"]), zero_division=0
        ) == pytest.approx(best)


@given(SCORES, TARGETS, st.floats(0.1, 1))
@settings(max_examples=60, deadline=None)
def test_a_target_precision_is_kept_at_the_highest_recall(scores, targets, target):
    chosen = thresholds.choose("precision", SortedScores(scores, targets), CLASSES, target).array(CLASSES)
    for c in range(C):

        def precision(limit, c=c):
            return targets[scores[:, c] >= np.float32(limit), c].mean()

        possible = [limit for limit in np.unique(scores[:, c]) if precision(limit) >= target]
        if possible:
            assert chosen[c] == min(possible)
        else:
            assert chosen[c] == 1


@given(SCORES, st.floats(0, C))
@settings(max_examples=60, deadline=None)
def test_a_label_rate_is_met_as_closely_as_ties_allow(scores, rate):
    one = thresholds.choose("rate", SortedScores.of_all_entries(scores), CLASSES, rate)
    wanted = round(rate * N)
    count = sum(len(one.labels(CLASSES, row)) for row in scores)
    assert count <= wanted
    rest = scores[scores < np.float32(one.values["a"])]
    if rest.size:
        assert count + (rest == rest.max()).sum() > wanted
    shares = np.array([0.5, 0.3, 0.2])
    each = thresholds.choose("rate", SortedScores(scores), CLASSES, rate, shares).array(CLASSES)
    assert ((scores >= each.astype(np.float32)).sum(0) <= np.rint(rate * N * shares)).all()


def test_what_is_saved_comes_back_and_says_where_it_is_from(copied_run):
    run = copied_run()
    scores = run.load_scores("val")["scores"]
    chosen = thresholds.choose("rate", SortedScores(scores), run.classes, 1.5, split="val")
    stored = json.loads(thresholds.save(run, chosen).read_text())
    assert stored["uses_ground_truth"] is False and "1.5" in stored["how"] and stored["images"] == len(scores)
    assert thresholds.of_run(run) == chosen
    truth = thresholds.choose("f1", SortedScores(scores, scores > 0.5), run.classes, split="val")
    assert json.loads(thresholds.save(run, truth).read_text())["uses_ground_truth"] is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"thresholds": 3}',
        '{"cat": "high"}',
        '{"cat": 7}',
        '{"nobody": 0.5}',
        '{"method": "magic", "thresholds": {}}',
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(UserError, match=r"t\.json"):
        thresholds.load(tmp_path / "t.json", ("cat", "dog"))


def test_thresholds_may_be_a_plain_mapping_and_a_class_without_one_has_a_half(tmp_path):
    (tmp_path / "t.json").write_text('{"cat": 0.2}')
    loaded = thresholds.load(tmp_path / "t.json", ("cat", "dog"))
    assert loaded.labels(("cat", "dog"), np.array([0.3, 0.4])) == ["cat"]
    assert loaded.in_words == "per class, set by hand"
    (tmp_path / "t.json").write_text('{"cat": 0.2, "dog": 0.2}')
    assert thresholds.load(tmp_path / "t.json", ("cat", "dog")).in_words == "one for all classes, set by hand"
