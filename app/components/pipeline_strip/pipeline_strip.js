import { boxOutline, element, svgElement } from "../shared.js";

export default function ({ data, parentElement, setTriggerValue }) {
  const open = (page) => setTriggerValue("opened", page);
  parentElement.querySelector(".strip").replaceChildren(...data.steps.map((step) => itemOf(step, open)));
}

/** The card of one step. */
function itemOf(step, open) {
  const show = element("div", "show");
  show.append(...step.pictures.map(pictureOf));
  if (step.boxes.length) show.append(outlines(step.boxes));
  const highest = Math.max(...step.bars);
  show.append(...step.bars.map((value) => barOf(value / highest)));

  const card = element("button");
  card.type = "button";
  card.onclick = () => open(step.page);
  card.append(element("span", "title", step.title), show, element("b", "", step.value));
  card.append(element("p", "", step.text));
  const item = element("li");
  item.append(card);
  return item;
}

function pictureOf(address) {
  const picture = element("img");
  picture.alt = "";
  picture.src = address;
  return picture;
}

/** Boxes over a picture, in fractions of it. */
function outlines(boxes) {
  const svg = svgElement("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none" });
  svg.append(...boxes.map((box) => boxOutline(box, "box")));
  return svg;
}

function barOf(share) {
  const bar = element("i");
  bar.style.height = `${100 * share}%`;
  return bar;
}
