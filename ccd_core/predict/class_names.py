"""CLIP asked about class names on some images of a data set, before a run, with any other words for them.

    asked = NamedSample(config, dataset)
    asked.about({"tvmonitor": ["television"]}).warnings

The images are embedded once; other words cost a moment. The app asks through a process of its own:

    python -m ccd_core.predict.class_names
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
import yaml

from ccd_core.clip import photo_words
from ccd_core.clip.teacher import ClipTeacher, load_teacher
from ccd_core.config import CCDConfig, build
from ccd_core.data import open_dataset
from ccd_core.data.decoding.images import read_image, resize
from ccd_core.data.types import Dataset
from ccd_core.errors import ImageError, UserError
from ccd_core.machine.device import make_accelerator
from ccd_core.method.class_names import NameReport, report_names
from ccd_core.predict.server import answers_apart, serve_questions
from ccd_core.settings.prompts import Names
from ccd_core.settings.sections import ClipSettings

SHOWN = 12  # images that are shown with what CLIP says of them
MOST = 192  # images that the numbers rest on, if they are embedded within
PATIENCE = 20.0  # seconds
BATCH = 4  # images
TOP = 3  # classes shown of an image


class NamedSample:
    """A sample of the training images, as CLIP sees them.

    The first `SHOWN` images are spread over the data set, and so are the first N for any N.
    Raises UserError as `load_teacher` does, and where none of the images can be read.
    """

    def __init__(self, config: CCDConfig, dataset: Dataset, patience: float = PATIENCE):
        self.config = config
        self.classes = dataset.classes
        accelerator = make_accelerator(config.device, config.precision)
        self.clip = load_teacher(config.clip, dataset.classes, accelerator)
        images = dataset.splits["train"]
        rows = np.random.default_rng(config.seed).permutation(len(images))[:MOST]
        self.ids: list[str] = []
        self.paths: list[str] = []
        embeddings: list[torch.Tensor] = []
        began = time.monotonic()
        for begin in range(0, len(rows), BATCH):
            enough = len(self.ids) >= SHOWN and time.monotonic() - began > patience
            if enough:
                break
            pixels = []
            for row in rows[begin : begin + BATCH].tolist():
                try:
                    pixels.append(_square(str(images.paths[row]), self.clip.side, images.bits))
                except ImageError:
                    continue
                self.ids.append(images.ids[row])
                self.paths.append(str(images.paths[row]))
            if pixels:
                embeddings.append(self.clip.embed(torch.stack(pixels)).cpu())
        if not embeddings:
            raise UserError(f"None of {len(rows)} images of {dataset.spec} can be read.")
        self.embeddings = torch.cat(embeddings)  # [N, D], of unit length

    def probabilities(self, names: Names) -> tuple[np.ndarray, np.ndarray]:
        """CLIP's probabilities of the sample, and its cosines / tau, both [N, C] float32.

        names: other words for some classes. Raises UserError for words of an unknown class.
        """
        text = self._text(names).cpu()
        logits = self.clip.teacher.logit_scale * self.embeddings @ text.T
        return self.clip.teacher.classify(self.embeddings, text).numpy(), logits.numpy()

    @property
    def teacher_name(self) -> str:
        """What the teacher is called."""
        return photo_words.NAME if self.config.clip.model == photo_words.NAME else "CLIP"

    def about(self, names: Names | None = None) -> NameReport:
        """The report on the class names, with other words for some of them."""
        p, logits = self.probabilities(names or {})
        return report_names(self.classes, self.ids, p, logits, self.teacher_name)

    def shown(self, names: Names | None = None) -> list[dict[str, Any]]:
        """The first images: {"id", "path", "top": [[class, probability], ...]}, the highest first."""
        p, _ = self.probabilities(names or {})
        return [
            {
                "id": self.ids[row],
                "path": self.paths[row],
                "top": [[self.classes[c], round(float(p[row, c]), 4)] for c in np.argsort(-p[row])[:TOP]],
            }
            for row in range(min(SHOWN, len(self.ids)))
        ]

    def _text(self, names: Names) -> torch.Tensor:
        settings = self.config.clip
        return self.clip.teacher.encode_text(self.classes, settings.prompt, {**settings.names, **names})


def _square(path: str, side: int, bits: int | None = None) -> torch.Tensor:
    pixels = np.array(resize(read_image(path, at_least=side, bits=bits), side, side))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def facts(sample: NamedSample, names: Names) -> dict[str, Any]:
    """The report and the images as JSON has them."""
    report = sample.about(names)
    return vars(report) | {"warnings": report.warnings, "shown": sample.shown(names)}


def about_picture(teacher: ClipTeacher, settings: ClipSettings, path: str, words: list[str]) -> list[float]:
    """The teacher's probabilities [W] of a picture over some words.

    Raises UserError for a word that it refuses.
    """
    text = teacher.encode_text(words, settings.prompt).cpu()
    side = teacher.side(settings.size)
    pixels = teacher.normalise(_square(path, side)[None].to(teacher.device), settings.normalisation)
    return teacher.classify(teacher.encode_image(pixels).cpu(), text)[0].tolist()


def main() -> None:
    """Answer questions from standard input.

    {"ask": "names", "config": YAML, "names": {class: words}} gives what `facts` returns.
    {"ask": "picture", "preset": PRESET, "path": FILE, "words": [...]} gives {"p": [...]}, by the teacher of
    that preset.
    """
    samples: dict[str, NamedSample] = {}
    teachers: dict[str, tuple[ClipTeacher, ClipSettings]] = {}

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        if question["ask"] == "picture":
            preset = question["preset"]
            if preset not in teachers:
                settings = CCDConfig.preset(preset, "folder:.").clip
                teachers[preset] = (ClipTeacher.load(settings.model, settings.pretrained), settings)
            return {"p": about_picture(*teachers[preset], question["path"], question["words"])}
        if question["config"] not in samples:
            samples.clear()  # one CLIP in memory is enough
            config = build(yaml.safe_load(question["config"]))
            samples[question["config"]] = NamedSample(
                config, open_dataset(config.data.spec, config.data.classes)
            )
        return facts(samples[question["config"]], question["names"])

    with answers_apart() as answers:
        serve_questions(answer, answers)


if __name__ == "__main__":
    main()
