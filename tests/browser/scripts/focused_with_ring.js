() => {
  let at = document.activeElement;
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  const style = getComputedStyle(at);
  return {
    name: at.getAttribute("aria-label") || at.closest("label")?.innerText || at.innerText || at.className,
    ring: at.matches(":focus-visible") && (style.outlineStyle !== "none" || style.boxShadow !== "none"),
  };
};
