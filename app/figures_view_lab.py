"""Figures of the View lab: CLIP's probabilities against the size and the place of a crop (Fig. 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, _layout

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)


def class_colours(count: int) -> list[str]:
    return [COLOURS[i] if i < len(COLOURS) else GREY for i in range(count)]


def sweep_curves(
    x: np.ndarray, values: dict[str, np.ndarray], colours: dict[str, str], title: str, chosen: str, pictures: Sequence[tuple[float, str]]
) -> go.Figure:
    """Probability of several classes along a sweep; `pictures` (x, data URL) stand above the curves."""
    figure = go.Figure()
    for name, curve in values.items():
        figure.add_scatter(
            x=x, y=curve, name=name, mode="lines+markers", line={"color": colours[name], "width": 4 if name == chosen else 2, "shape": "spline", "smoothing": 0.4},
            marker={"size": 7 if name == chosen else 5}, hovertemplate=f"{name}: %{{y:.2f}} at %{{x:.0f}} %<extra></extra>",
        )  # fmt: skip
    low, high = float(x.min()), float(x.max())
    reach = max(high - low, 1e-6)
    for place, url in pictures:
        width = 0.94 * reach / max(len(pictures) - 1, 1)
        figure.add_layout_image(source=url, x=place, y=1.05, xref="x", yref="y", sizex=width, sizey=0.27, xanchor="center", yanchor="bottom")
    _layout(
        figure, 410, "Curves: CLIP's probability as the crop moves or grows", xaxis={"title": title, "range": [low - 0.1 * reach, high + 0.1 * reach]},
        yaxis={"title": "probability", "range": [-0.02, 1.34], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
    )  # fmt: skip
    return figure.update_layout(legend={"y": -0.2, "yanchor": "top"})


def place_maps(sides: Sequence[float], maps: Sequence[np.ndarray], name: str, picture: str, aspect: float) -> go.Figure:
    """Probability of one class at every place of the crop, [P, P] for each of its sizes, over the image (data URL, width over height)."""
    titles = [f"crops of {side:.0%} of the sides" for side in sides]
    figure = make_subplots(1, len(maps), subplot_titles=titles, horizontal_spacing=0.02)
    for column, (side, values) in enumerate(zip(sides, maps, strict=True), 1):
        middle = np.linspace(side / 2, 1 - side / 2, len(values))
        figure.add_layout_image(source=picture, x=0, y=0, sizex=1, sizey=1, sizing="stretch", layer="below", row=1, col=column)
        figure.add_heatmap(
            z=values, x=middle, y=middle, coloraxis="coloraxis", zsmooth="best", opacity=0.72,
            hovertemplate=f"{name} %{{z:.2f}}<br>crop around %{{x:.0%}}, %{{y:.0%}}<extra></extra>", row=1, col=column,
        )  # fmt: skip
        figure.update_xaxes(range=[0, 1], visible=False, constrain="domain", row=1, col=column)
        figure.update_yaxes(
            range=[1, 0],
            visible=False,
            constrain="domain",
            constraintoward="top",
            scaleanchor=f"x{column}" if column > 1 else "x",
            scaleratio=1 / aspect,
            row=1,
            col=column,
        )
    figure.update_layout(coloraxis={"colorscale": "Cividis", "cmin": 0, "cmax": 1, "colorbar": {"title": name, "thickness": 12}})
    figure.update_annotations(font_size=13)
    return _layout(figure, 260, "Maps: CLIP's probability for a crop around each place of the image")
