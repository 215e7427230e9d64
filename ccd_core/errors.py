"""Which errors are the user's to mend: one exception type whose message is written for that person."""

from __future__ import annotations


class UserError(Exception):
    """A mistake of the user's: one clear sentence that names what was wrong, where, and what to do."""


class ImageError(UserError):
    """An image file cannot be used; the sentence names the file and what is wrong with it."""


class Stopped(BaseException):
    """Somebody asked the run to stop; like KeyboardInterrupt, nothing that goes wrong on the way."""
