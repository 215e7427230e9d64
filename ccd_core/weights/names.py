"""The sentence for a model that a library does not have, with the names that may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ccd_core.errors import UserError

NEAREST = 3  # names that a sentence offers in place of an unknown one
LIKENESS = 0.5  # the least of a name that is offered, by difflib's measure


def unknown_model(library: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among a library's: open_clip or timm, which list theirs alike."""
    near = nearest_names(name, known)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return UserError(
        f"{library} has no model {name!r}; {meant}"
        f"`python -c 'import {library}; print({library}.list_models())'` lists them."
    )


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """The names most like a misspelt one, at most `NEAREST`. Case and kind of dash do not matter."""
    plain = {plain_name(other): other for other in known}
    return [plain[other] for other in difflib.get_close_matches(plain_name(name), plain, NEAREST, LIKENESS)]


def plain_name(name: str) -> str:
    """A name in lower case and with underscores for dashes."""
    return name.lower().replace("-", "_")
