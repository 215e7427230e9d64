() => {
  for (const host of [
    document,
    ...[...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean),
  ]) {
    if (host.still) continue;
    host.still = document.createElement("style");
    host.still.textContent = "* { transition: none !important; }";
    (host.head || host).append(host.still);
  }
  const look = (one) => {
    const s = getComputedStyle(one);
    return [s.outline, s.boxShadow, s.borderColor, s.backgroundColor].join("|");
  };
  const name = (one) => (one.getAttribute("aria-label") || one.innerText || one.outerHTML).slice(0, 60);
  const was = window.focusWas,
    shown = was && was.parts.some((one, k) => look(one) !== was.looks[k]);
  let at = document.activeElement,
    parts = [];
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  for (let up = at, k = 0; up && up !== document.body && k < 4; up = up.parentElement, k++)
    parts.push(up, ...(up.parentElement?.children || []));
  parts = parts.slice(0, 40);
  window.focusWas = { at, parts, looks: parts.map(look) };
  if (at !== document.body) window.focusFirst ??= at;
  return {
    over: at === document.body || (was && was.at !== document.body && at === window.focusFirst),
    stays: was?.at === at,
    name: name(at),
    tile: at.matches(".tile"),
    hidden: was && was.at !== document.body && was.at.tagName !== "MAIN" && !shown ? name(was.at) : "",
  };
};
