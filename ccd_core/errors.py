"""Errors that the user can fix. Each has a message that is written for the user."""

from __future__ import annotations


class UserError(Exception):
    """A mistake of the user. Its message is one clear sentence: what is wrong, where, and what to do."""


class ImageError(UserError):
    """An image file cannot be used. The message names the file and what is wrong with it."""


class Stopped(BaseException):
    """Somebody asked the run to stop. Like KeyboardInterrupt, it is not an error."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop; the error's class where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
