"""What CLIP is told of a class (Sec. 3.1): one prompt or an average of many, the class's name or other words
for it.

    prompts_of(("cat", "tvmonitor"), "a photo of the {}", {"tvmonitor": ["tv monitor", "television"]})
    [["a photo of the cat"], ["a photo of the tv monitor", "a photo of the television"]]

Nothing but the text embeddings depends on this: CLIP's embeddings of images stay valid when it changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ccd_core.errors import UserError

NAMED = {
    "imagenet7": "SIMPLE_IMAGENET_TEMPLATES",
    "imagenet80": "OPENAI_IMAGENET_TEMPLATES",
}  # sets that open_clip carries
Names = Mapping[str, str | Sequence[str]]


def templates(prompt: str | Sequence[str]) -> list[str]:
    """The templates that a prompt setting means: one, a list of them, or those of a named set."""
    check(prompt)
    if isinstance(prompt, str) and prompt in NAMED:
        from open_clip import zero_shot_metadata

        return [template("{}") for template in getattr(zero_shot_metadata, NAMED[prompt])]
    return [prompt] if isinstance(prompt, str) else list(prompt)


def check(prompt: str | Sequence[str]) -> None:
    """Raises UserError for a template without {}, or an empty list."""
    if not prompt:
        raise UserError("There is no prompt; give one, as in 'a photo of the {}'.")
    for template in [prompt] if isinstance(prompt, str) else prompt:
        if "{}" not in template and not (isinstance(prompt, str) and prompt in NAMED):
            sets = " or ".join(NAMED)
            raise UserError(
                f"The prompt {template!r} has no {{}} where the class name goes, as in 'a photo of the "
                f"{{}}', and is not {sets}."
            )


def prompts_of(
    classes: Sequence[str], prompt: str | Sequence[str], names: Names | None = None
) -> list[list[str]]:
    """The prompts of each class: every template with every name of it. Raises UserError for names of a class
    that is not there.
    """
    names = names or {}
    if unknown := [name for name in names if name not in classes]:
        raise UserError(
            f"clip.names speaks of {unknown[0]!r}, which is not a class of this data set; its classes are "
            f"{', '.join(classes)}."
        )
    forms = templates(prompt)
    words = [names.get(name) or name for name in classes]
    spoken = [[word] if isinstance(word, str) else list(word) for word in words]
    return [[form.replace("{}", word) for word in of_class for form in forms] for of_class in spoken]
