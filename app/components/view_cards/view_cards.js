import { element, svgElement } from "../shared.js";

export default function ({ data, parentElement }) {
  parentElement.querySelector(".cards").replaceChildren(...data.cards.map((card) => cardOf(card, data)));
}

function cardOf(card, data) {
  const said = element("div", "said");
  said.append(headingOf(card), ...card.rows.map((row) => rowOf(row, card)));
  if (card.gives) said.append(element("p", "gives", card.gives));
  const made = element("div", card.whole ? "card whole" : "card");
  made.append(viewOf(card, data), said);
  return made;
}

/** The part of the image that the card is about. */
function viewOf(card, data) {
  const [x0, y0, x1, y1] = card.box;
  const [width, height] = data.size;
  const view = `${x0} ${y0} ${x1 - x0} ${y1 - y0}`;
  const svg = svgElement("svg", { viewBox: view, role: "img", "aria-label": card.title });
  svg.append(svgElement("image", { href: data.image, width, height, preserveAspectRatio: "none" }));
  return svg;
}

function headingOf(card) {
  const heading = element("h3");
  if (card.number) {
    const number = element("i", "", card.number);
    number.style.background = card.colour;
    number.style.color = card.text_colour;
    heading.append(number, " ");
  }
  heading.append(`${card.title} `, element("small", "", card.detail));
  return heading;
}

/** A class, with a bar for its probability and, where that is given, one for the debiased one. */
function rowOf(row, card) {
  const bars = element("div", "bars");
  bars.append(barOf(row.p, ""));
  let title = `${row.name}: ${row.p.toFixed(3)}`;
  if (row.debiased !== null) {
    bars.append(barOf(row.debiased, "debiased"));
    title += `, debiased ${row.debiased.toFixed(3)}`;
  }
  const line = element("div", row.name === card.own ? "row own" : "row");
  line.title = title;
  const number = (row.debiased ?? row.p).toFixed(2);
  line.append(element("span", "", row.name), bars, element("span", "", number));
  return line;
}

function barOf(p, className) {
  const bar = element("i", className);
  bar.style.width = `${100 * p}%`;
  return bar;
}
