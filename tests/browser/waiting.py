"""When a page of the app is ready to be used by a test."""

from __future__ import annotations

# Streamlit says that its script has ended before the browser has drawn what it sent, and React draws some widgets before others that stand
# above them: a page is ready when nothing in it has changed for a while.
QUIET = """() => {
  if (window.changed === undefined) {
    window.changed = performance.now();
    new MutationObserver(() => (window.changed = performance.now()))
      .observe(document, { childList: true, subtree: true, attributes: true, characterData: true });
  }
  return document.querySelector("h1") && document.querySelector("[data-testid=stApp][data-test-script-state=notRunning]")
    && !document.querySelector("[data-testid=stSkeleton], [data-testid=stSpinner]") && performance.now() - window.changed > 300;
}"""


def settled(page) -> None:
    page.wait_for_function(QUIET, polling=50)
