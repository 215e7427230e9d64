"""What the Gradio page and its API take: uploaded images, a threshold, and a yes or no.

Gradio checks a file only where its record says that it is one ("meta"). A record without that would name any
file of this machine. So every path is checked here, and only uploads and the offered examples pass.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from gradio.utils import get_upload_folder
from pydantic import model_validator

# One sentence, whether or not there is such a file: an answer must not tell which files this machine has.
NOT_UPLOADED = (
    "This page reads only images that were uploaded to it; upload the image first "
    "(from Python, with gradio_client.handle_file)."
)
NOWHERE = "\0"
YES = ("true", "1", "yes", "on")
NO = ("false", "0", "no", "off", "")


def refused(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


class UploadRecord(ImageData):
    """What a client sends for an image. What is no record of a file names a file that cannot be."""

    @model_validator(mode="before")
    @classmethod
    def _is_a_record(cls, sent: Any) -> Any:
        if isinstance(sent, ImageData):
            return sent
        texts = ("path", "url", "orig_name", "mime_type")
        if not isinstance(sent, dict) or not all(isinstance(sent.get(name), str | None) for name in texts):
            return {"path": NOWHERE}  # an error raised here would become one of pydantic's reports
        return {name: sent[name] for name in texts if name in sent}


def image_input(offered: Collection[str], **options: Any) -> gr.Image:
    """An image as the file that was uploaded, or one of the `offered` files.

    The file is not decoded: `read_image` does it, whose sentences say what is wrong with a bad file.
    """
    image = gr.Image(type="filepath", image_mode=None, **options)
    examples = {Path(path).resolve() for path in offered}
    decode = image.preprocess

    def preprocess(payload: ImageData | None) -> Any:
        if payload is None or not (payload.path or payload.url):
            return None
        if not payload.path:
            if not str(payload.url).startswith("data:"):
                raise refused(NOT_UPLOADED)
            path = _decoded(decode, payload)
            image.temp_files.add(path)  # removed with the uploads
            return path
        return _uploaded(payload.path, examples)

    image.preprocess = preprocess  # type: ignore[method-assign]
    image.data_model = UploadRecord
    return image


def _decoded(decode: Any, payload: ImageData) -> str:
    """The file that holds the bytes of a data: address."""
    try:
        return decode(payload)
    except Exception:  # whatever Gradio's decoder says, the address was malformed
        raise refused("The image's data: address is damaged.") from None


def _uploaded(path: str, examples: Collection[Path]) -> str:
    """`path` with links resolved. Raises gr.Error where it is neither an upload nor one of the examples."""
    try:
        real = Path(path).resolve()
        inside = real.is_relative_to(Path(get_upload_folder()).resolve()) or real in examples
        if inside and real.is_file():
            return str(real)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long, a NUL
        pass
    raise refused(NOT_UPLOADED)


def threshold_input(**options: Any) -> gr.Slider:
    """A threshold from 0 to 1; shell scripts send it as text."""
    slider = gr.Slider(0, 1, 0.5, step=0.01, **options)
    check = slider.preprocess

    def preprocess(payload: Any) -> float:
        try:
            if isinstance(payload, bool | None):
                raise ValueError
            value = float(payload)
        except (TypeError, ValueError):
            raise refused("The threshold is a number from 0 to 1.") from None
        return check(value)

    slider.preprocess = preprocess  # type: ignore[method-assign]
    return slider


def truth_of(sent: Any) -> bool:
    """Whether a checkbox is on; scripts send its value as text. Raises gr.Error for other text."""
    if isinstance(sent, bool | None):
        return bool(sent)
    word = str(sent).strip().lower()
    if word not in YES + NO:
        raise refused("Whether to use the saved thresholds is true or false.")
    return word in YES
