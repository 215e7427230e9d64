import { element } from "../shared.js";

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const grid = parentElement.querySelector(".grid");
  grid.style.setProperty("--tile", data.tile);
  const items = JSON.stringify(data.items);
  if (grid.items !== items) {
    // A rerun that shows the same images leaves them, and the focus, alone.
    grid.items = items;
    grid.replaceChildren(...data.items.map(tileOf));
  }
  const tiles = [...grid.children];
  for (const tile of tiles) tile.setAttribute("aria-selected", tile.dataset.id === data.selected);

  // Enter and Space click a button by themselves.
  grid.onclick = (event) => {
    const tile = event.target.closest(".tile");
    if (tile) setTriggerValue("picked", tile.dataset.id);
  };
  grid.onkeydown = (event) => {
    const here = tiles.indexOf(event.target.closest(".tile"));
    const step = stepOf(event.key, here, tiles);
    if (here < 0 || step === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the page's own arrow keys stay out of the grid
    const next = tiles[Math.min(tiles.length - 1, Math.max(0, here + step))];
    tiles[here].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  };
}

/** How many tiles a key goes on from the tile `here`; undefined for any other key. */
function stepOf(key, here, tiles) {
  const across = Math.max(1, tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length);
  const steps = {
    ArrowRight: 1,
    ArrowLeft: -1,
    ArrowDown: across,
    ArrowUp: -across,
    Home: -here,
    End: tiles.length - 1 - here,
  };
  return steps[key];
}

/** The button of one image. Only the first is reached by Tab; arrow keys go on to the others. */
function tileOf(item, place) {
  const tile = element("button", "tile");
  tile.type = "button";
  tile.title = item.id;
  tile.tabIndex = place ? -1 : 0;
  tile.dataset.id = item.id;
  tile.setAttribute("role", "option");
  const words = element("div", "words");
  words.append(element("div", "caption", item.caption));
  if (item.badges.length) {
    const badges = element("div", "badges");
    badges.append(...item.badges.map((text) => element("span", "badge", text)));
    words.append(badges);
  }
  tile.append(pictureOf(item), element("div", `tone ${item.tone}`), words);
  return tile;
}

/** The image itself, which the browser fetches when it comes into sight. */
function pictureOf(item) {
  const picture = element("img");
  picture.loading = "lazy";
  picture.decoding = "async";
  picture.alt = "";
  picture.onerror = () => picture.classList.add("gone");
  picture.src = item.src;
  return picture;
}
