"""The image with its CAM, boxes and sliders, as one inline component: boxes move while a slider is dragged.

Python computes everything: the component is given the image once, the maps, and each class's CAM box at every threshold step,
and only looks boxes up and adds the offset.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

HTML = """
<div class="all">
  <div class="stage"><img alt=""><canvas class="heat"></canvas><svg></svg></div>
  <div class="side">
    <div class="chips" role="group" aria-label="classes"></div>
    <label>CAM threshold <output class="o1"></output><input class="cam" type="range"></label>
    <label>View threshold <output class="o2"></output><input class="view" type="range" min="0" max="1" step="0.005"></label>
    <label>Offset <output class="o3"></output><input class="offset" type="range" min="0" max="240" step="4"></label>
    <div class="toggles">
      <label><input class="t-heat" type="checkbox" checked> heatmap</label>
      <label><input class="t-box" type="checkbox" checked> CAM box</label>
      <label><input class="t-view" type="checkbox" checked> view</label>
      <label class="truth"><input class="t-truth" type="checkbox"> ground truth</label>
    </div>
    <p class="note"></p>
  </div>
</div>
"""

CSS = """
.all { display: flex; align-items: flex-start; gap: 1.5rem; flex-wrap: wrap; font-family: var(--st-font); color: var(--st-text-color); }
.stage { position: relative; flex: 3 1 420px; max-width: 760px; line-height: 0; }
.stage img { width: 100%; border-radius: 8px; }
.stage canvas, .stage svg { position: absolute; inset: 0; width: 100%; height: 100%; border-radius: 8px; }
.side { flex: 2 1 280px; display: flex; flex-direction: column; gap: .7rem; }
.side label { display: block; font-size: .88rem; }
.side output { float: right; font-variant-numeric: tabular-nums; }
.side input[type=range] { width: 100%; accent-color: var(--st-primary-color); }
.chips { display: flex; flex-wrap: wrap; gap: .35rem; }
.chips button { border: 1px solid var(--st-border-color, #8884); border-radius: 1rem; padding: .2rem .65rem; cursor: pointer;
  background: transparent; color: inherit; font: inherit; font-size: .85rem; }
.chips button.off { opacity: .4; }
.chips button.on { background: var(--st-primary-color); color: var(--st-background-color); border-color: transparent; }
.toggles { display: flex; flex-wrap: wrap; gap: .9rem; } .toggles label { display: inline; }
.note { font-size: .85rem; opacity: .8; margin: 0; }
"""

JS = """
export default function (component) {
  const { data, parentElement, key } = component;
  const $ = (selector) => parentElement.querySelector(selector);
  const memory = parentElement.ccd || (parentElement.ccd = {});
  const first = memory.image !== data.image;
  if (first) {
    memory.image = data.image;
    $("img").src = data.image;
    memory.cls = data.cls;
  }
  if (memory.step === undefined) {
    memory.step = data.step; memory.view = data.view_threshold; memory.offset = data.offset;
  }
  const cam = $(".cam"), view = $(".view"), offset = $(".offset");
  cam.min = 0; cam.max = data.thresholds.length - 1; cam.step = 1;
  cam.value = memory.step; view.value = memory.view; offset.value = memory.offset;
  $(".truth").style.display = data.truth ? "" : "none";

  const order = data.classes.map((_, i) => i).sort((a, b) => data.scores[b] - data.scores[a]);
  const chips = $(".chips");
  chips.replaceChildren(...order.map((i) => {
    const button = document.createElement("button");
    button.textContent = `${data.classes[i]} ${data.scores[i].toFixed(2)}`;
    button.dataset.cls = i;
    button.onclick = () => { memory.cls = i; draw(true); };
    return button;
  }));

  const shape = (box, colour, dash, width) => {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const [x0, y0, x1, y1] = box;
    for (const [name, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: "none", stroke: colour,
      "stroke-width": width, "stroke-dasharray": dash, "vector-effect": "non-scaling-stroke" })) rect.setAttribute(name, value);
    return rect;
  };
  const draw = (withHeat) => {
    const c = memory.cls, F = data.frame, svg = $("svg");
    memory.step = +cam.value; memory.view = +view.value; memory.offset = +offset.value;
    $(".o1").textContent = data.thresholds[memory.step].toFixed(2);
    $(".o2").textContent = memory.view.toFixed(3);
    $(".o3").textContent = `± ${memory.offset} px of ${F}`;
    svg.setAttribute("viewBox", `0 0 ${F} ${F}`); svg.setAttribute("preserveAspectRatio", "none");
    const shapes = [];
    if ($(".t-truth").checked && data.truth) for (const t of data.truth) shapes.push(shape(t.box, "#ffffff", "2 4", 2.5));
    const box = data.boxes[c][memory.step], above = data.scores[c] > memory.view;
    if (box && above) {
      const o = memory.offset, grown = [Math.max(0, box[0] - o), Math.max(0, box[1] - o), Math.min(F, box[2] + o), Math.min(F, box[3] + o)];
      if ($(".t-view").checked) { const v = shape(grown, "#E69F00", "9 6", 3); v.classList.add("view-box"); shapes.push(v); }
      if ($(".t-box").checked) { const b = shape(box, "#D55E00", "", 3); b.classList.add("cam-box"); shapes.push(b); }
    }
    svg.replaceChildren(...shapes);
    let count = 0;
    for (const button of chips.children) {
      const i = +button.dataset.cls, on = data.scores[i] > memory.view;
      count += on; button.classList.toggle("off", !on); button.classList.toggle("on", i === c);
    }
    $(".note").textContent = !above ? `${data.classes[c]} scores ${data.scores[c].toFixed(3)}, below the view threshold: no view. ${count} classes get one.`
      : box ? `${count} classes of this image get a view. Solid: CAM box. Dashed: the local view that CLIP is asked about.`
      : "The map of this class is flat: no box.";
    if (withHeat) {
      const map = data.cam[c], h = map.length, w = map[0].length, small = document.createElement("canvas");
      small.width = w; small.height = h;
      const context = small.getContext("2d"), pixels = context.createImageData(w, h);
      for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
        const v = map[y][x], k = 4 * (y * w + x);
        pixels.data[k] = 255 * Math.min(1, 2 * v); pixels.data[k + 1] = 255 * Math.max(0, 1.4 * v - .4);
        pixels.data[k + 2] = 255 * Math.max(0, .5 - v); pixels.data[k + 3] = 190 * v;
      }
      context.putImageData(pixels, 0, 0);
      const heat = $(".heat"); heat.width = 320; heat.height = 320;
      heat.getContext("2d").drawImage(small, 0, 0, 320, 320);
    }
    $(".heat").style.display = $(".t-heat").checked ? "" : "none";
  };
  for (const input of parentElement.querySelectorAll("input")) input.oninput = () => draw(false);
  draw(true);
}
"""

_component = st.components.v2.component("ccd_cam_boxes", html=HTML, css=CSS, js=JS)


def cam_box_view(
    image_url: str,
    classes: list[str],
    answer: dict[str, Any],
    thresholds: list[float],
    *,
    cls: int,
    cam_threshold: float,
    view_threshold: float,
    offset: int,
    truth: list[dict[str, Any]] | None,
    key: str,
) -> None:
    """Show the image with the boxes of class `cls`; `answer` is what the predictor said, `truth` boxes in frame pixels."""
    step = min(range(len(thresholds)), key=lambda i: abs(thresholds[i] - cam_threshold))
    data = {
        "image": image_url, "classes": classes, "scores": answer["scores"], "cam": answer["cam"], "boxes": answer["boxes"], "frame": answer["frame"],
        "thresholds": thresholds, "cls": cls, "step": step, "view_threshold": max(0.0, view_threshold), "offset": offset, "truth": truth,
    }  # fmt: skip
    _component(data=data, key=key)
