"""The image with its CAM, boxes and sliders, as one inline component: boxes move while a slider is dragged.

Python computes everything: the component is given the image's address once, the maps, and each class's CAM box at every threshold
step, and only looks boxes up and adds the offset. When a slider is let go it reports its state, which pages put into the link.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import streamlit as st

SHOW = {
    "h": "heatmap",
    "b": "CAM box",
    "v": "view",
    "g": "ground truth",
    "a": "all classes",
}  # letter in the link and key -> what it shows
# Okabe and Ito's palette in an order in which neighbours differ; an image's classes take them from the surest on.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#F0E442")

HTML = """
<div class="all">
  <div class="stage" tabindex="0" role="img"><img alt=""><canvas class="heat"></canvas><svg></svg></div>
  <div class="side">
    <div class="chips" role="group" aria-label="classes"></div>
    <div class="sliders">
      <label><span>CAM threshold</span><output class="o1"></output><input class="cam" type="range" min="0" step="1"></label>
      <label><span>View threshold</span><output class="o2"></output><input class="view" type="range" min="0" step="1"></label>
      <label><span>Offset</span><output class="o3"></output><input class="offset" type="range" min="0" step="1"></label>
    </div>
    <div class="toggles" role="group" aria-label="show"></div>
    <p class="note" aria-live="polite"></p>
    <p class="keys"></p>
  </div>
</div>
"""

CSS = """
.all { display: flex; align-items: flex-start; gap: 1.5rem; flex-wrap: wrap; font-family: var(--st-font); color: var(--st-text-color); }
.stage { position: relative; flex: 3 1 400px; max-width: 760px; line-height: 0; border-radius: var(--st-base-radius); outline: none;
  background: var(--st-secondary-background-color); overflow: hidden; }
.stage:focus-visible { box-shadow: 0 0 0 3px var(--st-primary-color); }
.stage img { width: 100%; max-height: 72vh; object-fit: fill; }
.stage canvas, .stage svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.stage canvas { pointer-events: none; }
rect.hit { cursor: pointer; pointer-events: all; }
text { font: 600 13px var(--st-font); paint-order: stroke; stroke: #000c; stroke-width: 3px; pointer-events: none; }
.side { flex: 2 1 300px; display: flex; flex-direction: column; gap: .9rem; }
.sliders { display: flex; flex-direction: column; gap: .7rem; }
.sliders label { display: grid; grid-template-columns: 1fr auto; font-size: .88rem; row-gap: .1rem; }
.sliders output { font-variant-numeric: tabular-nums; opacity: .8; }
.sliders input { grid-column: 1 / -1; width: 100%; accent-color: var(--st-primary-color); margin: 0; }
.chips { display: flex; flex-wrap: wrap; gap: .35rem; max-height: 8.6rem; overflow: auto; padding: 2px; }
button { font: inherit; color: inherit; cursor: pointer; background: transparent; border: 1px solid var(--st-border-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.chips button { border-radius: 1rem; padding: .2rem .6rem; font-size: .84rem; display: inline-flex; align-items: center; gap: .35rem; }
.chips button i { width: .6rem; height: .6rem; border-radius: 50%; }
.chips button b { font-weight: 400; font-variant-numeric: tabular-nums; }
.chips button.off { border-style: dashed; color: color-mix(in srgb, var(--st-text-color) 68%, var(--st-background-color)); } .chips button.off i { opacity: .4; }
.chips button.on { background: #0072b2; color: #fff; border: 1px solid transparent; font-weight: 600; }
.toggles { display: flex; flex-wrap: wrap; gap: .4rem; }
.toggles button { border-radius: var(--st-button-radius); padding: .25rem .6rem; font-size: .84rem; opacity: .65; }
.toggles button[aria-pressed=true] { background: var(--st-secondary-background-color); border-color: var(--st-primary-color); opacity: 1; }
kbd { font: 600 .72rem var(--st-code-font); border: 1px solid var(--st-border-color); border-radius: 4px; padding: 0 .3rem; margin-left: .3rem; }
.note { font-size: .86rem; margin: 0; min-height: 2.6em; } .keys { font-size: .78rem; opacity: .65; margin: 0; line-height: 1.7; }
"""

JS = """
const SVG = "http://www.w3.org/2000/svg";
const node = (name, attributes, ...children) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const $ = (selector) => parentElement.querySelector(selector);
  const memory = parentElement.ccd || (parentElement.ccd = { reported: new Set() });
  const given = JSON.stringify(data.state);
  // What Python says is taken over unless it only echoes what was reported from here, by now perhaps already changed again.
  if (memory.image !== data.image || !memory.reported.has(given)) memory.state = JSON.parse(given);
  if (memory.image !== data.image) { $("img").src = data.image; memory.image = data.image; memory.reported.clear(); }
  if (memory.maps !== data.cam.bytes) { memory.maps = data.cam.bytes; memory.pixels = Uint8Array.from(atob(data.cam.bytes), (c) => c.charCodeAt(0)); }
  const state = memory.state, F = data.frame, cam = $(".cam"), view = $(".view"), offset = $(".offset"), svg = $("svg");
  cam.max = data.thresholds.length - 1; view.max = data.view_steps.length - 1; offset.max = data.most_offset;
  cam.value = state.step; view.value = state.view; offset.value = state.offset;
  $(".stage").setAttribute("aria-label", data.label);
  const order = data.classes.map((_, i) => i).sort((a, b) => data.scores[b] - data.scores[a]);
  const colour = Object.fromEntries(order.map((c, place) => [c, data.colours[place % data.colours.length]]));
  const has = (letter) => state.show.includes(letter);

  const report = () => {
    memory.reported.add(JSON.stringify(state));
    setStateValue("state", { ...state });
  };
  const choose = (c) => { state.cls = c; draw(); report(); };
  const flip = (letter) => { state.show = has(letter) ? state.show.replace(letter, "") : state.show + letter; draw(); report(); };

  $(".chips").replaceChildren(...order.map((c) => {
    const chip = document.createElement("button"), dot = document.createElement("i"), number = document.createElement("b");
    dot.style.background = colour[c]; number.textContent = data.scores[c].toFixed(2); chip.dataset.cls = c; chip.type = "button";
    chip.append(dot, data.classes[c], number);
    chip.onclick = () => choose(c);
    return chip;
  }));
  const shown = Object.entries(data.show).filter(([letter]) => letter !== "g" || data.truth);
  $(".toggles").replaceChildren(...shown.map(([letter, what]) => {
    const toggle = document.createElement("button"), key = document.createElement("kbd");
    key.textContent = letter.toUpperCase(); toggle.type = "button"; toggle.dataset.show = letter; toggle.append(what, key);
    toggle.onclick = () => flip(letter);
    return toggle;
  }));
  $(".keys").innerHTML = data.keys.map(([key, what]) => `<kbd>${key}</kbd> ${what}`).join(" &nbsp; ");

  const rect = (box, attributes) => node("rect", { x: box[0], y: box[1], width: box[2] - box[0], height: box[3] - box[1], fill: "none",
    "vector-effect": "non-scaling-stroke", ...attributes });
  const words = (text, x, y, fill) => {  // the picture is stretched to the frame's square; words are stretched back
    const sx = F / svg.clientWidth, sy = F / svg.clientHeight;
    const t = node("text", { fill, transform: `translate(${x} ${y}) scale(${sx || 1} ${sy || 1})` }); t.textContent = text;
    return t;
  };
  const grown = (box, by) => [Math.max(0, box[0] - by), Math.max(0, box[1] - by), Math.min(F, box[2] + by), Math.min(F, box[3] + by)];
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  const draw = () => {
    state.step = +cam.value; state.view = +view.value; state.offset = +offset.value;
    const [threshold, mean] = data.view_steps[state.view], c = state.cls;
    const above = order.filter((i) => data.scores[i] > threshold);
    const cut = data.thresholds[state.step];
    $(".o1").textContent = cut.toFixed(Math.abs(100 * cut - Math.round(100 * cut)) < 1e-6 ? 2 : 3);
    $(".o2").textContent = threshold.toFixed(3) + (mean === null ? "" : ` · ${mean.toFixed(1)} views an image`);
    $(".o3").textContent = `± ${state.offset} of ${F} px`;
    svg.setAttribute("viewBox", `0 0 ${F} ${F}`); svg.setAttribute("preserveAspectRatio", "none");
    const shapes = [], taken = [];
    const label = (text, x, y, fill) => {  // keeps off the labels drawn before it
      const high = 15 * F / svg.clientHeight, wide = (7.5 * text.length + 4) * F / svg.clientWidth;
      while (y + high < F && taken.some(([x0, y0, x1]) => x < x1 && x + wide > x0 && Math.abs(y - y0) < high)) y += high / 3;
      taken.push([x, y, x + wide]);
      return words(text, x, y, fill);
    };
    if (has("g") && data.truth) for (const t of data.truth) {
      shapes.push(rect(t.box, { stroke: "#fff", "stroke-width": 2.5, "stroke-dasharray": "2 4", class: "truth" }), label(data.classes[t.cls], t.box[0] + 4, t.box[3] - 5, "#fff"));
    }
    const boxed = (has("a") ? above : above.filter((i) => i === c)).filter((i) => data.boxes[i][state.step]);
    boxed.sort((a, b) => area(data.boxes[b][state.step]) - area(data.boxes[a][state.step]));  // small ones last, so that they can be clicked
    for (const i of boxed) {
      const box = data.boxes[i][state.step], wide = grown(box, state.offset), one = i === c, stroke = has("a") ? colour[i] : "#E69F00";
      if (has("v")) shapes.push(rect(wide, { class: one ? "view-box" : "", stroke, "stroke-width": one ? 3 : 1.6, "stroke-dasharray": "9 6" }));
      if (has("b")) shapes.push(rect(box, { class: one ? "cam-box" : "", stroke: has("a") ? stroke : "#D55E00", "stroke-width": one ? 3.5 : 2 }));
      const hit = rect(has("v") && !has("a") ? wide : box, { class: "hit" }); hit.onclick = () => choose(i); shapes.push(hit);
      if (has("a") || one) shapes.push(label(data.classes[i], box[0] + 2, Math.max(15 * F / svg.clientHeight, box[1] - 6), "#fff"));
    }
    svg.replaceChildren(...shapes);
    for (const chip of $(".chips").children) {
      const i = +chip.dataset.cls;
      chip.classList.toggle("off", !(data.scores[i] > threshold)); chip.classList.toggle("on", i === c); chip.setAttribute("aria-pressed", i === c);
    }
    for (const toggle of $(".toggles").children) toggle.setAttribute("aria-pressed", has(toggle.dataset.show));
    $(".note").textContent = above.includes(c) ? (data.boxes[c][state.step]
        ? `${above.length} of ${data.classes.length} classes get a view of this image. Solid: CAM box of ${data.classes[c]}. Dashed: the view that CLIP is asked about.`
        : `The map of ${data.classes[c]} is flat: it has no box.`)
      : `${data.classes[c]} scores ${data.scores[c].toFixed(3)}, not above the view threshold: no view. ${above.length} classes get one.`;
    const heat = $(".heat");
    heat.style.display = has("h") ? "" : "none";
    if (has("h") && memory.heated !== memory.maps + c) {
      memory.heated = memory.maps + c;
      const { height, width } = data.cam, small = document.createElement("canvas"), start = c * height * width;
      small.width = width; small.height = height;
      const context = small.getContext("2d"), pixels = context.createImageData(width, height);
      for (let k = 0; k < height * width; k++) {
        const v = memory.pixels[start + k] / 255;
        pixels.data.set([255 * Math.min(1, 2 * v), 255 * Math.max(0, 1.4 * v - .4), 255 * Math.max(0, .5 - v), 190 * v], 4 * k);
      }
      context.putImageData(pixels, 0, 0);
      heat.width = heat.height = 320;
      heat.getContext("2d").drawImage(small, 0, 0, 320, 320);
    }
  };
  for (const input of [cam, view, offset]) {
    input.oninput = draw;
    input.onchange = () => { draw(); report(); };
    // A slider that was dragged would keep the arrow keys, which are the page's for the next image; one reached by Tab keeps them.
    input.onpointerup = () => setTimeout(() => $(".stage").focus({ preventScroll: true }));
  }
  const onKey = (event) => {
    const from = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || /^(text|search|number|textarea)$/.test(from.type || "") || from.isContentEditable) return;
    const key = event.key.toLowerCase(), at = order.indexOf(state.cls);
    if (data.show[key] && (key !== "g" || data.truth)) flip(key);
    else if (/^[1-9]$/.test(key) && order[key - 1] !== undefined) choose(order[key - 1]);
    else if (key === "]" || key === "[") choose(order[(at + (key === "]" ? 1 : order.length - 1)) % order.length]);
    else return;
    event.preventDefault();
  };
  if (memory.onKey) document.removeEventListener("keydown", memory.onKey);
  memory.onKey = onKey;
  document.addEventListener("keydown", onKey);
  $("img").onload = draw;  // words need the picture's shape
  draw();
  return () => document.removeEventListener("keydown", memory.onKey);
}
"""

_component = st.components.v2.component("ccd_cam_boxes", html=HTML, css=CSS, js=JS)


@dataclass(frozen=True)
class BoxState:
    """What the component shows: class index, CAM threshold step, view threshold step, offset (frame pixels), letters of `SHOW`."""

    cls: int
    step: int
    view: int
    offset: int
    show: str = "hbv"


def nearest(values: list[float], value: float) -> int:
    """Index of the step closest to `value`."""
    return int(np.argmin(np.abs(np.array(values) - value)))


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
    most_offset: int,
    truth: list[dict[str, Any]] | None,
    key: str,
    show: str = "hbv",
    view_steps: list[tuple[float, float | None]] | None = None,
    keys: list[tuple[str, str]] | None = None,
    label: str = "image",
    on_change: Callable[[BoxState], None] | None = None,
) -> BoxState:
    """Show the image with the boxes of class `cls`, or of all classes, and return what the person has set.

    `answer` is what the predictor said, `truth` boxes in frame pixels, `view_steps` the view threshold's steps with the mean views an
    image that each means over the data set. `on_change` is called with the new state before the rerun that a released slider causes.
    """
    steps = view_steps or [(round(0.005 * i, 3), None) for i in range(201)]
    state = BoxState(
        cls,
        nearest(thresholds, cam_threshold),
        nearest([step for step, _ in steps], max(0.0, view_threshold)),
        min(max(0, offset), most_offset),
        show,
    )
    maps = np.asarray(answer["cam"], np.float32)
    packed = base64.b64encode((255 * maps).astype(np.uint8).tobytes()).decode()
    data = {
        "image": image_url, "classes": classes, "scores": answer["scores"], "boxes": answer["boxes"], "frame": answer["frame"],
        "cam": {"bytes": packed, "height": maps.shape[1], "width": maps.shape[2]}, "thresholds": thresholds, "view_steps": steps, "truth": truth, "most_offset": most_offset,
        "state": asdict(state), "show": SHOW, "colours": COLOURS, "label": label,
        "keys": [*(keys or []), ("1", ""), ("…", ""), ("9", "class"), ("[", ""), ("]", "class before, after")],
    }  # fmt: skip

    def changed() -> None:
        if on_change and (reported := st.session_state[key].state):
            on_change(_checked(reported, state, classes, thresholds, steps, most_offset))

    result = _component(data=data, key=key, on_state_change=changed)
    return (
        _checked(result.state, state, classes, thresholds, steps, most_offset)
        if result.state and on_change is None
        else state
    )


def _checked(
    reported: dict[str, Any],
    before: BoxState,
    classes: list[str],
    thresholds: list[float],
    steps: list[Any],
    most_offset: int,
) -> BoxState:
    """What the browser reported, as far as it can be: limits in a browser are no limits."""
    try:
        cls, step, view, offset = (int(reported[name]) for name in ("cls", "step", "view", "offset"))
    except (KeyError, TypeError, ValueError):
        return before
    inside = (
        0 <= cls < len(classes)
        and 0 <= step < len(thresholds)
        and 0 <= view < len(steps)
        and 0 <= offset <= most_offset
    )
    show = "".join(letter for letter in SHOW if letter in str(reported.get("show", "")))
    return replace(before, cls=cls, step=step, view=view, offset=offset, show=show) if inside else before
