"""Pieces of HTML. Every text goes through `text`, so that no name is ever markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

# Control characters and odd bytes of file names, which UTF-8 or HTML do not have.
NOT_IN_HTML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def text(value: object) -> str:
    """A value as text of HTML or of an attribute in quotation marks."""
    return html.escape(NOT_IN_HTML.sub("\ufffd", str(value)))


def table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers_from: int = 1) -> str:
    """A table. Columns from `numbers_from` on are aligned right, as numbers are."""

    def cells(row: Sequence[object], tag: str) -> str:
        kinds = [' class="number"' if place >= numbers_from else "" for place in range(len(row))]
        return "".join(f"<{tag}{kind}>{text(value)}</{tag}>" for kind, value in zip(kinds, row, strict=True))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="scrolls"><table><thead><tr>{cells(head, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def section(title: str, *parts: str, lead: str = "") -> str:
    """A section with a title and, in plain words, what it shows."""
    said = f'<p class="lead">{text(lead)}</p>' if lead else ""
    return f"<section><h3>{text(title)}</h3>{said}{''.join(parts)}</section>"


def details(title: str, content: str, drawn_above: bool = False) -> str:
    """What is folded away on a screen and open on paper.

    drawn_above: a chart shows the same, so that paper goes without it.
    """
    kind = ' class="drawn-above"' if drawn_above else ""
    return f"<details{kind}><summary>{text(title)}</summary>{content}</details>"


def note(sentence: str) -> str:
    return f'<p class="note">{text(sentence)}</p>'
