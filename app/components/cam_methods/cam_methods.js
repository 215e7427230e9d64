import { boxOutline, element, paintHeat, svgElement } from "../shared.js";

const HEAT_SIDE = 240; // pixels of the heat's canvas

export default function ({ data, parentElement }) {
  parentElement.querySelector(".maps").replaceChildren(...data.panels.map((panel) => figureOf(panel, data)));
}

/** The image under one method, with the box and the method's name. */
function figureOf(panel, data) {
  const image = element("img");
  image.alt = "";
  image.src = data.image;
  const canvas = element("canvas");
  paintHeat(canvas, HEAT_SIDE, panel.map.flat(), panel.map[0].length, data.heat);
  const picture = element("div", "picture");
  picture.append(image, canvas);
  if (panel.box) {
    const frame = `0 0 ${data.frame} ${data.frame}`;
    const svg = svgElement("svg", { viewBox: frame, preserveAspectRatio: "none" });
    svg.append(boxOutline(panel.box, "box"));
    picture.append(svg);
  }
  const figure = element("figure");
  figure.append(picture, element("figcaption", "", panel.name));
  return figure;
}
