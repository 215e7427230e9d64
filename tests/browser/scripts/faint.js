() => {
  const hosts = [
    document,
    ...[...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean),
  ];
  const up = (one) => one.parentElement || one.getRootNode().host;
  const rgba = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number),
      scale = colour.startsWith("color") ? 255 : 1;
    return [r * scale, g * scale, b * scale, a];
  };
  const over = ([r, g, b, a], ground) => [r, g, b].map((value, k) => value * a + ground[k] * (1 - a));
  const linear = (value) =>
    value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const skipped =
    "style, script, title, desc, .bartext-inside, .scene *, .stage *, .tile .badge, [disabled] *, [aria-disabled=true] *, [data-testid=stIconMaterial], [role=img], [data-testid=stSliderThumbValue] *, .katex-mathml *";
  const faint = [];
  for (const one of hosts.flatMap((host) => [...host.querySelectorAll("*")])) {
    const text = [...one.childNodes]
      .filter((child) => child.nodeType === 3)
      .map((child) => child.textContent.trim())
      .join("");
    if (
      !text ||
      text === "…" ||
      one.matches(skipped) ||
      !one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true, contentVisibilityAuto: true })
    )
      continue;
    const chain = [];
    for (let at = one; at; at = up(at)) chain.unshift(at);
    const styles = chain.map((at) => getComputedStyle(at)),
      own = styles.at(-1),
      drawn = !!one.ownerSVGElement;
    const ground = styles.reduce((below, style) => over(rgba(style.backgroundColor), below), [255, 255, 255]);
    const colour = rgba(drawn ? own.fill : own.color);
    colour[3] *= styles.reduce((all, style) => all * style.opacity, 1) * (drawn ? own.fillOpacity : 1);
    const [light, dark] = [luminance(over(colour, ground)), luminance(ground)].sort((a, b) => b - a);
    if ((light + 0.05) / (dark + 0.05) < 4.5)
      faint.push(
        `${text.slice(0, 40)} (${((light + 0.05) / (dark + 0.05)).toFixed(1)} : 1, ${one.tagName} ${one.className.baseVal ?? one.className})`,
      );
  }
  return faint;
};
