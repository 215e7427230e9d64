"""The teacher: any open_clip model at any input size (Sec. 3.1; Eq. 1-2).

CLIP's image towers expect one size. Here the positional embedding is resized to the grid of features at
hand, so that 640x640 pictures and crops of any aspect ratio can be encoded; all else is open_clip's own.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ccd_core.errors import UserError

DEMO_CLIP = Path(__file__).resolve().parent.parent / "assets" / "demo_clip"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MINIMUM_SIDE = 31  # below, a ModifiedResNet has no feature left
_PRECISION = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class ClipTeacher:
    """A frozen CLIP. Make one with `ClipTeacher.load`.

    >>> teacher = ClipTeacher.load("RN50x64", pretrained="openai", device="cuda", precision="bf16")
    >>> text = teacher.encode_text(["aeroplane", "tv monitor"], template="a photo of the {}")
    >>> p = teacher.probabilities(images, text)
    """

    def __init__(self, model: Any, tokenizer: Any, device: torch.device, precision: str = "fp32"):
        self.model: Any = model.eval().requires_grad_(False).to(device)
        self.tokenizer, self.device, self.precision = tokenizer, device, precision
        self.visual = _any_size(model.visual)
        if device.type == "cuda" or precision == "bf16":
            self.visual.to(memory_format=torch.channels_last)
        self.mean, self.std = _statistics(model.visual)

    @classmethod
    def load(cls, model: str, pretrained: str | None = None, device: str | torch.device = "cpu", precision: str = "fp32") -> ClipTeacher:
        """Load an open_clip model.

        model: an open_clip name ("RN50x64"), "local-dir:PATH", "hf-hub:NAME" or "demo". pretrained: a tag ("openai"), or a
        path to a checkpoint (.safetensors or .pt, open_clip's or OpenAI's; read without unpickling objects). OpenAI weights get the
        QuickGELU they were trained with, and OpenAI files bring their own architecture. precision: fp32, bf16 or fp16
        (autocast). Raises UserError, one sentence, where the model is unknown or the weights are not to be had.
        """
        if precision not in _PRECISION:
            raise UserError(f"There is no precision {precision!r}; use fp32, bf16 or fp16.")
        if model == "demo":
            model, pretrained = f"local-dir:{DEMO_CLIP}", None
        if pretrained and (Path(pretrained).suffix or Path(pretrained).exists()):
            network, tokenizer = _from_file(model, Path(pretrained))
        else:
            network, tokenizer = _from_open_clip(model, pretrained)
        return cls(network, tokenizer, torch.device(device), precision)

    @property
    def logit_scale(self) -> float:
        """1 / tau of Eq. 2."""
        return float(self.model.logit_scale.exp())

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=_PRECISION[self.precision], enabled=self.precision != "fp32")

    @torch.inference_mode()
    def encode_text(self, names: Sequence[str], template: str = "a photo of the {}") -> Tensor:
        """[C, D] unit-length float32 embeddings of one prompt a class. Raises UserError for a template without {}."""
        if "{}" not in template:
            raise UserError(f"The prompt {template!r} has no {{}} where the class name goes, as in 'a photo of the {{}}'.")
        tokens = self.tokenizer([template.format(name) for name in names]).to(self.device)
        return F.normalize(self.model.encode_text(tokens).float(), dim=-1)

    @torch.inference_mode()
    def encode_image(self, x: Tensor) -> Tensor:
        """Unit-length embeddings [B, D] float32 of normalised images [B, 3, H, W], any H and W of at least 31 pixels."""
        if min(x.shape[-2:]) < MINIMUM_SIDE:
            raise ValueError(f"CLIP needs images of at least {MINIMUM_SIDE} x {MINIMUM_SIDE} pixels, got {x.shape[-2]} x {x.shape[-1]}")
        with self.autocast():
            features = self.visual(x.to(self.device, torch.float32))
        return F.normalize(features.float(), dim=-1)

    @torch.inference_mode()
    def probabilities(self, x: Tensor, text: Tensor) -> Tensor:
        """[B, C] float32 softmax over classes of cosine / tau (Eq. 1-2); x as in `encode_image`, text [C, D]."""
        return self.classify(self.encode_image(x), text)

    def classify(self, embeddings: Tensor, text: Tensor) -> Tensor:
        """[B, C] float32 softmax over classes of cosine / tau (Eq. 1-2) of unit-length embeddings [B, D] and [C, D]."""
        return (self.logit_scale * embeddings @ text.T).softmax(-1)

    def fingerprint(self) -> str:
        """A hash of the image tower's weights."""
        digest = hashlib.blake2b(digest_size=16)
        for name, value in sorted(self.visual.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def normalise(self, pixels: Tensor, statistics: str = "clip") -> Tensor:
        """Pixels [..., 3, H, W] of 0-255 to what the tower expects; `statistics` clip (its own) or imagenet (the code's)."""
        mean, std = (self.mean, self.std) if statistics == "clip" else (IMAGENET_MEAN, IMAGENET_STD)
        return normalise(pixels, mean, std)

    def view_probabilities(self, views: Sequence[Tensor], text: Tensor, batch_size: int = 32) -> Tensor:
        """[V, C] for normalised views of any shapes, in batches of equal shape, in the order given."""
        result = torch.empty(len(views), len(text))
        by_shape: dict[torch.Size, list[int]] = defaultdict(list)
        for index, view in enumerate(views):
            by_shape[view.shape].append(index)
        for indices in by_shape.values():
            for begin in range(0, len(indices), batch_size):
                batch = indices[begin : begin + batch_size]
                result[batch] = self.probabilities(torch.stack([views[i] for i in batch]), text).cpu()
        return result


def normalise(pixels: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """Pixels [..., 3, H, W] of 0-255, any dtype, to float32 with mean and standard deviation taken out."""
    shape = (3, 1, 1)
    scale, shift = pixels.new_tensor(std, dtype=torch.float32).view(shape), pixels.new_tensor(mean, dtype=torch.float32).view(shape)
    return (pixels.float() / 255 - shift) / scale


def _statistics(visual: nn.Module) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation the tower was trained with; OpenAI's where it does not say."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    return getattr(visual, "image_mean", None) or OPENAI_DATASET_MEAN, getattr(visual, "image_std", None) or OPENAI_DATASET_STD


class AnySizePool(nn.Module):
    """The attention pool of a ModifiedResNet for any grid of features.

    The mean token keeps its row of the positional embedding; the others, a square grid, are resized bilinearly to the
    grid at hand and rounded to half precision, as in the authors' code.
    """

    pool: Any

    def __init__(self, pool: Any):
        super().__init__()
        self.pool = pool
        self.native = round((pool.positional_embedding.shape[0] - 1) ** 0.5)
        self._resized: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        grid = (x.shape[-2], x.shape[-1])
        if grid not in self._resized:
            self._resized[grid] = resize_positions(self.pool.positional_embedding, (self.native, self.native), grid)
        return functional_call(self.pool, {"positional_embedding": self._resized[grid]}, (x,))


class AnySizeViT(nn.Module):
    """A vision transformer for any size: its patch positions are resized as above, without the rounding."""

    visual: Any

    def __init__(self, visual: Any):
        super().__init__()
        self.visual = visual
        self._resized: dict[tuple[int, int], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        patch = self.visual.patch_size
        grid = (x.shape[-2] // patch[0], x.shape[-1] // patch[1])
        if grid not in self._resized:
            self._resized[grid] = resize_positions(self.visual.positional_embedding, tuple(self.visual.grid_size), grid, rounded=False)
        x = x[..., : grid[0] * patch[0], : grid[1] * patch[1]]
        return functional_call(self.visual, {"positional_embedding": self._resized[grid]}, (x,))


class OneSize(nn.Module):
    """A tower whose positions are not known here: it takes its own size only, and says so."""

    visual: Any

    def __init__(self, visual: Any):
        super().__init__()
        self.visual = visual
        size = visual.image_size
        self.size = tuple(size) if isinstance(size, (tuple, list)) else (size, size)

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[-2:]) != self.size:
            raise UserError(
                f"The image tower {type(self.visual).__name__} takes {self.size[0]}x{self.size[1]} images only, not "
                f"{x.shape[-2]}x{x.shape[-1]}; choose a ModifiedResNet (RN50...) or a ViT for clip.model."
            )
        return self.visual(x)


def _any_size(visual: Any) -> nn.Module:
    if hasattr(visual, "attnpool") and hasattr(visual.attnpool, "positional_embedding"):
        visual.attnpool = AnySizePool(visual.attnpool)
        return visual
    if getattr(visual, "positional_embedding", None) is not None and hasattr(visual, "grid_size"):
        return AnySizeViT(visual)
    return OneSize(visual)


def resize_positions(embedding: Tensor, native: tuple[int, int], grid: tuple[int, int], rounded: bool = True) -> Tensor:
    """[1 + h*w, E] for the grid (h, w) from [1 + native, E]: first row kept, the rest resized bilinearly."""
    if grid == native:
        return embedding
    first, square = embedding[:1], embedding[1:].float()
    picture = square.T.reshape(1, -1, *native)
    resized = F.interpolate(picture, grid, mode="bilinear", align_corners=False).flatten(2)[0].T
    positions = torch.cat([first.float(), resized])
    return (positions.half() if rounded else positions).to(embedding.dtype)


def _from_open_clip(name: str, pretrained: str | None) -> tuple[nn.Module, Any]:
    import open_clip

    schema = name.partition(":")[0] if name.startswith(("local-dir:", "hf-hub:")) else None
    if schema is None:
        if name not in open_clip.list_models():
            raise UserError(f"open_clip has no model {name!r}; `python -c 'import open_clip; print(open_clip.list_models())'` lists them.")
        tags = open_clip.list_pretrained_tags_by_model(name)
        if pretrained not in tags:
            raise UserError(f"open_clip has no weights {pretrained!r} for {name}; it has {', '.join(tags) or 'none'} (or give the path of a file).")
    try:
        network = open_clip.create_model(name, pretrained=pretrained, force_quick_gelu=pretrained == "openai", require_pretrained=True)
    except Exception as error:  # hubs raise many kinds
        logging.getLogger("ccd").debug("loading %s failed", name, exc_info=True)
        raise UserError(
            f"The weights of CLIP {name} ({pretrained or 'its own'}) could not be loaded: {_first_line(error)}. If this machine has no network, "
            "download the file elsewhere and set clip.pretrained to its path."
        ) from None
    return network, open_clip.get_tokenizer(name)


def _from_file(name: str, path: Path) -> tuple[nn.Module, Any]:
    import open_clip
    from open_clip.model import build_model_from_openai_state_dict

    state = _read_weights(path)
    try:
        if _is_openai(name, state):
            for key in ("input_resolution", "context_length", "vocab_size"):
                state.pop(key, None)
            network = build_model_from_openai_state_dict(dict(state), cast_dtype=torch.float32).float()
            return network, open_clip.tokenizer.SimpleTokenizer(context_length=state["positional_embedding"].shape[0])
        network = open_clip.create_model(name, pretrained=None)
        network.load_state_dict(state)
    except (RuntimeError, KeyError) as error:
        raise UserError(f"The weights in {path} do not fit CLIP {name}: {_first_line(error)}.") from None
    return network, open_clip.get_tokenizer(name)


def _is_openai(name: str, state: dict[str, Tensor]) -> bool:
    """OpenAI's archives say so by three extra entries; a name that open_clip does not know, or for which only OpenAI's weights
    exist, leaves no other reading."""
    import open_clip

    return "input_resolution" in state or name not in open_clip.list_models() or open_clip.list_pretrained_tags_by_model(name) == ["openai"]


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"There is no CLIP checkpoint {path}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        try:
            return dict(torch.jit.load(str(path), map_location="cpu").state_dict())  # OpenAI's archives are TorchScript
        except RuntimeError:
            raise UserError(
                f"{path} is not a checkpoint that can be read safely (safetensors, or tensors saved by torch): {_first_line(error)}."
            ) from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    return {key.removeprefix("module."): value for key, value in state.items() if isinstance(value, Tensor)}


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
