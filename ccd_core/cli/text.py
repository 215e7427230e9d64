"""Text for the terminal, in which names and paths are shown as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich import markup
from rich.console import Console

if TYPE_CHECKING:
    from ccd_core.machine.advice import Advice

# `:cat:` in a name stays these five letters.
console = Console(emoji=False)
messages = Console(stderr=True, emoji=False)  # for what must not mix with a command's output

# What a terminal obeys instead of showing it: control characters, and those that turn the direction of text.
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """`text` with every control character as its code, such as \\x1b."""
    return OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def escape(text: str) -> str:
    """`text` for a Console that shows it as it is, whatever marks and control characters are in it."""
    return markup.escape(harmless(text))


def say(text: str, *names: object, to: Console = console) -> None:
    """Print `text`, in which each {} is the next of `names`. Only `text` may hold rich's marks, such as
    [bold].

    A line is not wrapped, so that a command in it can be pasted.
    """
    to.print(text.format(*(escape(str(name)) for name in names)), soft_wrap=True, highlight=False)


def say_preset(advice: Advice, to: Console = console) -> None:
    """Say which preset is taken where nobody has chosen one, and why."""
    say("Preset [bold]{}[/], because {}. --preset chooses another one.", advice.preset, advice.why, to=to)


def shorter(text: str, most: int = 300) -> str:
    """`text` in which a word of more than `most` letters, such as a name of thousands, is cut."""
    return re.sub(rf"\S{{{most},}}", lambda word: f"{word[0][:100]}...{word[0][-30:]}", text)
