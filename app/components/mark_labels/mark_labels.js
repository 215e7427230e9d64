import { element } from "../shared.js";

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const box = parentElement.querySelector(".marking");
  if (box.shown === data.image && box.place === data.place) return; // a rerun with the same image
  box.shown = data.image;
  box.place = data.place;
  let waiting = false; // for the next image, after this one was sent

  const picture = box.querySelector("img");
  picture.src = data.url;
  picture.alt = data.image;
  box.querySelector("figcaption").textContent = data.image;
  box.querySelector(".place").textContent = data.place;
  if (data.next) new Image().src = data.next;

  const buttons = data.classes.map(({ name, key }, index) => {
    const button = element("button", "class", name);
    button.type = "button";
    if (key) button.append(element("kbd", "", /[A-Z]/.test(key) ? `⇧${key}` : key));
    press(button, data.marked.includes(index));
    button.onclick = () => press(button, !isOn(button));
    return button;
  });
  box.querySelector(".classes").replaceChildren(...buttons);

  const next = box.querySelector(".next");
  const back = box.querySelector(".back");
  back.disabled = !data.can_go_back;
  next.onclick = () => {
    if (waiting) return;
    waiting = true;
    const chosen = buttons.flatMap((button, index) => (isOn(button) ? [index] : []));
    setTriggerValue("done", { image: data.image, classes: chosen });
  };
  back.onclick = () => {
    if (waiting || back.disabled) return;
    waiting = true;
    setTriggerValue("back", data.image);
  };

  box.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pressed = event.key.toLowerCase();
    // Enter and Space on a focused class are a click on it, as on any button.
    const onClass = buttons.includes(event.target) || event.target === back;
    if (pressed === "n" || pressed === "arrowright" || (pressed === "enter" && !onClass)) next.click();
    else if (pressed === "u" || pressed === "arrowleft" || pressed === "backspace") back.click();
    else {
      const named = (wanted) => data.classes.findIndex(({ key }) => key && key === wanted);
      const index = named(event.key) < 0 ? named(pressed) : named(event.key);
      if (index < 0) return;
      buttons[index].click();
    }
    event.preventDefault();
    event.stopPropagation();
  };
  box.focus({ preventScroll: true });
}

function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}

function isOn(button) {
  return button.getAttribute("aria-pressed") === "true";
}
