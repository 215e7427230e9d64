"""Figures as functions: order, marks and names with few and many classes, and the palette."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest

from app.figures.average_precision import ap_bars, ap_points
from app.figures.bias import before_and_after, bias_by_class, count_bars, entropy_histogram
from app.figures.confusion import agreement_bars, confusion_matrix
from app.figures.labels import differences, label_bars, most_labelled
from app.figures.scores import score_bars
from app.figures.theme import BOX_COLOURS, GREY, PALETTE, SERIES, text_colour, translucent
from app.figures.training import class_counts
from ccd_core.explore.relabel import ClipOutputs
from ccd_core.method.bias import clip_bias, entropy
from tests.support import ROOT

APP = ROOT / "app"


@pytest.fixture(params=[16, 20, 80, 81])
def many(request):
    """Names of classes, probabilities of 400 images and the CLIP bias; the second class is never first."""
    rng = np.random.default_rng(request.param)
    p = rng.dirichlet(np.full(request.param, 0.2), 400).astype(np.float32)
    p[:, 1] = 0
    return [f"class {i}" for i in range(request.param)], p, clip_bias(p, 1.0)


def bias_figure(classes, p, bias, chosen=None):
    return bias_by_class(classes, bias, ClipOutputs.of(p, entropy(p)).by_class, p.max(1), chosen)


def test_classes_go_from_the_most_favoured_down_and_fallbacks_are_marked(many):
    classes, p, bias = many
    figure = bias_figure(classes, p, bias, chosen=2)
    bars = figure.data[0]
    assert (np.diff(bars.x) <= 0).all()
    assert list(bars.y) == [classes[i] for i in np.argsort(-bias.value, kind="stable")]
    hatched = {name for name, shape in zip(bars.y, bars.marker.pattern.shape, strict=True) if shape}
    assert hatched == {name for name, known in zip(classes, bias.measured, strict=True) if not known}
    assert classes[1] in hatched
    assert figure.layout.height >= 20 * len(classes)  # every class has room for its name


def test_images_are_a_few_paths_however_many_there_are(many):
    classes, p, bias = many
    shapes = bias_figure(classes, p, bias).layout.shapes
    assert len(shapes) <= 6
    strokes = sum(shape.path.count("M") for shape in shapes)
    assert min(len(p), 1500) <= strokes + len(classes) < 6000


def test_entropy_histogram_says_what_share_counts():
    figure = entropy_histogram(np.linspace(0, 2, 101), 0.5, 1.5, 2.8)
    texts = [annotation.text for annotation in figure.layout.annotations]
    assert any("26%" in text for text in texts)
    assert any("the run: 1.5" in text for text in texts)
    assert sum(figure.data[0].y) == 101


def test_counts_are_ordered_by_the_truth_where_there_is_one():
    figure = count_bars(["a", "b"], {"ground truth": np.array([1, 5]), "CLIP top-1": np.array([4, 2])})
    assert list(figure.data[0].y) == ["b", "a"]
    assert list(figure.data[1].x) == [2, 4]


def test_the_view_that_gave_a_local_label_is_named():
    kinds = {"ground truth": np.array([0, 1]), "local": np.array([0.1, 0.9]), "final": np.array([0.2, 0.8])}
    figure = label_bars(["a", "b"], kinds, most_labelled(kinds, 2), np.array([4, 2]))
    local = next(trace for trace in figure.data if trace.name == "local")
    assert list(figure.layout.yaxis.ticktext) == ["<b>b</b> ●", "a"]
    assert list(local.y) == ["b", "a"]
    assert list(local.text) == ["0.90 · view 3", "0.10"]


def test_no_more_labels_are_shown_than_wanted():
    assert len(most_labelled({"final": np.random.default_rng(0).random(80)}, 8)) == 8


def test_classes_named_like_numbers_or_marks_are_categories_with_their_names():
    names = ["30", "120", "50", "2020-01-01", "<b>&"]
    texts = {name: name for name in names} | {"<b>&": "&lt;b&gt;&amp;"}
    p = np.random.default_rng(0).dirichlet(np.full(5, 0.2), 60).astype(np.float32)
    ap = dict.fromkeys(names, 50.0)
    counts = np.arange(5)
    rates = np.zeros((5, 5))
    of_rows = [
        bias_figure(names, p, clip_bias(p, 1.0)),
        count_bars(names, {"ground truth": counts}),
        before_and_after(names, p[0], p[1], None, ("a", "b"), "c"),
        label_bars(names, {"final": p[0]}, range(5)),
        differences(names, p[0], p[1], None, "c"),
        ap_points({"a": ap, "b": ap}, names),
        ap_bars(ap, names, {"30": 1}),
        score_bars(names, p[0], p[0] + 1, None),
        confusion_matrix(rates, rates, names),
    ]
    for figure in of_rows:
        axis = figure.layout.yaxis
        assert axis.type == "category"
        assert dict(zip(axis.tickvals, axis.ticktext, strict=True)) == texts
    of_columns = [agreement_bars(names, counts, counts, counts), class_counts({"train": ap}), of_rows[-1]]
    for figure in of_columns:
        assert figure.layout.xaxis.type == "category"


# -- the palette -------------------------------------------------------------------------------------------


def test_streamlits_theme_has_the_palette():
    theme = tomllib.loads((APP / ".streamlit/config.toml").read_text())["theme"]["light"]
    assert theme["chartCategoricalColors"] == list(SERIES)
    named = [
        theme[f"{name}Color"] for name in ("blue", "green", "orange", "red", "violet", "primary", "link")
    ]
    assert set(named) <= set(PALETTE.values())


def test_colours_of_the_palette_are_written_in_no_other_script_or_style_sheet():
    allowed = {APP / "figures/theme.py", APP / "style.css"}  # what Streamlit reads cannot import
    written = re.compile("|".join(PALETTE.values()), re.IGNORECASE)
    files = [path for pattern in ("*.py", "*.js", "*.css", "*.html") for path in APP.rglob(pattern)]
    assert len(files) > 30
    assert [path for path in files if path not in allowed and written.search(path.read_text())] == []
    filled = set(re.findall("#[0-9a-f]{6}", (APP / "style.css").read_text(), re.IGNORECASE))
    assert {colour.upper() for colour in filled} <= set(PALETTE.values())


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    if len(colour) == 4:
        colour = "#" + "".join(2 * letter for letter in colour[1:])
    channels = np.array([int(colour[begin : begin + 2], 16) / 255 for begin in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", BOX_COLOURS)
def test_numbers_on_boxes_can_be_read(colour):
    dark, light = sorted([luminance(colour), luminance(text_colour(colour))])
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_colour_lets_its_background_through():
    assert translucent(GREY, 0.16) == "rgba(140, 140, 140, 0.16)"
