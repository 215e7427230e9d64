"""Figures of the page View lab: CLIP's probabilities by size and by place of a crop (Fig. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.theme import GREY, MARGIN, SERIES, escaped, layout

SWEEP_HEIGHT = 410  # pixels
MAPS_HEIGHT = 265  # pixels
PICTURE_BELOW = 1.05  # where pictures stand, in the unit of the probability
PICTURE_HEIGHT = 0.27


def class_colours(count: int) -> list[str]:
    """Colours of `count` classes, from the strongest on; grey when the palette is used up."""
    return [SERIES[place] if place < len(SERIES) else GREY for place in range(count)]


def sweep_curves(
    x: np.ndarray,
    values: dict[str, np.ndarray],
    colours: dict[str, str],
    title: str,
    chosen: str,
    pictures: Sequence[tuple[float, str]],
) -> go.Figure:
    """Probability of several classes along a sweep, with pictures above the curves.

    x: [STEPS], percent. values, colours: by class; [STEPS] probabilities, NaN where they are not known yet.
    title: of the x axis. chosen: the class with the strong curve. pictures: (x, data URL).
    """
    low = float(x.min())
    high = float(x.max())
    reach = max(high - low, 1e-6)
    size = {
        "sizex": 0.94 * reach / max(len(pictures) - 1, 1),
        "sizey": PICTURE_HEIGHT,
        "xanchor": "center",
        "yanchor": "bottom",
        "xref": "x",
        "yref": "y",
    }
    curves = [_curve(x, p, name, colours[name], name == chosen) for name, p in values.items()]
    own = {
        "images": [{"source": url, "x": place, "y": PICTURE_BELOW} | size for place, url in pictures],
        "xaxis": {"title": {"text": title}, "range": [low - 0.1 * reach, high + 0.1 * reach]},
        "yaxis": {
            "title": {"text": "probability"},
            "range": [-0.02, PICTURE_BELOW + PICTURE_HEIGHT + 0.02],
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
        },
        "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"},
    }
    shows = "Curves: CLIP's probability as the crop moves or grows"
    return go.Figure(curves, layout(SWEEP_HEIGHT, shows, **own))


def _curve(x: np.ndarray, p: np.ndarray, name: str, colour: str, strong: bool) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": x,
        "y": p,
        "name": escaped(name),
        "mode": "lines+markers",
        "connectgaps": True,
        "line": {"color": colour, "width": 4 if strong else 2, "shape": "spline", "smoothing": 0.4},
        "marker": {"size": 7 if strong else 5},
        "hovertemplate": f"{escaped(name)}: %{{y:.2f}} at %{{x:.0f}} %<extra></extra>",
    }


def place_maps(
    sides: Sequence[float], maps: Sequence[np.ndarray | None], name: str, picture: str, aspect: float
) -> go.Figure:
    """Probability of one class at every place of the crop over the image, a map for each size of crop.

    sides: of the crops, as shares of the image's. maps: [P, P] for each of them, or None while CLIP is being
    asked; then the image is shown alone. picture: data URL of the image. aspect: its width over its height.
    """
    figure = make_subplots(
        1, len(maps), subplot_titles=[f"crops of {side:.0%}" for side in sides], horizontal_spacing=0.02
    )
    for column, (side, values) in enumerate(zip(sides, maps, strict=True), 1):
        where = {"row": 1, "col": column}
        values = np.full((2, 2), np.nan) if values is None else values
        # Near an edge stands the value of the crop that reaches the edge.
        middle = np.array([0, *np.linspace(side / 2, 1 - side / 2, len(values)), 1])
        figure.add_layout_image(
            source=picture, x=0, y=0, sizex=1, sizey=1, sizing="stretch", layer="below", **where
        )
        figure.add_heatmap(
            z=np.pad(values, 1, mode="edge"),
            x=middle,
            y=middle,
            coloraxis="coloraxis",
            zsmooth="best",
            opacity=0.72,
            hovertemplate=f"{escaped(name)} %{{z:.2f}}<br>crop around %{{x:.0%}}, %{{y:.0%}}<extra></extra>",
            **where,
        )
        figure.update_xaxes(range=[0, 1], visible=False, constrain="domain", **where)
        figure.update_yaxes(
            range=[1, 0],
            visible=False,
            constrain="domain",
            constraintoward="top",
            scaleanchor=f"x{column}" if column > 1 else "x",
            scaleratio=1 / aspect,
            **where,
        )
    bar = {
        "title": {"text": escaped(name), "side": "top"},
        "thickness": 10,
        "len": 0.45,
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "y": 1.12,
        "yanchor": "bottom",
    }
    figure.update_annotations(font_size=12)
    shows = "Maps: CLIP's probability for a crop around each place of the image"
    own = {
        "margin": MARGIN | {"l": 10, "r": 10, "t": 88, "b": 10},
        "coloraxis": {"colorscale": "Cividis", "cmin": 0, "cmax": 1, "colorbar": bar},
    }
    return figure.update_layout(layout(MAPS_HEIGHT, shows, **own))
