// What several components need. app/components/files.py puts it in front of a component's own script.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; class and text may be left out. */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

/** An SVG element with attributes. */
export function svgElement(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The outline of a box [x0, y0, x1, y1], as an SVG element. */
export function boxOutline([x0, y0, x1, y1], className) {
  return svgElement("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0, class: className });
}

/** The box wider by `offset` on every side, within the square frame; as `add_offset` in ccd_core/method. */
export function addOffset([x0, y0, x1, y1], offset, frame) {
  return [
    Math.max(0, x0 - offset),
    Math.max(0, y0 - offset),
    Math.min(frame, x1 + offset),
    Math.min(frame, y1 + offset),
  ];
}

/**
 * Draw a map over a whole canvas, which becomes `side` pixels wide and high.
 *
 * values: numbers in [0, 1], row by row, `width` of them a row.
 * heat: {colours: [256][3], opacity: that of a value of 1}, from Python.
 * faintest: the opacity of a value of 0.
 */
export function paintHeat(canvas, side, values, width, heat, faintest = 0) {
  const small = element("canvas");
  small.width = width;
  small.height = values.length / width;
  const context = small.getContext("2d");
  const pixels = context.createImageData(small.width, small.height);
  values.forEach((value, place) => {
    const opacity = faintest + (heat.opacity - faintest) * value;
    pixels.data.set([...heat.colours[Math.round(255 * value)], 255 * opacity], 4 * place);
  });
  context.putImageData(pixels, 0, 0);
  canvas.width = side;
  canvas.height = side;
  canvas.getContext("2d").drawImage(small, 0, 0, side, side);
}
