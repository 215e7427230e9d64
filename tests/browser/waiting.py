"""When a page of the app is ready to be used by a test."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = Path(__file__).with_name("scripts")


def script(name: str) -> str:
    """A function in JavaScript for the browser, from tests/browser/scripts."""
    return (SCRIPTS / name).read_text(encoding="utf-8").strip().rstrip(";")


# Streamlit says that its script has ended before the browser has drawn what it sent, and React draws some
# widgets before others that stand above them: a page is ready when nothing in it has changed for a while.
QUIET = script("quiet.js")


def settled(page) -> None:
    page.wait_for_function(QUIET, polling=50)
