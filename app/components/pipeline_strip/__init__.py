"""The pipeline as a strip of cards, each with its key picture or number and a way to the page that shows more."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import streamlit as st

from app import state

HTML = """
<ol class="strip"></ol>
"""

CSS = """
.strip { list-style: none; margin: 0; padding: 2px; display: grid; grid-template-columns: repeat(auto-fit, minmax(8.6rem, 1fr)); gap: .9rem;
  font-family: var(--st-font); color: var(--st-text-color); }
button { display: flex; flex-direction: column; justify-content: flex-start; width: 100%; height: 100%; text-align: left; font: inherit; color: inherit; cursor: pointer; padding: .65rem .75rem;
  background: var(--st-secondary-background-color); border: 1px solid transparent; border-radius: var(--st-base-radius); transition: border-color .12s; }
button:hover { border-color: var(--st-primary-color); } button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
li { position: relative; }
li:not(:last-child)::after { content: "›"; position: absolute; right: -.7rem; top: 50%; transform: translateY(-55%); opacity: .45; font-size: 1.2rem; }
.title { margin: 0 0 .4rem; font-size: .8rem; font-weight: 600; opacity: .75; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.show { width: 100%; flex: 0 0 3.6rem; display: flex; align-items: flex-end; gap: 2px; overflow: hidden; border-radius: 6px; position: relative; margin-bottom: .45rem; }
.show i { flex: 1 1 2px; min-width: 1px; background: #56B4E9; border-radius: 2px 2px 0 0; }
.show img { flex: 1; min-width: 0; height: 100%; object-fit: cover; }
.show svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.show:has(svg) img { object-fit: fill; }
b { font-size: 1.25rem; font-weight: 600; line-height: 1.1; } p { margin: .1rem 0 0; font-size: .76rem; opacity: .7; line-height: 1.25; }
"""

JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const element = (name, text) => { const made = document.createElement(name); if (text !== undefined) made.textContent = text; return made; };
  parentElement.querySelector(".strip").replaceChildren(...data.steps.map((step) => {
    const item = element("li"), card = element("button"), show = element("div"), title = element("span", step.title);
    title.className = "title"; card.type = "button"; show.className = "show";
    for (const address of step.pictures) { const image = element("img"); image.src = address; image.alt = ""; show.append(image); }
    if (step.boxes.length) {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 1 1"); svg.setAttribute("preserveAspectRatio", "none");
      for (const [x0, y0, x1, y1] of step.boxes) {
        const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        for (const [key, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: "none", stroke: "#E69F00",
          "stroke-width": 2, "vector-effect": "non-scaling-stroke" })) rect.setAttribute(key, value);
        svg.append(rect);
      }
      show.append(svg);
    }
    const most = Math.max(...step.bars);
    for (const value of step.bars) { const bar = element("i"); bar.style.height = `${100 * value / most}%`; show.append(bar); }
    card.append(title, show, element("b", step.value), element("p", step.text));
    card.onclick = () => setTriggerValue("opened", step.page);
    item.append(card);
    return item;
  }));
}
"""

_component = st.components.v2.component("ccd_pipeline_strip", html=HTML, css=CSS, js=JS)


@dataclass(frozen=True)
class Step:
    """One card: title, number, what it counts, the page it opens; pictures (addresses), bars, or boxes (fractions of the picture)."""

    title: str
    value: str
    text: str
    page: str
    pictures: tuple[str, ...] = ()
    bars: tuple[float, ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()


def pipeline_strip(steps: list[Step], key: str) -> None:
    """Show the steps; a click on one goes to its page."""
    opened = _component(
        data={"steps": [asdict(step) for step in steps]}, key=key, on_opened_change=lambda: None
    ).opened
    if opened in {step.page for step in steps}:
        st.switch_page(f"../pages/{opened}.py", query_params={state.RUN: st.session_state[state.RUN]})
