() => {
  const hosts = [
    document,
    ...[...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean),
  ];
  const all = (what) =>
    hosts.flatMap((host) => [...host.querySelectorAll(what)]).filter((one) => one.getClientRects().length);
  const bare = (one) =>
    !(
      one.getAttribute("aria-label") ||
      one.getAttribute("aria-labelledby") ||
      one.title ||
      one.textContent.trim()
    );
  const named = (chart) =>
    [chart, ...chart.querySelectorAll("*")].some((one) =>
      (one.getAttribute("aria-label") || "").includes(": "),
    );
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")]
    .filter((one) => one.getClientRects().length)
    .map((one) => +one.tagName[1]);
  return [
    ...(document.documentElement.lang ? [] : ["the page has no language"]),
    ...all("img:not([alt])").map((one) => `no alt: ${one.src}`),
    ...all("button, a[href], [role=button]")
      .filter((one) => bare(one) && !one.querySelector("img[alt], svg[aria-label]"))
      .map((one) => `no name: ${one.outerHTML.slice(0, 120)}`),
    ...all("[data-testid=stPlotlyChart]")
      .filter((one) => !named(one))
      .map(() => "a figure does not say what it shows"),
    ...levels
      .filter((level, k) => level > (levels[k - 1] ?? 0) + 1)
      .map((level) => `h${level} after ${levels}`),
  ];
};
