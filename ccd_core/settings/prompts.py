"""The prompts of each class (Sec. 3.1): one, or the average of many, with the class's name or other words.

    prompts_of(("cat", "tvmonitor"), "a photo of the {}", {"tvmonitor": ["tv monitor", "television"]})
    [["a photo of the cat"], ["a photo of the tv monitor", "a photo of the television"]]

Only CLIP's text embeddings depend on prompts. Its image embeddings stay valid when prompts change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ccd_core.errors import UserError

# Sets of prompts in open_clip: {our name: its name}.
NAMED = {"imagenet7": "SIMPLE_IMAGENET_TEMPLATES", "imagenet80": "OPENAI_IMAGENET_TEMPLATES"}
Names = Mapping[str, str | Sequence[str]]


def templates(prompt: str | Sequence[str]) -> list[str]:
    """The templates of the setting `clip.prompt`, which is one template, several, or the name of a set."""
    check(prompt)
    if isinstance(prompt, str) and prompt in NAMED:
        from open_clip import zero_shot_metadata

        return [template("{}") for template in getattr(zero_shot_metadata, NAMED[prompt])]
    return [prompt] if isinstance(prompt, str) else list(prompt)


def check(prompt: str | Sequence[str]) -> None:
    """Raise UserError for a template without {}, or for an empty list."""
    if not prompt:
        raise UserError("There is no prompt; give one, as in 'a photo of the {}'.")
    for template in [prompt] if isinstance(prompt, str) else prompt:
        if "{}" not in template and not (isinstance(prompt, str) and prompt in NAMED):
            sets = " or ".join(NAMED)
            raise UserError(
                f"The prompt {template!r} has no {{}} in the place of the class name, as in "
                f"'a photo of the {{}}', and is not {sets}."
            )


def prompts_of(
    classes: Sequence[str], prompt: str | Sequence[str], names: Names | None = None
) -> list[list[str]]:
    """The prompts of each class: every template with every name of the class.

    names: {class: other words for it}. Raises UserError if it has a class that is not in `classes`.
    """
    names = names or {}
    if unknown := [name for name in names if name not in classes]:
        raise UserError(
            f"clip.names has words for {unknown[0]!r}, which is not a class of this data set; its classes "
            "are "
            f"{', '.join(classes)}."
        )
    forms = templates(prompt)
    prompts = []
    for name in classes:
        words = names.get(name) or name
        words = [words] if isinstance(words, str) else words
        prompts.append([form.replace("{}", word) for word in words for form in forms])
    return prompts


def parse_names(given: Sequence[str]) -> dict[str, list[str]]:
    """Other words of classes, from texts such as "tvmonitor=tv monitor, television".

    Raises UserError for a text of another form.
    """
    names = {}
    for text in given:
        cls, equals, words = text.partition("=")
        chosen = [word.strip() for word in words.split(",") if word.strip()]
        if not equals or not cls.strip() or not chosen:
            raise UserError(
                f"Other words for a class are written as CLASS=WORDS, for example 'tvmonitor=tv monitor, "
                f"television', not {text!r}."
            )
        names[cls.strip()] = chosen
    return names
