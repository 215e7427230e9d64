"""Figures of CLIP bias and Labels as functions: order, marks and readability with few and many classes."""

from __future__ import annotations

import numpy as np
import pytest

from app.figures import bias as figures_bias
from app.figures import labels as figures_labels
from app.figures import results as figures_results
from app.figures import theme as figures
from ccd_core.explore.relabel import ClipOutputs
from ccd_core.method.bias import clip_bias, entropy


@pytest.fixture(params=[16, 20, 80, 81])
def many(request):
    rng = np.random.default_rng(request.param)
    p = rng.dirichlet(np.full(request.param, 0.2), 400).astype(np.float32)
    p[:, 1] = 0  # a class that is never first
    return [f"class {i}" for i in range(request.param)], p, clip_bias(p, 1.0)


def test_classes_go_from_the_most_favoured_down_and_fallbacks_are_marked(many):
    classes, p, bias = many
    figure = figures_bias.bias_by_class(
        classes, bias, ClipOutputs.of(p, entropy(p)).by_class, p.max(1), chosen=2
    )
    bars = figure.data[0]
    assert (np.diff(bars.x) <= 0).all() and list(bars.y) == [
        classes[i] for i in np.argsort(-bias.value, kind="stable")
    ]
    hatched = {name for name, shape in zip(bars.y, bars.marker.pattern.shape, strict=True) if shape}
    assert (
        hatched == {name for name, estimated in zip(classes, bias.measured, strict=True) if not estimated}
        and classes[1] in hatched
    )
    assert figure.layout.height >= 20 * len(classes)  # every class has room for its name
    drawn = sum(shape.path.count("M") for shape in figure.layout.shapes)
    assert (
        min(len(p), 1500) <= drawn + len(classes) < 6000
    )  # the images, however many there are, two marks for the browser to draw


def test_entropy_histogram_says_what_share_counts():
    figure = figures_bias.entropy_histogram(np.linspace(0, 2, 101), 0.5, 1.5, 2.8)
    texts = [annotation.text for annotation in figure.layout.annotations]
    assert any("26%" in text for text in texts) and any("the run: 1.5" in text for text in texts)
    assert sum(figure.data[0].y) == 101


def test_counts_are_ordered_by_the_truth_where_there_is_one():
    figure = figures_bias.count_bars(
        ["a", "b"], {"ground truth": np.array([1, 5]), "CLIP top-1": np.array([4, 2])}
    )
    assert list(figure.data[0].y) == ["b", "a"] and list(figure.data[1].x) == [2, 4]


def test_the_view_that_gave_a_local_label_is_named():
    kinds = {"ground truth": np.array([0, 1]), "local": np.array([0.1, 0.9]), "final": np.array([0.2, 0.8])}
    shown = figures_labels.most_labelled(kinds, 2)
    figure = figures_labels.label_bars(["a", "b"], kinds, shown, np.array([4, 2]))
    local = next(trace for trace in figure.data if trace.name == "local")
    assert (
        list(figure.layout.yaxis.ticktext) == ["<b>b</b> ●", "a"]
        and list(local.y) == ["b", "a"]
        and list(local.text) == ["0.90 · view 3", "0.10"]
    )
    assert len(figures_labels.most_labelled({"final": np.random.default_rng(0).random(80)}, 8)) == 8


def test_classes_named_like_numbers_or_marks_are_categories_with_their_names():
    names = ["30", "120", "50", "2020-01-01", "<b>&"]
    p = np.random.default_rng(0).dirichlet(np.full(5, 0.2), 60).astype(np.float32)
    ap, values, many = dict.fromkeys(names, 50.0), p[0], np.arange(5)
    of_rows = [
        figures_bias.bias_by_class(
            names, clip_bias(p, 1.0), ClipOutputs.of(p, entropy(p)).by_class, p.max(1)
        ),
        figures_bias.count_bars(names, {"ground truth": many}),
        figures_bias.before_and_after(names, values, p[1], None, ("a", "b"), "c"),
        figures_labels.label_bars(names, {"final": values}, range(5)),
        figures_labels.differences(names, values, p[1], None, "c"),
        figures_results.ap_points({"a": ap, "b": ap}, names),
        figures_results.ap_bars(ap, names, {"30": 1}),
        figures_results.opinion_bars(names, values, values + 1, None),
        figures_results.confusion_matrix(np.zeros((5, 5)), np.zeros((5, 5)), names),
    ]
    for figure in of_rows:
        text = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
        assert figure.layout.yaxis.type == "category" and text == {name: name for name in names[:4]} | {
            "<b>&": "&lt;b&gt;&amp;"
        }
    for figure in (
        figures_results.agreement_bars(names, many, many, many),
        figures.class_counts({"train": ap}),
        of_rows[-1],
    ):
        assert figure.layout.xaxis.type == "category"
