"""Figures of the View lab: CLIP's probabilities against the size and the place of a crop (Fig. 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.theme import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, layout

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)


def class_colours(count: int) -> list[str]:
    return [COLOURS[i] if i < len(COLOURS) else GREY for i in range(count)]


SWEEP_HEIGHT, MAPS_HEIGHT = 410, 265  # pixels


def sweep_curves(
    x: np.ndarray,
    values: dict[str, np.ndarray],
    colours: dict[str, str],
    title: str,
    chosen: str,
    pictures: Sequence[tuple[float, str]],
) -> go.Figure:
    """Probability of several classes along a sweep, nan where it is not known yet; `pictures` (x, data URL) stand above the curves."""
    low, high = float(x.min()), float(x.max())
    reach = max(high - low, 1e-6)
    curves = [
        {"type": "scatter", "x": x, "y": curve, "name": name, "mode": "lines+markers", "connectgaps": True,
         "line": {"color": colours[name], "width": 4 if name == chosen else 2, "shape": "spline", "smoothing": 0.4}, "marker": {"size": 7 if name == chosen else 5},
         "hovertemplate": f"{name}: %{{y:.2f}} at %{{x:.0f}} %<extra></extra>"}
        for name, curve in values.items()
    ]  # fmt: skip
    size = {
        "sizex": 0.94 * reach / max(len(pictures) - 1, 1),
        "sizey": 0.27,
        "xanchor": "center",
        "yanchor": "bottom",
        "xref": "x",
        "yref": "y",
    }
    return go.Figure(curves, layout(
        SWEEP_HEIGHT, "Curves: CLIP's probability as the crop moves or grows", images=[{"source": url, "x": place, "y": 1.05} | size for place, url in pictures],
        xaxis={"title": {"text": title}, "range": [low - 0.1 * reach, high + 0.1 * reach]},
        yaxis={"title": {"text": "probability"}, "range": [-0.02, 1.34], "tickvals": [0, 0.25, 0.5, 0.75, 1]},
        legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
    ))  # fmt: skip


def place_maps(
    sides: Sequence[float], maps: Sequence[np.ndarray | None], name: str, picture: str, aspect: float
) -> go.Figure:
    """Probability of one class at every place of the crop over the image (data URL, width over height).

    maps: [P, P] for each of the crop's sizes, or None where CLIP is still being asked: then the image alone.
    """
    figure = make_subplots(
        1, len(maps), subplot_titles=[f"crops of {side:.0%}" for side in sides], horizontal_spacing=0.02
    )
    for column, (side, values) in enumerate(zip(sides, maps, strict=True), 1):
        values = np.full((2, 2), np.nan) if values is None else values
        middle = np.array(
            [0, *np.linspace(side / 2, 1 - side / 2, len(values)), 1]
        )  # near an edge: the crop that reaches it
        figure.add_layout_image(
            source=picture, x=0, y=0, sizex=1, sizey=1, sizing="stretch", layer="below", row=1, col=column
        )
        figure.add_heatmap(
            z=np.pad(values, 1, mode="edge"), x=middle, y=middle, coloraxis="coloraxis", zsmooth="best", opacity=0.72,
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
    bar = {
        "title": {"text": name, "side": "top"},
        "thickness": 10,
        "len": 0.45,
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 1.12,
        "yanchor": "bottom",
    }
    figure.update_annotations(font_size=12)
    return figure.update_layout(layout(
        MAPS_HEIGHT, "Maps: CLIP's probability for a crop around each place of the image", margin={"l": 10, "r": 10, "t": 88, "b": 10, "autoexpand": False},
        coloraxis={"colorscale": "Cividis", "cmin": 0, "cmax": 1, "colorbar": bar},
    ))  # fmt: skip
