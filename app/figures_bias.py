"""Figures of the page CLIP bias: from arrays to plotly figures (Figs. 2d, 9, 10). Classes run down the page, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, _layout
from ccd_core.bias import Bias

ROW = 24  # pixels a class
COUNT_COLOURS = {"ground truth": GREY, "CLIP top-1": SKY, "pseudo-label > 0.5": GREEN}


def rows_layout(figure: go.Figure, rows: int, revision: str, each: int = ROW, **axes) -> go.Figure:
    """One row a class, the first on top, with the value axis above them, where it is seen before scrolling."""
    _layout(figure, 94 + each * rows, revision, **axes)
    figure.update_xaxes(side="top", ticks="outside", title_standoff=4)
    figure.update_yaxes(range=[rows - 0.5, -0.5], automargin=True, dtick=1)
    figure.update_layout(margin={"t": 84}, legend={"y": 1, "yanchor": "top", "yref": "container"})
    return figure


def sampled(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly from first to last."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]


def bias_by_class(classes: Sequence[str], bias: Bias, by_class: Sequence[np.ndarray], top_p: np.ndarray, chosen: int | None = None) -> go.Figure:
    """Bias, distribution of top-1 probabilities and number of images of each class, most favoured class first (Figs. 2d, 9).

    by_class: for each class the rows of the images where it is top-1, by rising probability; top_p [N]: that probability. Bars are hatched and diamonds hollow where no low-entropy image
    measured the class.
    """
    order = np.argsort(-bias.value, kind="stable")
    names = [classes[i] for i in order]
    figure = make_subplots(1, 3, shared_yaxes=True, column_widths=[0.3, 0.45, 0.25], horizontal_spacing=0.03)
    said = [f"{bias.count[i]:,} low-entropy images" if bias.estimated[i] else "fallback: no low-entropy image has it first" for i in order]
    figure.add_bar(
        x=bias.value[order], y=names, orientation="h", name="CLIP bias", showlegend=False,
        marker={"color": [ORANGE if i == chosen else BLUE for i in order], "pattern": {"shape": ["" if bias.estimated[i] else "/" for i in order]}},
        text=[f"{bias.value[i]:.2f}" for i in order], textposition="inside", insidetextanchor="start", textfont={"color": "white", "size": 12}, constraintext="none",
        customdata=said, hovertemplate="%{y}: bias %{x:.3f}<br>%{customdata}<extra></extra>", row=1, col=1,
    )  # fmt: skip

    members = [by_class[i] for i in order]
    some = [(name, top_p[rows]) for name, rows in zip(names, members, strict=True) if len(rows)]
    low, first, middle, third, high = ([values[round(q * (len(values) - 1))] for _, values in some] for q in (0.05, 0.25, 0.5, 0.75, 0.95))
    figure.add_box(
        y=[name for name, _ in some], q1=first, median=middle, q3=third, lowerfence=low, upperfence=high, orientation="h", name="5 to 95 %, quartiles",
        fillcolor="rgba(140,140,140,.16)", line={"color": GREY, "width": 1.2}, width=0.55, hoverinfo="skip", row=1, col=2,
    )  # fmt: skip
    most = max(10, 1600 // len(classes))
    for kind, colour, keep in (("other images", GREY, ~bias.used), ("low-entropy images", BLUE, bias.used)):
        picked = [sampled(rows[keep[rows]], most) for rows in members]
        figure.add_scatter(
            x=np.concatenate([top_p[rows] for rows in picked]), y=np.repeat(names, [len(rows) for rows in picked]), mode="markers", name=kind,
            marker={"color": colour, "size": 5, "opacity": 0.5, "symbol": "line-ns-open" if kind == "other images" else "circle"},
            hovertemplate="%{y}: top-1 with %{x:.2f}<extra></extra>", row=1, col=2,
        )  # fmt: skip
    figure.add_scatter(
        x=bias.value[order], y=names, mode="markers", name="CLIP bias: mean of the low-entropy ones",
        marker={"color": VERMILION, "size": 11, "symbol": ["diamond" if bias.estimated[i] else "diamond-open" for i in order], "line": {"width": 1.5}},
        customdata=said, hovertemplate="%{y}: bias %{x:.3f}<br>%{customdata}<extra></extra>", row=1, col=2,
    )  # fmt: skip

    total = np.array([len(rows) for rows in members])
    labelled = [f"{used:,} of {every:,}" for used, every in zip(bias.count[order], total, strict=True)]
    for name, values, colour, texts in (("top-1 of", total, "rgba(86,180,233,.45)", labelled), ("measured on", bias.count[order], BLUE, None)):
        figure.add_bar(
            x=values, y=names, orientation="h", name=name, showlegend=False, marker={"color": colour}, text=texts,
            textposition="outside", textfont_size=11, cliponaxis=False, constraintext="none",
            hovertemplate=f"%{{y}}: {name} %{{x:,}} images<extra></extra>", row=1, col=3,
        )  # fmt: skip
    rows_layout(figure, len(names), "bias", barmode="overlay")
    figure.update_xaxes(title="CLIP bias", range=[0, 1.02], tickvals=[0, 0.25, 0.5, 0.75, 1], row=1, col=1)
    figure.update_xaxes(title="top-1 probability", range=[0, 1.02], row=1, col=2)
    figure.update_xaxes(title="images measured, of top-1 ones", range=[0, 1.6 * max(total.max(), 1)], row=1, col=3)
    return figure


def count_bars(classes: Sequence[str], counts: dict[str, np.ndarray]) -> go.Figure:
    """How many images have each class, by source of the label, most frequent first (Fig. 10)."""
    order = np.argsort(-next(iter(counts.values())), kind="stable")
    bars = [
        go.Bar(
            name=kind, y=[classes[i] for i in order], x=values[order], orientation="h", marker_color=COUNT_COLOURS[kind],
            hovertemplate=f"%{{y}}: {kind} %{{x:,}} images<extra></extra>",
        )
        for kind, values in counts.items()
    ]  # fmt: skip
    return rows_layout(go.Figure(bars), len(order), "counts", each=10 + 8 * len(bars), barmode="group", xaxis={"title": "images"})


def entropy_histogram(entropy: np.ndarray, threshold: float, of_run: float, most: float) -> go.Figure:
    """Entropies of the images, those that count towards the bias in colour, with the threshold of the slider and of the run."""
    counts, edges = np.histogram(entropy, bins=60, range=(0, most))
    middle = (edges[1:] + edges[:-1]) / 2
    used = middle <= threshold
    share = float((entropy <= threshold).mean())
    figure = go.Figure(
        go.Bar(x=middle, y=counts, width=edges[1], marker={"color": np.where(used, BLUE, GREY), "line_width": 0}, hovertemplate="%{x:.2f} nats: %{y:,} images<extra></extra>")
    )  # fmt: skip
    figure.add_vline(x=threshold, line={"color": VERMILION, "width": 2.5})
    where = {"xanchor": "left", "xshift": 6} if threshold < 0.6 * most else {"xanchor": "right", "xshift": -6}
    figure.add_annotation(x=threshold, y=1.0, yref="paper", yanchor="top", text=f"<b>{share:.0%}</b> of the images count", showarrow=False, **where)
    if abs(of_run - threshold) > 1e-6:
        figure.add_vline(
            x=of_run, line={"color": GREY, "width": 2, "dash": "dot"}, annotation_text=f"the run: {of_run:g}", annotation_position="bottom right"
        )
    _layout(figure, 230, "entropy", xaxis={"title": "entropy of CLIP's probabilities (nats)", "range": [0, most]}, yaxis={"title": "images"})
    return figure.update_layout(bargap=0, showlegend=False)


def before_and_after(
    classes: Sequence[str], before: np.ndarray, after: np.ndarray, truth: np.ndarray | None, names: tuple[str, str], title: str
) -> go.Figure:
    """Two values of each class joined by a line and, where it is known, the true one; ordered by the true or else the second value."""
    order = np.argsort(-(after if truth is None else truth), kind="stable")
    rows = [classes[i] for i in order]
    joined = np.stack([before[order], after[order], np.full(len(order), np.nan)], 1).ravel()
    figure = go.Figure(go.Scatter(x=joined, y=np.repeat(rows, 3), mode="lines", line={"color": GREY, "width": 2}, hoverinfo="skip", showlegend=False))
    for name, values, colour, symbol in (
        (names[0], before, SKY, "circle"),
        (names[1], after, BLUE, "circle"),
        ("true rate", truth, VERMILION, "line-ns-open"),
    ):
        if values is not None:
            figure.add_scatter(
                x=values[order], y=rows, mode="markers", name=name, hovertemplate=f"%{{y}}: {name} %{{x:.3f}}<extra></extra>",
                marker={"color": colour, "size": 15 if colour == VERMILION else 10, "symbol": symbol, "line": {"width": 3 if colour == VERMILION else 0}},
            )  # fmt: skip
    return rows_layout(figure, len(rows), "dumbbell", xaxis={"title": title, "rangemode": "tozero"})
