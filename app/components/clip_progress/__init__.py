"""How far CLIP has been asked about an image, as a bar that the browser keeps up by itself.

It asks the server over HTTP, which asks CLIP on meanwhile, and has the page's fragment run again only when there is more to show. A fragment
that ran every tenth of a second would send the state of every widget each time, also one that the server had just changed: a press of Next
or a moved crop was sometimes undone by it.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

HTML = """<div class="asking"><progress max="1" value="0"></progress><span role="status"></span></div>"""

CSS = """
.asking { display: flex; flex-direction: column; gap: .3rem; font-family: var(--st-font); font-size: .875rem; color: var(--st-text-color); }
progress { appearance: none; width: 100%; height: .5rem; border: 0; border-radius: .25rem; overflow: hidden; background: var(--st-secondary-background-color); }
progress::-webkit-progress-bar { background: var(--st-secondary-background-color); }
progress::-webkit-progress-value { background: var(--st-primary-color); border-radius: .25rem; transition: width .2s; }
progress::-moz-progress-bar { background: var(--st-primary-color); border-radius: .25rem; }
"""

JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const memory = parentElement.asking || (parentElement.asking = { round: 0 }), round = ++memory.round;
  const bar = parentElement.querySelector("progress"), text = parentElement.querySelector("span");
  const here = () => memory.round === round && bar.isConnected;
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const show = (now) => {
    bar.value = now.known / now.total;
    text.textContent = now.waking ? "Asking CLIP about this crop; the first time it takes a few seconds to start"
      : `CLIP has been asked about ${now.known} of ${now.total} crops of this image, ${Math.max(1, now.seconds)} s left`;
  };
  const follow = async () => {
    const began = performance.now();
    for (let misses = 0; here() && misses < 20; ) {
      const answer = await fetch(data.url, { cache: "no-store" }).catch(() => null);
      if (!here()) return;
      if (!answer?.ok) { misses++; await sleep(1000); continue; }
      misses = 0;
      const now = await answer.json();
      if (!here()) return;
      show(now);
      const more = now.stages > data.stages || (now.known > data.known && performance.now() - began > data.redraw);
      if (more || now.failed) { setTriggerValue("more", now.known); await sleep(2000); }  // it is said again should it be lost
      else await sleep(30);
    }
  };
  if (!memory.seen) { memory.seen = true; show(data); }
  follow();
}
"""

_component = st.components.v2.component("ccd_asking", html=HTML, css=CSS, js=JS)


def asking(url: str, drawn: dict[str, Any], redraw: float) -> None:
    """Follow `url` (`image_routes.asked_url`) and run the fragment around again when more stages are complete than in what is `drawn`
    (`opinions.how_far`), or after `redraw` seconds when more answers have come."""
    _component(
        data=drawn | {"url": url, "redraw": 1000 * redraw, "seconds": 1},
        key="asking",
        on_more_change=lambda: None,
    )
