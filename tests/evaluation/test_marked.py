"""Marks of a few images: kept whole, measured with intervals that are right, and never trained on."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.errors import UserError
from ccd_core.evaluation import marked
from ccd_core.evaluation.metrics import average_precision
from tests.project.test_imports import imports_from
from tests.support import same_result, tiny_config


def world(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and truth of images with four classes, of which the scores know something."""
    random = np.random.default_rng(seed)
    targets = random.random((images, 4)) < [0.5, 0.3, 0.2, 0.4]
    scores = 1 / (1 + np.exp(-(3 * targets - 1.5 + 1.5 * random.standard_normal((images, 4)))))
    return scores.astype(np.float32), targets


def test_the_value_is_that_of_the_other_measures():
    scores, targets = world(80, 0)
    scores = scores.round(1)  # with many ties
    found = marked.measure(scores, targets, np.full(4, 0.5))
    assert found.measures["mAP"].value == pytest.approx(np.nanmean(average_precision(scores, targets)))
    labelled = scores >= np.float32(0.5)
    assert found.measures["precision"].value == pytest.approx((labelled & targets).sum() / labelled.sum())
    assert found.measures["recall"].value == pytest.approx((labelled & targets).sum() / targets.sum())


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    scores, targets = world(20_000, 1)
    truth = marked.measure(scores[:4000], targets[:4000], np.full(4, 0.5)).measures["precision"].value
    held = 0
    for begin in range(0, 6000, 60):
        rows = slice(begin, begin + 60)
        one = marked.measure(scores[rows], targets[rows], np.full(4, 0.5)).measures["precision"]
        held += one.low <= truth <= one.high
    assert 86 <= held <= 100


def test_as_many_more_images_as_it_says_halve_the_interval():
    scores, targets = world(2000, 2)

    def width(count: int, begin: int) -> float:
        rows = slice(begin, begin + count)
        one = marked.measure(scores[rows], targets[rows], np.full(4, 0.5)).measures["F1"]
        return one.high - one.low

    more = marked.measure(scores[:100], targets[:100], np.full(4, 0.5)).more_to_halve
    wide = np.mean([width(100, begin) for begin in range(0, 1000, 100)])
    narrow = np.mean([width(100 + more, begin) for begin in range(0, 1600, 400)])
    assert narrow / wide == pytest.approx(0.5, abs=0.08)


def test_marks_are_kept_and_changed(copied_run):
    run = copied_run()
    assert marked.load_marks(run) == {}
    marked.save_mark(run, "odd, name.jpg", [2, 0])
    marked.save_mark(run, "nothing.jpg", [])
    marked.save_mark(run, "odd, name.jpg", [1])
    marks = marked.load_marks(run)
    assert list(marks) == ["odd, name.jpg", "nothing.jpg"]
    assert marks["odd, name.jpg"].nonzero()[0].tolist() == [1] and not marks["nothing.jpg"].any()


@pytest.mark.parametrize("text", ["", "image,cat\na.jpg,1\n"])
def test_a_file_of_other_classes_is_not_written_over(copied_run, text):
    run = copied_run()
    run.file(marked.FILE).write_text(text)
    with pytest.raises(UserError, match="columns image and the run's classes"):
        marked.save_mark(run, "a.jpg", [0])
    assert run.file(marked.FILE).read_text() == text


def test_a_run_is_measured_on_its_marked_validation_images(copied_run):
    run = copied_run()
    order = marked.sample(run.load_scores("val")["ids"].tolist())
    assert order == marked.sample(run.load_scores("val")["ids"].tolist()) != sorted(order)
    for image in order[:9]:
        marked.save_mark(run, image, [0])
    limits = np.full(len(run.classes), 0.5)
    assert marked.measure_run(run, limits) is None  # too few
    marked.save_mark(run, order[9], [0, 1])
    found = marked.measure_run(run, limits)
    assert found.images == 10 and found.classes == 2 and found.more_to_halve == 30
    for one in found.measures.values():
        assert 0 <= one.low <= one.value <= one.high <= 1


@pytest.mark.slow
def test_marks_never_train(tiny_run, tiny_scenes, tmp_path):
    """A run that is made again beside marks of every image, all of them wrong, ends with the same bits."""
    from ccd_core.execution import run_ccd
    from ccd_core.runs.run import Run

    other = Run.create(tmp_path / "run", tiny_config(tiny_scenes), tiny_run.classes)
    for image in tiny_run.load_scores("train")["ids"].tolist()[:20]:
        marked.save_mark(other, image, [0])
    assert same_result(run_ccd(tiny_config(tiny_scenes), other.path), tiny_run)


def test_only_the_page_that_measures_reads_marks():
    reads = {
        module for module, used in imports_from(("ccd_core", "app", "pages")) if "evaluation.marked" in used
    }
    measuring = {"ccd_core.cli.verbs.predict", "ccd_core.export.models.model_card", "ccd_core.report.one_run"}
    assert reads <= {"app.parts.results.marking"} | measuring
    assert "app.parts.results.marking" in reads
