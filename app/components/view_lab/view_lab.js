import { element, paintHeat } from "../shared.js";

const SMALLEST = 0.05; // side of the crop, as a share of the image's
const STEP = 0.02; // of a key, as a share of the image's side
const SAME = 1e-3; // boxes nearer than this are the same
const SEEN_SIDE = 150; // pixels of the copy of the crop
const HEAT_CELLS = 28; // places along a side at which heat is computed
const HEAT_SIDE = 336; // pixels of the heat's canvas
const HEAT_FAINTEST = 0.24; // opacity of a probability of 0
const TRIES = 5; // how often a report is repeated
const ANSWER_TIME = 1000; // milliseconds after which a report counts as lost
const KEY_PAUSE = 250; // milliseconds without a key after which the crop is at rest

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SCALES = { "+": 1, "=": 1, "-": -1 };

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const find = (selector) => parentElement.querySelector(selector);
  parentElement.memory ||= { restTimer: 0, reports: Date.now(), lost: {} };
  const memory = parentElement.memory;
  const image = find("img");
  const crop = find(".crop");
  const stage = find(".stage");
  const rows = find(".rows");
  const debiased = find(".t-debias");
  const heated = find(".t-heat");
  takeOver();

  /** Take over what Python gives, except for the crop while it is being moved here. */
  function takeOver() {
    memory.data = data;
    memory.setStateValue = setStateValue;
    memory.chosen = data.chosen;
    if (isNew("image", data.url)) {
      image.src = data.url;
      image.alt = data.alt;
      memory.awaited = null;
    }
    if (isNew("crop", data.crop) && !isStale(data.crop)) memory.box = [...data.crop];
    if (isNew("toggles", [data.debiased, data.heat])) {
      debiased.checked = data.debiased;
      heated.checked = data.heat;
    }
    if (isNew("rows", [data.names, data.whole])) {
      rows.replaceChildren(...data.names.map((_, k) => rowOf(data, k)));
    }
    [...rows.children].forEach((row, k) => {
      row.onclick = () => choose(k);
    });
    find(".truths").replaceChildren(...data.truth.map(truthOf));
  }

  /** Whether Python gives another value than the last time. */
  function isNew(name, value) {
    const given = JSON.stringify(value);
    memory.given ||= {};
    if (memory.given[name] === given) return false;
    memory.given[name] = given;
    return true;
  }

  /** Whether the crop moved here since Python saw it: a late answer must not undo a later key. */
  function isStale(given) {
    const { awaited } = memory;
    if (awaited && (isSame(awaited.box, given) || Date.now() > awaited.until)) memory.awaited = null;
    return Boolean(memory.drag || memory.restTimer || memory.awaited);
  }

  // -- drawing ---------------------------------------------------------------------------------------

  function draw() {
    const form = debiased.checked ? 1 : 0;
    const exact = data.exact && !memory.drag && isSame(memory.box, data.exact_box);
    const p = probabilities(form, exact);
    placeAt(crop, memory.box);
    Object.assign(find(".all").dataset, { exact: exact ? "yes" : "no", fine: data.fine ? "yes" : "no" });
    find(".says").textContent = p ? sentence(p, exact) : "…";
    find(".how").textContent = sourceOf(p, exact);
    drawBars(p, form);
    if (image.naturalWidth) copyCrop();
    drawHeat(form);
  }

  /** [K] of the crop: CLIP's own, else blended from its neighbours'; null while too little is known. */
  function probabilities(form, exact) {
    if (exact) return data.exact[form];
    return data.grid && blend(data.grid[form], data.sides, memory.box);
  }

  function sentence(p, exact) {
    const best = p.indexOf(Math.max(...p));
    return `${data.names[best]} ${exact ? "" : "≈ "}${p[best].toFixed(2)}`;
  }

  function sourceOf(p, exact) {
    if (exact) return "CLIP's own answer for this crop";
    if (p)
      return `blended from the nearest crops that CLIP was asked about${data.fine ? "" : ", few so far"}`;
    return data.failed ? "CLIP cannot be asked" : "asking CLIP about this crop";
  }

  function drawBars(p, form) {
    [...rows.children].forEach((row, k) => {
      row.setAttribute("aria-pressed", k === memory.chosen);
      row.querySelector(".fill").style.width = `${100 * (p ? p[k] : 0)}%`;
      row.querySelector(".mark").style.left = data.whole ? `${100 * data.whole[form][k]}%` : "-9px";
      row.querySelector(".value").textContent = p ? p[k].toFixed(2) : "";
    });
  }

  /** The crop beside the image, as large as its canvas. */
  function copyCrop() {
    const [x0, y0, x1, y1] = memory.box;
    const width = (x1 - x0) * image.naturalWidth;
    const height = (y1 - y0) * image.naturalHeight;
    const scale = SEEN_SIDE / Math.max(width, height);
    const seen = find(".seen");
    seen.width = Math.max(1, width * scale);
    seen.height = Math.max(1, height * scale);
    const from = [x0 * image.naturalWidth, y0 * image.naturalHeight, width, height];
    seen.getContext("2d").drawImage(image, ...from, 0, 0, seen.width, seen.height);
  }

  /** At each place, the chosen class's probability for a crop of the present size around it. */
  function drawHeat(form) {
    const canvas = find(".heat");
    const on = heated.checked && data.grid && memory.chosen >= 0;
    canvas.style.display = on ? "" : "none";
    stage.classList.toggle("heated", Boolean(on));
    if (!on) return;
    const [x0, y0, x1, y1] = memory.box;
    const width = x1 - x0;
    const height = y1 - y0;
    const values = [];
    for (let row = 0; row < HEAT_CELLS; row++) {
      const y = within((row + 0.5) / HEAT_CELLS - height / 2, 0, 1 - height);
      for (let column = 0; column < HEAT_CELLS; column++) {
        const x = within((column + 0.5) / HEAT_CELLS - width / 2, 0, 1 - width);
        const p = blend(data.grid[form], data.sides, [x, y, x + width, y + height]);
        values.push(p[memory.chosen]);
      }
    }
    paintHeat(canvas, HEAT_SIDE, values, HEAT_CELLS, data.heat_colours, HEAT_FAINTEST);
  }

  // -- reporting ---------------------------------------------------------------------------------------

  /**
   * Tell Python a value. `arrived` says whether the page shows it by now.
   *
   * A report may be lost while the page turns to another image, and undone by a rerun that began before it.
   * So it is repeated, each time as something new, until it has arrived.
   */
  function report(name, value, arrived, tries = TRIES) {
    clearTimeout(memory.lost[name]);
    memory.setStateValue(name, { value, number: memory.reports++ });
    if (!tries) return;
    memory.lost[name] = setTimeout(() => {
      if (!arrived()) report(name, value, arrived, tries - 1);
    }, ANSWER_TIME);
  }

  function reportCrop() {
    const box = memory.box.map((side) => Math.round(1e4 * side) / 1e4);
    memory.awaited = { box, until: Date.now() + TRIES * ANSWER_TIME };
    report("crop", box, () => memory.drag || memory.restTimer || isSame(box, memory.data.crop));
  }

  /** Draw the crop, and report it when it has been at rest for `pause` milliseconds. */
  function settle(pause) {
    draw();
    clearTimeout(memory.restTimer);
    memory.restTimer = setTimeout(() => {
      memory.restTimer = 0;
      reportCrop();
    }, pause);
  }

  function choose(k) {
    memory.chosen = k;
    draw();
    const name = data.names[k];
    report("cls", name, () => memory.data.names[memory.data.chosen] === name);
  }

  function reportToggles() {
    const now = { debiased: debiased.checked, heat: heated.checked };
    memory.given.toggles = JSON.stringify([now.debiased, now.heat]);
    draw();
    report("toggles", now, () => memory.data.debiased === now.debiased && memory.data.heat === now.heat);
  }

  // -- mouse, fingers and keys -------------------------------------------------------------------------

  /** Where the pointer is, as shares of the image's sides. */
  function placeOf(event) {
    const area = stage.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  }

  stage.onpointerdown = (event) => {
    const beside = !event.target.closest(".crop");
    if (event.button || memory.drag) return;
    if (beside && event.pointerType === "touch") return; // a finger beside the crop scrolls the page
    const from = placeOf(event);
    if (beside) memory.box = centred(memory.box, from);
    const start = [...memory.box];
    memory.drag = { from, start, edge: event.target.dataset.edge, pointer: event.pointerId };
    stage.setPointerCapture(event.pointerId);
    crop.focus({ preventScroll: true });
    event.preventDefault();
    draw();
  };
  stage.onpointermove = (event) => {
    if (memory.drag?.pointer !== event.pointerId) return;
    const { from, start, edge } = memory.drag;
    const [x, y] = placeOf(event);
    const by = [x - from[0], y - from[1]];
    memory.box = edge ? resized(start, edge, by) : moved(start, by);
    draw();
  };
  stage.onpointerup = (event) => {
    if (memory.drag?.pointer !== event.pointerId) return;
    memory.drag = null;
    settle(0);
  };
  stage.onpointercancel = stage.onpointerup;
  stage.onclick = (event) => {
    // A finger that tapped beside the crop, and did not begin to scroll.
    if (event.pointerType !== "touch" || event.target.closest(".crop")) return;
    memory.box = centred(memory.box, placeOf(event));
    settle(0);
  };
  crop.onkeydown = (event) => {
    const by = MOVES[event.key]?.map((side) => STEP * side);
    const scale = SCALES[event.key];
    if (by && event.shiftKey) memory.box = resized(memory.box, "se", by);
    else if (event.key === "Escape") crop.blur();
    else if (by) memory.box = moved(memory.box, by);
    else if (scale) memory.box = scaled(memory.box, scale * STEP);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page's arrow keys turn to other images
    settle(KEY_PAUSE);
  };
  image.onload = draw;
  debiased.onchange = reportToggles;
  heated.onchange = reportToggles;
  draw();
}

// -- boxes [x0, y0, x1, y1] as shares of the image's sides -----------------------------------------------

function within(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function isSame(one, other) {
  return one.every((side, k) => Math.abs(side - other[k]) < SAME);
}

/** The box moved by [dx, dy], as far as the image goes. */
function moved([x0, y0, x1, y1], [dx, dy]) {
  const right = within(dx, -x0, 1 - x1);
  const down = within(dy, -y0, 1 - y1);
  return [x0 + right, y0 + down, x1 + right, y1 + down];
}

/** The box moved so that its middle is at [x, y], as far as the image goes. */
function centred(box, [x, y]) {
  const [x0, y0, x1, y1] = box;
  return moved(box, [x - (x0 + x1) / 2, y - (y0 + y1) / 2]);
}

/** The box with one corner, "nw" to "se", moved by [dx, dy]. */
function resized([x0, y0, x1, y1], corner, [dx, dy]) {
  const box = [x0, y0, x1, y1];
  if (corner[1] === "w") box[0] = Math.min(x1 - SMALLEST, Math.max(0, x0 + dx));
  else box[2] = Math.max(x0 + SMALLEST, Math.min(1, x1 + dx));
  if (corner[0] === "n") box[1] = Math.min(y1 - SMALLEST, Math.max(0, y0 + dy));
  else box[3] = Math.max(y0 + SMALLEST, Math.min(1, y1 + dy));
  return box;
}

/** The box larger by `by` on every side, or smaller where `by` is negative. */
function scaled(box, by) {
  return resized(resized(box, "nw", [-by, -by]), "se", [by, by]);
}

/** Put an element over the image where the box is. */
function placeAt(placed, [x0, y0, x1, y1]) {
  placed.style.left = `${100 * x0}%`;
  placed.style.top = `${100 * y0}%`;
  placed.style.width = `${100 * (x1 - x0)}%`;
  placed.style.height = `${100 * (y1 - y0)}%`;
}

// -- probabilities between the crops that CLIP was asked about -------------------------------------------

/**
 * Probabilities [K] of a crop, linear between those of its neighbours: two sizes, four places in each.
 *
 * grid: [S][P][P][K], by size, then row and column of the crop's place. sides: [S], rising.
 */
function blend(grid, sides, [x0, y0, x1, y1]) {
  const side = Math.sqrt((x1 - x0) * (y1 - y0));
  const middle = [(x0 + x1) / 2, (y0 + y1) / 2];
  let smaller = 0;
  while (smaller < sides.length - 2 && sides[smaller + 1] < side) smaller++;
  const share = within((side - sides[smaller]) / (sides[smaller + 1] - sides[smaller]), 0, 1);
  const low = blendPlaces(grid[smaller], sides[smaller], middle);
  const high = blendPlaces(grid[smaller + 1], sides[smaller + 1], middle);
  return mix(low, high, share);
}

/** Probabilities [K] of a crop around `middle`, of a size that CLIP was asked about. places: [P][P][K]. */
function blendPlaces(places, side, middle) {
  const last = places.length - 1;
  const [x, y] = middle.map((at) => (side < 1 ? within((at - side / 2) / (1 - side), 0, 1) * last : 0));
  const left = Math.min(last, Math.floor(x));
  const top = Math.min(last, Math.floor(y));
  const right = Math.min(last, left + 1);
  const bottom = Math.min(last, top + 1);
  const upper = mix(places[top][left], places[top][right], x - left);
  const lower = mix(places[bottom][left], places[bottom][right], x - left);
  return mix(upper, lower, y - top);
}

function mix(one, other, share) {
  return one.map((value, k) => value * (1 - share) + other[k] * share);
}

// -- what is made once for an image -----------------------------------------------------------------------

/** The row of the class with index k: its name, the bar, the crop's number and those of the whole image. */
function rowOf(data, k) {
  const row = element("button");
  row.type = "button";
  row.title = data.names[k];
  const track = element("span", "track");
  const fill = element("span", "fill");
  fill.style.background = data.colours[k];
  track.append(fill, element("span", "mark"));
  const whole = data.whole ? data.whole.map((form) => form[k].toFixed(2)).join(" → ") : "";
  row.append(
    element("span", "name", data.names[k]),
    track,
    element("span", "value"),
    element("span", "whole", whole),
  );
  return row;
}

/** The name and the outline of what is truly there. */
function truthOf(truth) {
  const outline = element("b", "", truth.name);
  placeAt(outline, truth.box);
  return outline;
}
