() => {
  if (window.changed === undefined) {
    window.changed = performance.now();
    new MutationObserver(() => (window.changed = performance.now())).observe(document, {
      childList: true,
      subtree: true,
      attributes: true,
      characterData: true,
    });
  }
  return (
    document.querySelector("h1") &&
    document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]") &&
    !document.querySelector("[data-testid=stSkeleton], [data-testid=stSpinner]") &&
    performance.now() - window.changed > 300
  );
};
