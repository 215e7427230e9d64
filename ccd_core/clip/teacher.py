"""The teacher: any open_clip model at any input size (Sec. 3.1; Eq. 1-2).

`clip.towers` makes the image towers ready for any size and `clip.weights` brings the weights. All else is
open_clip's own.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from ccd_core.clip.batch_size import remembered_batch_size
from ccd_core.clip.photo_words import PhotoWords, knows, refuse_unknown
from ccd_core.clip.towers import FixedTower, any_size
from ccd_core.clip.weights import load_network
from ccd_core.device_memory import Pass, to_device
from ccd_core.errors import UserError
from ccd_core.paths import DEMO_CLIP
from ccd_core.settings.prompts import Names, prompts_of
from ccd_core.settings.sections import ClipSettings
from ccd_core.weights.folding import fold_norms

log = logging.getLogger("ccd")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PROMPTS_A_PASS = 256
_PRECISION = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class ClipTeacher:
    """A frozen CLIP. Make one with `ClipTeacher.load`.

    >>> teacher = ClipTeacher.load("demo")    # or "RN50x64", pretrained="openai", device="cuda"
    >>> text = teacher.encode_text(["house", "car"], template="a photo of the {}")
    >>> images = teacher.normalise(torch.zeros(3, 3, 128, 128, dtype=torch.uint8))
    >>> teacher.probabilities(images, text).shape
    torch.Size([3, 2])

    Probabilities are a softmax over the classes of cosine / tau. SigLIP was trained with a sigmoid and gets
    the softmax too: its bias is the same for all classes and cancels, and its scale is a 1 / tau like CLIP's
    (about 110). CCD is made for a softmax: the entropy filter needs a distribution, and the bias of a class
    is what it takes from the others. `sigmoid=True` gives what such a model was trained to say,
    sigmoid(cosine / tau + bias) of each class by itself. Then rows do not sum to 1, and bias and thresholds
    have to be chosen anew.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        device: torch.device,
        precision: str = "fp32",
        sigmoid: bool = False,
        folded: bool = False,
    ):
        from open_clip.model import convert_weights_to_lp

        if sigmoid and getattr(model, "logit_bias", None) is None:
            raise UserError(
                "This CLIP was trained with a softmax and has no bias; clip.probabilities=sigmoid needs a "
                "SigLIP model."
            )
        model = model.eval().requires_grad_(False)
        self.mean, self.std = _statistics(model.visual)
        self.tower = any_size(model.visual)
        if folded:
            fold_norms(self.tower, *self.tower.native_size)  # in fp32, before any rounding
        self.arithmetic = _PRECISION[precision]
        if precision == "fp16" and device.type == "cpu":
            # The same memory. In fp16 most CPUs need many minutes for a picture of 640 x 640.
            self.arithmetic = torch.bfloat16
        if precision != "fp32":
            # Once and not at every call; norms and positions stay exact.
            convert_weights_to_lp(self.tower, self.arithmetic)
        self.model: Any = model.to(device)
        self.tokenizer = tokenizer
        self.device = device
        self.precision = precision
        self.sigmoid = sigmoid
        if device.type == "cuda" or precision == "bf16":
            self.tower.to(memory_format=torch.channels_last)

    @classmethod
    def load(
        cls,
        model: str,
        pretrained: str | None = None,
        device: str | torch.device = "cpu",
        precision: str = "fp32",
        sigmoid: bool = False,
        folded: bool = False,
    ) -> ClipTeacher:
        """Load an open_clip model.

        model: an open_clip name ("RN50x64"), "local-dir:PATH", "hf-hub:NAME", "demo", or "photo-words", which
        is no CLIP (`photo_words`). pretrained: a tag
        ("openai"), or the path of a file of weights by open_clip, OpenAI or transformers (safetensors, what
        torch saved, or the index of shards; nothing in it is run). OpenAI's weights get the QuickGELU they
        were trained with, and OpenAI's files bring their own architecture. precision: fp32, bf16 or fp16, of
        convolutions and matrices; autocast does the rest, text is always in fp32, and fp16 on a CPU is bf16.
        sigmoid: see the class. folded: batch norms become part of the convolutions before them, which is
        quicker; embeddings differ by rounding (`weights.folding`).

        Raises UserError, one sentence, where the model is unknown or its weights cannot be had or used.
        """
        if precision not in _PRECISION:
            raise UserError(f"There is no precision {precision!r}; use fp32, bf16 or fp16.")
        network, tokenizer = load_network(*place_of(model, pretrained))
        return cls(network, tokenizer, torch.device(device), precision, sigmoid, folded)

    @cached_property
    def logit_scale(self) -> float:
        """1 / tau of Eq. 2. It is fetched once, because the CPU waits for a GPU that is asked."""
        return float(self.model.logit_scale.exp())

    @property
    def stride(self) -> int:
        """Pixels of one feature of the image tower: views whose sides are multiples of it lose nothing."""
        return self.tower.stride

    @property
    def native_size(self) -> tuple[int, int]:
        """(H, W) the image tower was trained at."""
        return self.tower.native_size

    def side(self, wanted: int) -> int:
        """The side in pixels nearest to `wanted` that the tower takes without resizing.

        Raises UserError where the tower takes another size only.
        """
        if isinstance(self.tower, FixedTower) and (wanted, wanted) != self.native_size:
            raise UserError(self.tower.refusal(wanted, wanted))
        return self.tower.nearest(wanted)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.arithmetic, enabled=self.precision != "fp32")

    @torch.inference_mode()
    def encode_text(
        self,
        classes: Sequence[str],
        template: str | Sequence[str] = "a photo of the {}",
        names: Names | None = None,
    ) -> Tensor:
        """[C, D] unit-length float32 embeddings of the classes.

        template: a prompt with {} for the class, a list of them, or a named set (`prompts.NAMED`). names:
        other words for some classes. A class with several prompts gets the mean of their unit-length
        embeddings, made unit length again. Raises UserError for a template without {} and for names of an
        unknown class.
        """
        if isinstance(self.model, PhotoWords):
            of_class = prompts_of(classes, "{}", names)  # it knows words, and no sentences
            refuse_unknown(of_class)
            return self.model.embed_words(of_class)
        of_class = prompts_of(classes, template, names)
        tokens = self.tokenizer([prompt for prompts in of_class for prompt in prompts])
        passes = [
            F.normalize(self.model.encode_text(part.to(self.device)).float(), dim=-1)
            for part in tokens.split(PROMPTS_A_PASS)
        ]
        means = [one.mean(0) for one in torch.cat(passes).split([len(prompts) for prompts in of_class])]
        return F.normalize(torch.stack(means), dim=-1)

    @torch.inference_mode()
    def encode_image(self, x: Tensor) -> Tensor:
        """Unit-length float32 embeddings [B, D] of normalised images [B, 3, H, W].

        Raises ValueError for images that are too small, UserError for a size that the tower does not take.
        """
        if min(x.shape[-2:]) < (least := self.tower.smallest_side):
            raise ValueError(
                f"CLIP needs images of at least {least} x {least} pixels, got {x.shape[-2]} x {x.shape[-1]}"
            )
        with self.autocast():
            features = self.tower(x.to(self.device, torch.float32, non_blocking=True))
        return F.normalize(features.float(), dim=-1)

    @torch.inference_mode()
    def probabilities(self, x: Tensor, text: Tensor) -> Tensor:
        """[B, C] float32, as `classify` gives them; x as in `encode_image`, text [C, D]."""
        return self.classify(self.encode_image(x), text)

    def classify(self, embeddings: Tensor, text: Tensor) -> Tensor:
        """[B, C] float32 softmax over the classes of cosine / tau (Eq. 1-2).

        embeddings: [B, D] and text: [C, D], both of unit length. A sigmoid teacher gives
        sigmoid(cosine / tau + bias) of each class.
        """
        logits = self.logit_scale * embeddings @ text.T
        if self.sigmoid:
            return torch.sigmoid(logits + self.model.logit_bias.to(logits.device))
        return logits.softmax(-1)

    def fingerprint(self) -> str:
        """A hash of the image tower's weights."""
        digest = hashlib.blake2b(digest_size=16)
        for name, value in sorted(self.tower.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def normalise(self, pixels: Tensor, statistics: str = "clip") -> Tensor:
        """Pixels [..., 3, H, W] of 0-255 to what the tower expects.

        statistics: "clip" for the tower's own mean and standard deviation, "imagenet" for those of the code.
        """
        mean, std = (self.mean, self.std) if statistics == "clip" else (IMAGENET_MEAN, IMAGENET_STD)
        return normalise(pixels, mean, std)


@dataclass(frozen=True)
class PromptedClip:
    """A CLIP, the embeddings of a run's classes, and the settings that it is asked with.

    teacher: the frozen CLIP. text: [C, D] unit-length float32 embeddings of the classes. measured: the batch
    size that `settings.batch_size: auto` stands for. limit: how many images the device's memory takes.
    """

    teacher: ClipTeacher
    text: Tensor
    settings: ClipSettings
    measured: int = 1
    limit: Pass = field(default_factory=lambda: Pass("images in one pass of CLIP"))

    @property
    def batch_size(self) -> int:
        """Images or views in one pass."""
        size = self.settings.batch_size
        return self.measured if isinstance(size, str) else size

    @property
    def side(self) -> int:
        """The side in pixels that whole images are squeezed to."""
        return self.teacher.side(self.settings.size)

    @property
    def round_to(self) -> int:
        """Sides of local views are multiples of this many pixels."""
        return self.settings.round_to or self.teacher.stride

    def embed(self, pixels: Tensor) -> Tensor:
        """[B, D] unit-length float32 embeddings of images [B, 3, H, W] uint8.

        Where the device runs out of memory, they are computed by parts, now and from then on.
        """

        def one_pass(part: slice) -> Tensor:
            on_device = to_device(pixels[part], self.teacher.device)
            return self.teacher.encode_image(self.teacher.normalise(on_device, self.settings.normalisation))

        passes = self.limit.run(len(pixels), one_pass)
        return passes[0] if len(passes) == 1 else torch.cat(passes)

    def probabilities(self, pixels: Tensor) -> Tensor:
        """[B, C] float32 probabilities of images [B, 3, H, W] of 0-255 (Eq. 1-2)."""
        return self.teacher.classify(self.embed(pixels), self.text)

    def view_probabilities(self, pixels: Tensor) -> Tensor:
        """[B, C] float32 probabilities of local views [B, 3, H, W] of 0-255 (Eq. 1-2).

        With background words the softmax is over them, too, so a row may sum to less than 1.
        """
        return self.teacher.classify(self.embed(pixels), self.view_text)[:, : len(self.text)]

    @cached_property
    def view_text(self) -> Tensor:
        """[C + K, D] what local views are compared with: `text`, and the K background words in use."""
        background = background_of(self.teacher, self.text, self.settings)
        return self.text if background is None else torch.cat([self.text, background])


def place_of(model: str, pretrained: str | None) -> tuple[str, str | None]:
    """The names by which open_clip knows the model: "demo" is a folder of the project."""
    return (f"local-dir:{DEMO_CLIP}", None) if model == "demo" else (model, pretrained)


def load_teacher(settings: ClipSettings, classes: Sequence[str], accelerator: Accelerator) -> PromptedClip:
    """The CLIP of these settings with the classes' prompts, on the accelerator's device and in its precision.

    Raises UserError where there is no such CLIP, or where its tower does not take images of `settings.size`.
    """
    precision = "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision
    sigmoid = settings.probabilities == "sigmoid"
    teacher = ClipTeacher.load(
        settings.model, settings.pretrained, accelerator.device, precision, sigmoid, settings.fold_norms
    )
    side = teacher.side(settings.size)
    measured = 1
    if settings.batch_size == "auto":
        network = f"{settings.model} {settings.pretrained} {precision} {side} {settings.fold_norms}"
        # One process measures and the others read what it remembered, so that all have the same batches.
        with accelerator.main_process_first():
            measured = remembered_batch_size(network, teacher.encode_image, side, accelerator.device)
    text = teacher.encode_text(classes, settings.prompt, settings.names)
    return PromptedClip(teacher, text, settings, measured)


def background_of(teacher: ClipTeacher, text: Tensor, settings: ClipSettings) -> Tensor | None:
    """[K, D] unit-length float32 embeddings of the background words in use; None if there are none.

    text: [C, D], those of the classes. A word is left out if it is at least as near to a class as the two
    most alike classes are to each other, by their cosines: it may mean that class. Words that the teacher
    does not know are left out, too, and the log says so.
    """
    words = [word for word in settings.background if knows(teacher.model, word)]
    if not words or teacher.sigmoid:  # a sigmoid judges each class by itself
        return None
    embeddings = teacher.encode_text(words, settings.prompt)
    nearest = (embeddings @ text.T).amax(1)
    limit = (text @ text.T).fill_diagonal_(-1).max() if len(text) > 1 else 1 - 1e-4
    kept = nearest < limit
    left_out = [word for word, keep in zip(words, kept.tolist(), strict=True) if not keep]
    left_out += [word for word in settings.background if word not in words]
    if left_out:
        log.info("background words left out, like a class or unknown: %s", ", ".join(left_out))
    return embeddings[kept] if kept.any() else None


def batches_of_equal(shapes: Sequence[Hashable], batch_size: int) -> Iterator[list[int]]:
    """Batches of indices: of one batch all shapes are equal, and it has at most `batch_size` of them."""
    by_shape: dict[Hashable, list[int]] = defaultdict(list)
    for index, shape in enumerate(shapes):
        by_shape[shape].append(index)
    for indices in by_shape.values():
        yield from (indices[begin : begin + batch_size] for begin in range(0, len(indices), batch_size))


def normalise(
    pixels: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> Tensor:
    """Pixels [..., 3, H, W] of 0-255, any dtype, to float32 with mean and standard deviation taken out."""
    shift = _of_channels(tuple(mean), pixels.device)
    return (pixels.float() / 255 - shift) / _of_channels(tuple(std), pixels.device)


@lru_cache(maxsize=64)
def _of_channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """[3, 1, 1] float32 on the device. It stays there, because the CPU would wait for each copy to a GPU."""
    with torch.inference_mode(False):  # so that training may use it, too
        return torch.tensor(values, dtype=torch.float32, device=device).view(3, 1, 1)


def _statistics(visual: nn.Module) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation the tower was trained with; OpenAI's where it does not say."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    mean = getattr(visual, "image_mean", None) or OPENAI_DATASET_MEAN
    std = getattr(visual, "image_std", None) or OPENAI_DATASET_STD
    return mean, std
