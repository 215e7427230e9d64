"""The classifier as exports take it: pixels in, logits and class maps out, with the normalisation inside."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ccd_core.clip.teacher import IMAGENET_MEAN, IMAGENET_STD
from ccd_core.export.formats import Export
from ccd_core.export.thresholds import in_words
from ccd_core.method.classifier import CamClassifier
from ccd_core.predict.predictor import SHOWN_THRESHOLD, Predictor

TRACED = 2  # images in the batch that the graph is taken from; a batch of one would make it fixed
PREPROCESSING = "preprocessing.json"


class PixelClassifier(nn.Module):
    """A `CamClassifier` that takes pixels as they are in an image file, and normalises them itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: CamClassifier):
        super().__init__()
        self.classifier = classifier
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels uint8 [B, 3, S, S] to logits [B, C] and raw class maps [B, C, h, w], both float32."""
        normalised = (pixels.float() / 255 - self.mean) / self.std
        return self.classifier(normalised, return_cam=True)


def pixel_classifier(export: Export) -> tuple[PixelClassifier, Tensor]:
    """The classifier of the run, on the CPU, and a batch of pixels uint8 [2, 3, S, S] to trace it with."""
    predictor = Predictor(export.run, device="cpu")
    size = export.run.config.classifier.image_size
    pixels = torch.arange(TRACED * 3 * size * size) % 256
    return PixelClassifier(predictor.model).eval(), pixels.to(torch.uint8).view(TRACED, 3, size, size)


def preprocessing(export: Export) -> dict[str, Any]:
    """How an image becomes the model's input and what comes out, for preprocessing.json and for metadata."""
    classes = export.run.classes
    size = export.run.config.classifier.image_size
    return {
        "input": {
            "name": "pixels",
            "type": "uint8",
            "shape": ["batch", 3, size, size],
            "channels": "RGB",
            "range": [0, 255],
            "steps": [
                "turn the image upright as its EXIF orientation says, and put transparent parts on white",
                f"resize it to {size} x {size} pixels, bilinear with antialiasing, without cropping; the "
                "aspect ratio may change",
                "give the pixels as they are; the model takes out mean and standard deviation itself",
            ],
        },
        "outputs": {
            "logits": "float32 [batch, classes]; the score from 0 to 1 is sigmoid(logits)",
            "cam": "float32 [batch, classes, h, w], raw class activation maps; logits are their means. For a "
            "box, resize a map to the image, take its range to 0..1, and enclose what lies above "
            f"{SHOWN_THRESHOLD:g}.",
        },
        "inside_the_model": {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD), "scale": 1 / 255},
        "classes": list(classes),
        "thresholds": dict(zip(classes, export.thresholds.array(classes).tolist(), strict=True)),
        "thresholds_how": in_words(export.thresholds),
        "label": "an image gets a class if its score is at or above the class's threshold",
    }
