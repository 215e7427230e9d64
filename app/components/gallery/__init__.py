"""A page of pictures to choose from: one component whose images the browser fetches when they come into sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from app.routes import image_url
from ccd_core.runs.run import Run

PAGE = 24

HTML = """
<div class="grid" role="listbox" aria-label="images"></div>
"""

CSS = """
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--tile), 1fr)); gap: .75rem; padding: 3px;
  font-family: var(--st-font); color: var(--st-text-color); }
.tile { display: flex; flex-direction: column; padding: 0; margin: 0; border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius);
  overflow: hidden; background: var(--st-background-color); color: inherit; font: inherit; text-align: left; cursor: pointer;
  transition: transform .12s, border-color .12s; }
.tile:hover { transform: translateY(-2px); border-color: var(--st-primary-color); }
.tile:focus-visible, .tile[aria-selected=true] { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.tile img { width: 100%; aspect-ratio: 4 / 3; object-fit: cover; display: block; background: var(--st-secondary-background-color); }
.tile img.gone { visibility: hidden; }
.tone { height: 4px; background: transparent; }
.tone.good { background: #009E73; } .tone.bad { background: #D55E00; } .tone.note { background: #E69F00; }
.words { padding: .35rem .5rem .45rem; display: flex; flex-direction: column; gap: .3rem; min-width: 0; }
.caption { font-size: .8rem; line-height: 1.25; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.badges { display: flex; flex-wrap: wrap; gap: .25rem; }
.badge { font-size: .72rem; line-height: 1; padding: .2rem .4rem; border-radius: .5rem; background: var(--st-secondary-background-color); white-space: nowrap; }
"""

JS = """
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const grid = parentElement.querySelector(".grid");
  const element = (name, kind, text) => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  grid.style.setProperty("--tile", data.tile);
  const what = JSON.stringify(data.items);
  if (grid.shown !== what) {  // a rerun that shows the same pictures leaves them, and the focus, alone
    grid.shown = what;
    grid.replaceChildren(...data.items.map((item, place) => {
      const tile = element("button", "tile"), picture = element("img"), words = element("div", "words");
      tile.type = "button"; tile.dataset.id = item.id; tile.setAttribute("role", "option"); tile.title = item.id; tile.tabIndex = place ? -1 : 0;
      picture.loading = "lazy"; picture.decoding = "async"; picture.alt = ""; picture.src = item.src;
      picture.onerror = () => picture.classList.add("gone");
      words.append(element("div", "caption", item.caption));
      if (item.badges.length) {
        const badges = element("div", "badges");
        badges.append(...item.badges.map((text) => element("span", "badge", text)));
        words.append(badges);
      }
      tile.append(picture, element("div", `tone ${item.tone}`), words);
      return tile;
    }));
  }
  const tiles = [...grid.children];
  for (const tile of tiles) tile.setAttribute("aria-selected", tile.dataset.id === data.selected);
  grid.onclick = (event) => {
    const tile = event.target.closest(".tile");
    if (tile) setTriggerValue("picked", tile.dataset.id);  // Enter and Space click a button by themselves
  };
  grid.onkeydown = (event) => {
    const here = tiles.indexOf(event.target.closest(".tile"));
    const across = Math.max(1, tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, Home: -here, End: tiles.length - 1 - here }[event.key];
    if (here < 0 || step === undefined) return;
    event.preventDefault(); event.stopPropagation();  // the page's own arrow keys stay out of the grid
    const next = tiles[Math.min(tiles.length - 1, Math.max(0, here + step))];
    tiles[here].tabIndex = -1; next.tabIndex = 0; next.focus();
  };
}
"""

_component = st.components.v2.component("ccd_gallery", html=HTML, css=CSS, js=JS)


def gallery(
    run: Run,
    items: Sequence[dict[str, Any]],
    key: str,
    *,
    selected: str | None = None,
    on_pick: Callable[[str], None] | None = None,
    tile: str = "9.5rem",
) -> str | None:
    """A grid of images of `run`; returns the id of the one just chosen by click, Enter or Space (arrow keys move), else None.

    items: {"id": ..., "caption": ..., "badges": [...], "tone": "good" | "bad" | "note" | ""}, of which only the id is needed. `on_pick(id)`
    is called before the rerun, which is the place to change what other widgets show. `tile` is how narrow a picture may be.
    """
    tiles = [
        {
            "id": item["id"],
            "src": image_url(run.name, item["id"]),
            "caption": item.get("caption", item["id"]),
            "badges": list(item.get("badges", ())),
            "tone": item.get("tone", ""),
        }
        for item in items
    ]

    def picked() -> None:
        if on_pick and st.session_state[key].picked:
            on_pick(st.session_state[key].picked)

    return _component(
        data={"items": tiles, "selected": selected, "tile": tile}, key=key, on_picked_change=picked
    ).picked


def gallery_pages(
    run: Run,
    ids: Sequence[str],
    describe: Callable[[str], dict[str, Any]],
    key: str,
    *,
    selected: str | None = None,
    on_pick: Callable[[str], None] | None = None,
    page_size: int = PAGE,
) -> str | None:
    """`gallery` of any number of images, a page at a time (`?KEY_page=` in the link); `describe(id)` is asked for those on the page only."""
    count = max(1, -(-len(ids) // page_size))
    page = st.pagination(count, key=f"{key}_page", bind="query-params") if count > 1 else 1
    shown = ids[page_size * (page - 1) : page_size * page]
    return gallery(
        run, [describe(image) | {"id": image} for image in shown], key, selected=selected, on_pick=on_pick
    )
