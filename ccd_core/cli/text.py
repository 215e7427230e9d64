"""Text for the terminal, in which names and paths are shown as they are."""

from __future__ import annotations

import re

from rich.console import Console
from rich.markup import escape

console = Console()
messages = Console(stderr=True)  # for what must not mix with a command's output


def say(text: str, *names: object, to: Console = console) -> None:
    """Print `text`, in which each {} is the next of `names`. Only `text` may hold rich's marks, such as
    [bold].

    A line is not wrapped, so that a command in it can be pasted.
    """
    to.print(text.format(*(escape(str(name)) for name in names)), soft_wrap=True, highlight=False)


def shorter(text: str, most: int = 300) -> str:
    """`text` in which a word of more than `most` letters, such as a name of thousands, is cut."""
    return re.sub(rf"\S{{{most},}}", lambda word: f"{word[0][:100]}...{word[0][-30:]}", text)
