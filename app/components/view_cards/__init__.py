"""Smaller pictures of one image: its parts beside what CLIP says of them, and the image under several CAM methods."""

from __future__ import annotations

from typing import Any

import streamlit as st

VIEWS_HTML = """
<div class="cards"></div>
"""

VIEWS_CSS = """
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .8rem; font-family: var(--st-font); color: var(--st-text-color); }
.card { display: flex; gap: .8rem; border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius); padding: .6rem; align-items: flex-start; }
.card.whole { border-style: dashed; }
svg { flex: 0 0 auto; width: 6rem; height: 6rem; border-radius: 6px; background: var(--st-secondary-background-color); }
.said { flex: 1; min-width: 0; } h3 { margin: 0 0 .35rem; font-size: .88rem; font-weight: 600; } h3 small { font-weight: 400; opacity: .65; }
.row { display: grid; grid-template-columns: 5.2rem 1fr 2.2rem; gap: .4rem; align-items: center; font-size: .78rem; margin-bottom: .2rem; }
.row span:first-child { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.row.own span:first-child { font-weight: 650; }
.bars { display: flex; flex-direction: column; gap: 2px; }
.bars i { height: 6px; border-radius: 3px; background: #56B4E9; min-width: 1px; } .bars i.after { background: #E69F00; }
.row span:last-child { text-align: right; font-variant-numeric: tabular-nums; opacity: .75; }
"""

VIEWS_JS = """
export default function ({ data, parentElement }) {
  const element = (name, kind, text) => {
    const made = document.createElement(name); if (kind) made.className = kind; if (text !== undefined) made.textContent = text; return made;
  };
  parentElement.querySelector(".cards").replaceChildren(...data.views.map((view) => {
    const card = element("div", view.own ? "card" : "card whole"), said = element("div", "said"), title = element("h3", "", view.title + " ");
    const [x0, y0, x1, y1] = view.box, svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), F = data.frame;
    svg.setAttribute("viewBox", `${x0} ${y0} ${x1 - x0} ${y1 - y0}`); svg.setAttribute("role", "img"); svg.setAttribute("aria-label", view.title);
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "image");
    for (const [key, value] of Object.entries({ href: data.image, width: F, height: F, preserveAspectRatio: "none" })) picture.setAttribute(key, value);
    svg.append(picture); title.append(element("small", "", view.detail)); said.append(title);
    for (const row of view.rows) {
      const line = element("div", row.name === view.own ? "row own" : "row"), bars = element("div", "bars");
      const before = element("i"), after = element("i", "after");
      before.style.width = `${100 * row.before}%`; after.style.width = `${100 * row.after}%`;
      line.title = `${row.name}: ${row.before.toFixed(3)}, debiased ${row.after.toFixed(3)}`;
      bars.append(before, after); line.append(element("span", "", row.name), bars, element("span", "", row.after.toFixed(2))); said.append(line);
    }
    card.append(svg, said);
    return card;
  }));
}
"""

_views = st.components.v2.component("ccd_view_cards", html=VIEWS_HTML, css=VIEWS_CSS, js=VIEWS_JS)


def view_cards(image_url: str, frame: int, views: list[dict[str, Any]], key: str) -> None:
    """Parts of an image beside what CLIP says of them.

    views: {"title", "detail", "own": class the view was taken for or None, "box": frame pixels, "rows": [{"name", "before", "after"}]}
    """
    _views(data={"image": image_url, "frame": frame, "views": views}, key=key)


MAPS_HTML = """
<div class="maps"></div>
"""

MAPS_CSS = """
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; font-family: var(--st-font); color: var(--st-text-color); }
figure { margin: 0; } figcaption { font-size: .86rem; font-weight: 600; margin-top: .35rem; }
.picture { position: relative; line-height: 0; border-radius: var(--st-base-radius); overflow: hidden; }
img { width: 100%; } canvas, svg { position: absolute; inset: 0; width: 100%; height: 100%; }
"""

MAPS_JS = """
export default function ({ data, parentElement }) {
  parentElement.querySelector(".maps").replaceChildren(...data.panels.map((panel) => {
    const figure = document.createElement("figure"), picture = document.createElement("div"), image = document.createElement("img");
    const canvas = document.createElement("canvas"), caption = document.createElement("figcaption");
    picture.className = "picture"; image.src = data.image; image.alt = ""; caption.textContent = panel.name;
    const h = panel.map.length, w = panel.map[0].length, small = document.createElement("canvas");
    small.width = w; small.height = h;
    const context = small.getContext("2d"), pixels = context.createImageData(w, h);
    panel.map.flat().forEach((v, k) => pixels.data.set([255 * Math.min(1, 2 * v), 255 * Math.max(0, 1.4 * v - .4), 255 * Math.max(0, .5 - v), 190 * v], 4 * k));
    context.putImageData(pixels, 0, 0);
    canvas.width = canvas.height = 240; canvas.getContext("2d").drawImage(small, 0, 0, 240, 240);
    picture.append(image, canvas);
    if (panel.box) {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const [x0, y0, x1, y1] = panel.box;
      svg.setAttribute("viewBox", `0 0 ${data.frame} ${data.frame}`); svg.setAttribute("preserveAspectRatio", "none");
      for (const [key, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: "none", stroke: "#D55E00", "stroke-width": 3,
        "vector-effect": "non-scaling-stroke" })) rect.setAttribute(key, value);
      svg.append(rect); picture.append(svg);
    }
    figure.append(picture, caption);
    return figure;
  }));
}
"""

_maps = st.components.v2.component("ccd_cam_methods", html=MAPS_HTML, css=MAPS_CSS, js=MAPS_JS)


def cam_methods_view(image_url: str, frame: int, panels: list[dict[str, Any]], key: str) -> None:
    """The same image under several CAM methods: {"name", "map": [h][w] in [0, 1], "box": frame pixels or None} each."""
    _maps(data={"image": image_url, "frame": frame, "panels": panels}, key=key)
