"""A crop to drag over an image, with what CLIP says of it, as one inline component: bars follow the crop without a round trip.

Python asks CLIP about a grid of crops on the side; while the crop moves, the component blends the answers of the nearest ones, and says so.
When it comes to rest the exact answer arrives from Python. A finger moves the crop by its inside and its corners, a tap brings it there, and
beside it the page scrolls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

HTML = """
<div class="all">
  <div class="stage">
    <img alt="" draggable="false"><canvas class="heat"></canvas><div class="truths"></div>
    <div class="crop" tabindex="0" role="application" aria-label="crop: arrow keys move, shift and arrow keys resize, plus and minus scale, escape leaves">
      <i data-edge="nw"></i><i data-edge="ne"></i><i data-edge="sw"></i><i data-edge="se"></i></div>
  </div>
  <div class="side">
    <div class="top"><canvas class="seen" width="150" height="150"></canvas>
      <div><p class="says"></p><p class="how"></p>
        <label><input class="t-debias" type="checkbox"> after debiasing</label>
        <label><input class="t-heat" type="checkbox"> heat of the chosen class</label></div></div>
    <div class="rows" role="group" aria-label="classes"></div>
    <p class="note">Bar: this crop. Line: the whole image. On the right: the whole image before and after debiasing. Click a class to choose it.</p>
    <p class="note keys">Keys of the crop: <span><kbd>←</kbd><kbd>↑</kbd><kbd>→</kbd><kbd>↓</kbd> move</span> <span><kbd>Shift</kbd><kbd>→</kbd> resize</span>
      <span><kbd>+</kbd><kbd>−</kbd> scale</span> <span><kbd>Esc</kbd> gives the arrows back to the images</span></p>
  </div>
</div>
"""

CSS = """
.all { display: flex; align-items: flex-start; gap: 1.5rem; flex-wrap: wrap; font-family: var(--st-font); color: var(--st-text-color); }
.stage { position: relative; flex: 3 1 420px; max-width: 760px; line-height: 0; overflow: hidden; border-radius: 8px; user-select: none; }
.stage img { width: 100%; }
.heat, .truths { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; }
.truths b { position: absolute; border: 2px dotted #fff; box-shadow: 0 0 0 1px #0006; font: 600 12px var(--st-font); color: #fff; text-shadow: 0 0 3px #000;
  padding: 2px 4px; }
.crop { position: absolute; border: 3px solid #E69F00; box-shadow: 0 0 0 9999px #0007; cursor: move; box-sizing: border-box; touch-action: none; }
.heated .crop { box-shadow: 0 0 0 9999px #0002; }
.crop:focus-visible { outline: 3px solid #fff; outline-offset: 0; border-color: var(--st-primary-color); }
.crop i { position: absolute; width: 18px; height: 18px; background: #E69F00; border: 2px solid #fff; border-radius: 50%; box-sizing: border-box; }
.crop i[data-edge=nw] { left: -10px; top: -10px; cursor: nwse-resize; } .crop i[data-edge=ne] { right: -10px; top: -10px; cursor: nesw-resize; }
.crop i[data-edge=sw] { left: -10px; bottom: -10px; cursor: nesw-resize; } .crop i[data-edge=se] { right: -10px; bottom: -10px; cursor: nwse-resize; }
@media (pointer: coarse) { .crop i::after { content: ""; position: absolute; inset: -15px; } }  /* a finger needs 44 px */
.side { flex: 2 1 340px; display: flex; flex-direction: column; gap: .6rem; min-width: 0; }
.top { display: flex; gap: 1rem; align-items: center; min-height: 150px; } .top label { display: block; font-size: .85rem; margin-top: .3rem; }
.seen { width: 150px; height: 150px; object-fit: contain; border-radius: 8px; background: var(--st-secondary-background-color); flex: none; }
.says { font-size: 1.25rem; font-weight: 650; margin: 0; line-height: 1.25; } .how, .note { font-size: .8rem; opacity: .75; margin: .15rem 0 .2rem; }
.rows button { display: grid; grid-template-columns: 6.5rem 1fr 2.6rem 6rem; gap: .6rem; align-items: center; width: 100%; border: 0; background: transparent;
  color: inherit; font: inherit; font-size: .85rem; padding: .16rem .3rem; text-align: left; border-radius: 6px; cursor: pointer; }
.rows button:focus-visible, input:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.rows button[aria-pressed=true] { background: var(--st-secondary-background-color); font-weight: 650; }
.rows .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.track { position: relative; height: 1rem; background: var(--st-secondary-background-color); border-radius: 4px; }
.rows button[aria-pressed=true] .track { background: var(--st-background-color); }
.track .fill { position: absolute; inset: 0 auto 0 0; border-radius: 4px; } .track .mark { position: absolute; top: -2px; bottom: -2px; width: 3px; margin-left: -1px;
  background: var(--st-text-color); border-radius: 2px; }
.rows .value, .rows .whole { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; } .rows .whole { opacity: .7; font-size: .78rem; font-weight: 400; }
kbd { font: 600 .72rem var(--st-code-font); border: 1px solid var(--st-border-color); border-radius: 4px; padding: 0 .3rem; margin-right: .15rem; }
.keys { line-height: 1.7; } .keys span { white-space: nowrap; margin-right: .6rem; }
@media (pointer: coarse) { .keys { display: none; } }
"""

JS = """
export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const $ = (selector) => parentElement.querySelector(selector);
  const memory = parentElement.lab || (parentElement.lab = { timer: 0, said: Date.now(), unheard: {} });
  const image = $("img"), crop = $(".crop"), stage = $(".stage"), smallest = 0.05;
  if (memory.url !== data.url) { memory.url = data.url; image.src = data.url; image.alt = data.alt; }
  const asked = JSON.stringify(data.crop);
  if (memory.asked !== asked) { memory.asked = asked; if (!memory.drag && !memory.timer) memory.box = [...data.crop]; }
  const given = JSON.stringify([data.debiased, data.heat]);
  if (memory.given !== given) { memory.given = given; $(".t-debias").checked = data.debiased; $(".t-heat").checked = data.heat; }
  memory.chosen = data.chosen; memory.data = data; memory.setStateValue = setStateValue;

  // The crop's place among the crops that CLIP was asked about: two neighbouring sizes, four places in each.
  const blend = (grid, box) => {
    const side = Math.sqrt((box[2] - box[0]) * (box[3] - box[1])), S = data.sides, middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    let k = 0; while (k < S.length - 2 && S[k + 1] < side) k++;
    const share = Math.min(1, Math.max(0, (side - S[k]) / (S[k + 1] - S[k])));
    const level = (i) => {
      const P = grid[i].length, at = middle.map((m) => S[i] < 1 ? Math.min(1, Math.max(0, (m - S[i] / 2) / (1 - S[i]))) * (P - 1) : 0);
      const x = Math.min(P - 1, Math.floor(at[0])), y = Math.min(P - 1, Math.floor(at[1])), fx = at[0] - x, fy = at[1] - y;
      const X = Math.min(P - 1, x + 1), Y = Math.min(P - 1, y + 1), g = grid[i];
      return g[y][x].map((_, c) => (g[y][x][c] * (1 - fx) + g[y][X][c] * fx) * (1 - fy) + (g[Y][x][c] * (1 - fx) + g[Y][X][c] * fx) * fy);
    };
    const low = level(k), high = level(k + 1);
    return low.map((value, c) => value * (1 - share) + high[c] * share);
  };

  const rows = $(".rows");
  const what = JSON.stringify([data.names, data.whole]);
  if (rows.what !== what) {
    rows.what = what;
    rows.replaceChildren(...data.names.map((name, c) => {
      const row = document.createElement("button");
      row.type = "button";
      row.innerHTML = `<span class="name"></span><span class="track"><span class="fill"></span><span class="mark"></span></span><span class="value"></span><span class="whole"></span>`;
      row.querySelector(".name").textContent = name; row.title = name;
      row.querySelector(".fill").style.background = data.colours[c];
      if (data.whole) row.querySelector(".whole").textContent = `${data.whole[0][c].toFixed(2)} → ${data.whole[1][c].toFixed(2)}`;
      return row;
    }));
  }
  [...rows.children].forEach((row, c) => { row.onclick = () => {
    memory.chosen = c; draw();
    say("cls", data.names[c], () => memory.data.names[memory.data.chosen] === data.names[c]);
  }; });
  $(".truths").replaceChildren(...data.truth.map((t) => {
    const b = document.createElement("b"), [x0, y0, x1, y1] = t.box.map((v) => 100 * v);
    b.textContent = t.name; b.style.cssText = `left:${x0}%;top:${y0}%;width:${x1 - x0}%;height:${y1 - y0}%;box-sizing:border-box`;
    return b;
  }));

  const draw = () => {
    const box = memory.box, [x0, y0, x1, y1] = box, form = $(".t-debias").checked ? 1 : 0;
    crop.style.left = `${100 * x0}%`; crop.style.top = `${100 * y0}%`; crop.style.width = `${100 * (x1 - x0)}%`; crop.style.height = `${100 * (y1 - y0)}%`;
    const exact = data.exact && !memory.drag && box.every((v, i) => Math.abs(v - data.exact_box[i]) < 1e-3);
    const p = exact ? data.exact[form] : data.grid ? blend(data.grid[form], box) : null;
    Object.assign($(".all").dataset, { exact: exact ? "yes" : "no", fine: data.fine ? "yes" : "no" });
    const best = p ? p.indexOf(Math.max(...p)) : -1;
    $(".says").textContent = p ? `${data.names[best]} ${exact ? "" : "≈ "}${p[best].toFixed(2)}` : "…";
    $(".how").textContent = exact ? "CLIP's own answer for this crop" : p ? `blended from the nearest crops that CLIP was asked about${data.fine ? "" : ", few so far"}`
      : data.failed ? "CLIP cannot be asked" : "asking CLIP about this crop";
    [...rows.children].forEach((row, c) => {
      row.setAttribute("aria-pressed", c === memory.chosen);
      row.querySelector(".fill").style.width = `${100 * (p ? p[c] : 0)}%`;
      row.querySelector(".mark").style.left = data.whole ? `${100 * data.whole[form][c]}%` : "-9px";
      row.querySelector(".value").textContent = p ? p[c].toFixed(2) : "";
    });
    if (image.naturalWidth) {
      const seen = $(".seen"), w = (x1 - x0) * image.naturalWidth, h = (y1 - y0) * image.naturalHeight, scale = 150 / Math.max(w, h);
      seen.width = Math.max(1, w * scale); seen.height = Math.max(1, h * scale);
      seen.getContext("2d").drawImage(image, x0 * image.naturalWidth, y0 * image.naturalHeight, w, h, 0, 0, seen.width, seen.height);
    }
    heat(form);
  };
  const heat = (form) => {
    const canvas = $(".heat"), on = !!($(".t-heat").checked && data.grid && memory.chosen >= 0);
    canvas.style.display = on ? "" : "none"; stage.classList.toggle("heated", on);
    if (!on) return;
    const [x0, y0, x1, y1] = memory.box, w = x1 - x0, h = y1 - y0, N = 28;
    const small = document.createElement("canvas"); small.width = N; small.height = N;
    const context = small.getContext("2d"), pixels = context.createImageData(N, N);
    for (let j = 0; j < N; j++) for (let i = 0; i < N; i++) {  // at each place: the crop of the present size around it
      const a = Math.min(1 - w, Math.max(0, (i + .5) / N - w / 2)), b = Math.min(1 - h, Math.max(0, (j + .5) / N - h / 2));
      const v = blend(data.grid[form], [a, b, a + w, b + h])[memory.chosen], k = 4 * (j * N + i);
      pixels.data[k] = 255 * Math.min(1, 2 * v); pixels.data[k + 1] = 255 * Math.max(0, 1.4 * v - .4);
      pixels.data[k + 2] = 255 * Math.max(0, .5 - v); pixels.data[k + 3] = 60 + 130 * v;
    }
    context.putImageData(pixels, 0, 0);
    canvas.width = 336; canvas.height = 336;
    canvas.getContext("2d").drawImage(small, 0, 0, 336, 336);
  };

  // What is said while the page turns to another image, or while a run that began before is still going, may be lost or undone: it is said
  // again, each time as something new, until the page shows it.
  const say = (name, value, shown, times = 5) => {
    clearTimeout(memory.unheard[name]);
    memory.setStateValue(name, { value, said: memory.said++ });
    if (times) memory.unheard[name] = setTimeout(() => { if (!shown()) say(name, value, shown, times - 1); }, 1000);
  };
  const settle = (wait) => {
    clearTimeout(memory.timer);
    memory.timer = setTimeout(() => { memory.timer = 0; report(); }, wait);
  };
  const report = () => {
    const at = memory.box.map((v) => Math.round(1e4 * v) / 1e4);
    say("crop", at, () => memory.drag || memory.timer || at.every((v, i) => Math.abs(v - memory.data.crop[i]) < 1e-3));
  };
  const move = (start, dx, dy) => {
    const [x0, y0, x1, y1] = start, a = Math.min(1 - x1, Math.max(-x0, dx)), b = Math.min(1 - y1, Math.max(-y0, dy));
    memory.box = [x0 + a, y0 + b, x1 + a, y1 + b];
  };
  const stretch = (start, edge, dx, dy) => {
    let [x0, y0, x1, y1] = start;
    if (edge[1] === "w") x0 = Math.min(x1 - smallest, Math.max(0, x0 + dx)); else x1 = Math.max(x0 + smallest, Math.min(1, x1 + dx));
    if (edge[0] === "n") y0 = Math.min(y1 - smallest, Math.max(0, y0 + dy)); else y1 = Math.max(y0 + smallest, Math.min(1, y1 + dy));
    memory.box = [x0, y0, x1, y1];
  };
  const place = (event) => {
    const area = stage.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  };
  const bring = ([x, y]) => { const [x0, y0, x1, y1] = memory.box; move(memory.box, x - (x0 + x1) / 2, y - (y0 + y1) / 2); };
  stage.onpointerdown = (event) => {
    const beside = !event.target.closest(".crop"), at = place(event);
    if (event.button || memory.drag || (beside && event.pointerType === "touch")) return;  // a finger beside the crop scrolls the page
    if (beside) bring(at);  // a press beside the crop brings it there
    memory.drag = { at, edge: event.target.dataset.edge, start: [...memory.box], pointer: event.pointerId };
    stage.setPointerCapture(event.pointerId); crop.focus({ preventScroll: true }); event.preventDefault(); draw();
  };
  stage.onpointermove = (event) => {
    if (memory.drag?.pointer !== event.pointerId) return;
    const [x, y] = place(event), { start, edge, at } = memory.drag;
    edge ? stretch(start, edge, x - at[0], y - at[1]) : move(start, x - at[0], y - at[1]);
    draw();
  };
  stage.onpointerup = stage.onpointercancel = (event) => { if (memory.drag?.pointer === event.pointerId) { memory.drag = null; draw(); settle(0); } };
  stage.onclick = (event) => {
    if (event.pointerType !== "touch" || event.target.closest(".crop")) return;
    bring(place(event)); draw(); settle(0);  // a tap, not the beginning of a scroll
  };
  crop.onkeydown = (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key], step = 0.02;
    const scale = { "+": 1, "=": 1, "-": -1 }[event.key];
    if (by && event.shiftKey) stretch(memory.box, "se", step * by[0], step * by[1]);
    else if (event.key === "Escape") crop.blur();
    else if (by) move(memory.box, step * by[0], step * by[1]);
    else if (scale) { stretch(memory.box, "nw", -scale * step, -scale * step); stretch(memory.box, "se", scale * step, scale * step); }
    else return;
    event.preventDefault(); event.stopPropagation();  // the page's arrow keys turn to other images
    draw(); settle(250);
  };
  image.onload = draw;
  for (const input of parentElement.querySelectorAll("input")) input.onchange = () => {
    const shown = { debiased: $(".t-debias").checked, heat: $(".t-heat").checked };
    memory.given = JSON.stringify([shown.debiased, shown.heat]);
    draw();
    say("toggles", shown, () => memory.data.debiased === shown.debiased && memory.data.heat === shown.heat);
  };
  draw();
}
"""

_component = st.components.v2.component("ccd_view_lab", html=HTML, css=CSS, js=JS)


def view_lab(
    data: dict[str, Any],
    key: str,
    *,
    on_crop: Callable[[list[float]], None],
    on_class: Callable[[str], None],
    on_toggles: Callable[[bool, bool], None],
) -> None:
    """Show the image with its crop; before the rerun `on_crop` gets the box where it came to rest, `on_class` the class clicked, `on_toggles` what is on.

    data: url, alt, crop [4]; names, colours [K]; chosen (index or -1); whole [2][K] and exact [2][K] or None while CLIP has not said, with
    exact_box [4], before and after debiasing; failed, whether CLIP cannot be asked; sides [S] and grid [2][S][P][P][K] or None; fine, whether
    the grid has all its places; debiased, heat; truth [{"name", "box"}]. Boxes are fractions of the image.
    """

    def moved() -> None:
        on_crop(st.session_state[key].crop["value"])

    def clicked() -> None:
        on_class(st.session_state[key].cls["value"])

    def flipped() -> None:
        toggles = st.session_state[key].toggles["value"]
        on_toggles(bool(toggles["debiased"]), bool(toggles["heat"]))

    _component(data=data, key=key, on_crop_change=moved, on_cls_change=clicked, on_toggles_change=flipped)
