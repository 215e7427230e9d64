import { addOffset, boxOutline, element, paintHeat, svgElement } from "../shared.js";

const HEAT_SIDE = 320; // pixels of the heat's canvas, which is stretched over the image
const LINE = 15; // screen pixels, height of a label
const LETTER = 7.5; // screen pixels, width of a letter of a label, a little more than it takes

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const find = (selector) => parentElement.querySelector(selector);
  parentElement.memory ||= { reported: new Set() };
  const memory = parentElement.memory;
  takeOver(data, memory, find("img"));

  const state = memory.state;
  const sliders = { step: find("input.cam"), view: find("input.view"), offset: find("input.offset") };
  sliders.step.max = data.cam_thresholds.length - 1;
  sliders.view.max = data.view_thresholds.length - 1;
  sliders.offset.max = data.most_offset;
  for (const [name, slider] of Object.entries(sliders)) slider.value = state[name];

  // Classes from the surest on. They take the palette in this order.
  const order = data.classes.map((_, c) => c).sort((a, b) => data.scores[b] - data.scores[a]);
  const colours = [];
  order.forEach((c, place) => {
    colours[c] = data.colours[place % data.colours.length];
  });
  const shows = (letter) => state.show.includes(letter);
  const threshold = () => data.view_thresholds[state.view][0];
  const withViews = () => order.filter((c) => data.scores[c] > threshold());

  const draw = () => {
    for (const [name, slider] of Object.entries(sliders)) state[name] = Number(slider.value);
    drawBoxes();
    drawHeat();
    writeNumbers();
    markButtons();
  };
  const report = () => {
    memory.reported.add(JSON.stringify(state));
    setStateValue("state", { ...state });
  };
  const choose = (c) => {
    state.cls = c;
    draw();
    report();
  };
  const flip = (letter) => {
    state.show = shows(letter) ? state.show.replace(letter, "") : state.show + letter;
    draw();
    report();
  };

  function drawBoxes() {
    const svg = find("svg");
    svg.setAttribute("viewBox", `0 0 ${data.frame} ${data.frame}`);
    svg.setAttribute("preserveAspectRatio", "none");
    const label = labeller(svg, data.frame);
    const shapes = [];
    for (const truth of shows("g") ? (data.truth ?? []) : []) {
      const [x0, , , y1] = truth.box;
      shapes.push(boxOutline(truth.box, "truth"), label(data.classes[truth.cls], x0 + 4, y1 - 5));
    }
    for (const c of boxedClasses()) shapes.push(...shapesOf(c, label));
    svg.replaceChildren(...shapes);
  }

  /** Classes whose boxes are drawn; small boxes come last, so that they can be clicked. */
  function boxedClasses() {
    const boxOf = (c) => data.boxes[c][state.step];
    const wanted = withViews().filter((c) => boxOf(c) && (shows("a") || c === state.cls));
    return wanted.sort((a, b) => area(boxOf(b)) - area(boxOf(a)));
  }

  /** The CAM box and the view of a class, what makes them a button, and the class's name. */
  function shapesOf(c, label) {
    const box = data.boxes[c][state.step];
    const view = addOffset(box, state.offset, data.frame);
    const chosen = c === state.cls;
    const shapes = [];
    if (shows("v")) shapes.push(boxOutline(view, chosen ? "view view-box" : "view"));
    if (shows("b")) shapes.push(boxOutline(box, chosen ? "tight cam-box" : "tight"));
    if (shows("a")) for (const shape of shapes) shape.style.stroke = colours[c];
    const hit = boxOutline(shows("v") && !shows("a") ? view : box, "hit");
    hit.onclick = () => choose(c);
    return [...shapes, hit, label(data.classes[c], box[0] + 2, box[1] - 6)];
  }

  function drawHeat() {
    const canvas = find(".heat");
    canvas.style.display = shows("h") ? "" : "none";
    if (!shows("h") || memory.heatOf === state.cls) return;
    memory.heatOf = state.cls;
    const { height, width } = data.cam;
    const begin = state.cls * height * width;
    const bytes = memory.maps.subarray(begin, begin + height * width);
    const values = Array.from(bytes, (byte) => byte / 255);
    paintHeat(canvas, HEAT_SIDE, values, width, data.heat);
  }

  function writeNumbers() {
    const cut = data.cam_thresholds[state.step];
    const mean = data.view_thresholds[state.view][1];
    const isWhole = Math.abs(100 * cut - Math.round(100 * cut)) < 1e-6;
    find(".o1").textContent = cut.toFixed(isWhole ? 2 : 3);
    find(".o2").textContent =
      threshold().toFixed(3) + (mean === null ? "" : ` · ${mean.toFixed(1)} views an image`);
    find(".o3").textContent = `± ${state.offset} of ${data.frame} px`;
    find(".note").textContent = noteOf(state.cls);
  }

  function noteOf(c) {
    const name = data.classes[c];
    const count = withViews().length;
    if (data.scores[c] <= threshold()) {
      const score = data.scores[c].toFixed(3);
      return `${name} scores ${score}, not above the view threshold: no view. ${count} classes get one.`;
    }
    if (!data.boxes[c][state.step]) return `The map of ${name} is flat: it has no box.`;
    const boxes = `Solid: CAM box of ${name}. Dashed: the view that CLIP is asked about.`;
    return `${count} of ${data.classes.length} classes get a view of this image. ${boxes}`;
  }

  function markButtons() {
    for (const chip of find(".chips").children) {
      const c = Number(chip.dataset.cls);
      chip.classList.toggle("off", data.scores[c] <= threshold());
      chip.classList.toggle("on", c === state.cls);
      chip.setAttribute("aria-pressed", c === state.cls);
    }
    for (const toggle of find(".toggles").children) {
      toggle.setAttribute("aria-pressed", shows(toggle.dataset.show));
    }
  }

  const canShow = (letter) => data.show[letter] && (letter !== "g" || data.truth);
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.composedPath()[0])) return;
    const key = event.key.toLowerCase();
    const place = order.indexOf(state.cls);
    if (canShow(key)) flip(key);
    else if (/^[1-9]$/.test(key) && order[key - 1] !== undefined) choose(order[key - 1]);
    else if (key === "]") choose(order[(place + 1) % order.length]);
    else if (key === "[") choose(order[(place + order.length - 1) % order.length]);
    else return;
    event.preventDefault();
  };

  find(".stage").setAttribute("aria-label", data.label);
  find(".chips").replaceChildren(
    ...order.map((c) => chipOf(c, data.classes[c], data.scores[c], colours[c], choose)),
  );
  find(".toggles").replaceChildren(
    ...Object.keys(data.show)
      .filter(canShow)
      .map((letter) => toggleOf(letter, data.show[letter], flip)),
  );
  find(".keys").replaceChildren(
    ...data.keys.flatMap(([key, text]) => [element("kbd", "", key), ` ${text} \u00a0 `]),
  );
  for (const slider of Object.values(sliders)) {
    slider.oninput = draw;
    slider.onchange = () => {
      draw();
      report();
    };
    // A slider that was dragged would keep the arrow keys, which are the page's for the next image.
    // A slider that was reached by Tab keeps them.
    slider.onpointerup = () => setTimeout(() => find(".stage").focus({ preventScroll: true }));
  }
  if (memory.onKey) document.removeEventListener("keydown", memory.onKey);
  memory.onKey = onKey;
  document.addEventListener("keydown", onKey);
  find("img").onload = draw; // labels need the image's shape
  draw();
  return () => document.removeEventListener("keydown", memory.onKey);
}

/**
 * Take over what Python gives: the state, the image and the maps.
 *
 * A state that was reported from here is only an echo, and may have been changed again by now.
 */
function takeOver(data, memory, image) {
  const given = JSON.stringify(data.state);
  const isNew = memory.image !== data.image;
  if (isNew || !memory.reported.has(given)) memory.state = JSON.parse(given);
  if (isNew) {
    image.src = data.image;
    memory.image = data.image;
    memory.reported.clear();
  }
  if (memory.packed !== data.cam.bytes) {
    memory.packed = data.cam.bytes;
    memory.maps = Uint8Array.from(atob(data.cam.bytes), (letter) => letter.charCodeAt(0));
    memory.heatOf = null;
  }
}

/** A function that writes a text at (x, y) of the frame, or lower if another label is in its way. */
function labeller(svg, frame) {
  const taken = []; // [x0, y, x1] of the labels so far
  // The image is stretched to the frame's square; letters are stretched back.
  const across = frame / (svg.clientWidth || frame);
  const down = frame / (svg.clientHeight || frame);
  return (text, x, wantedY) => {
    const width = (LETTER * text.length + 4) * across;
    const height = LINE * down;
    let y = Math.max(height, wantedY);
    const isTaken = () => taken.some(([x0, at, x1]) => x < x1 && x + width > x0 && Math.abs(y - at) < height);
    while (y + height < frame && isTaken()) y += height / 3;
    taken.push([x, y, x + width]);
    const label = svgElement("text", { transform: `translate(${x} ${y}) scale(${across} ${down})` });
    label.textContent = text;
    return label;
  };
}

function area([x0, y0, x1, y1]) {
  return (x1 - x0) * (y1 - y0);
}

function isWriting(target) {
  return /^(text|search|number|textarea)$/.test(target.type || "") || target.isContentEditable;
}

function chipOf(c, name, score, colour, choose) {
  const chip = element("button");
  const dot = element("i");
  dot.style.background = colour;
  chip.type = "button";
  chip.dataset.cls = c;
  chip.append(dot, name, element("b", "", score.toFixed(2)));
  chip.onclick = () => choose(c);
  return chip;
}

function toggleOf(letter, text, flip) {
  const toggle = element("button");
  toggle.type = "button";
  toggle.dataset.show = letter;
  toggle.append(text, element("kbd", "", letter.toUpperCase()));
  toggle.onclick = () => flip(letter);
  return toggle;
}
