"""A teacher for photographs without a hub: an ImageNet classifier that is asked by ImageNet's nouns.

It is not CLIP. It knows 1,000 classes of objects and animals, and each noun that WordNet puts above or beside
them; any other word is refused. It has CLIP's interface and some of CLIP's habits: it names what is salient,
and its probabilities are a softmax over the classes that it is given.

    image  f(x), EfficientNet-Lite0's pooled features, less their mean over ImageNet, on the main directions
           of the classifier's rows W
    word   the mean of the rows W_k on the same directions, each of unit length, over the ImageNet classes k
           that the word names

The image tower's weights come from a package (`ccd_core.weights.packages`). The words lie in
assets/photo_words and are made by `python -m ccd_core.clip.build_photo_words`.
"""

from __future__ import annotations

import difflib
import functools
import gzip
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccd_core.errors import UserError
from ccd_core.paths import PHOTO_WORDS
from ccd_core.weights.efficientnet import from_efficientnet_pytorch
from ccd_core.weights.files import read_weights
from ccd_core.weights.packages import EXTRA, packaged_weights

NAME = "photo-words"  # in the setting clip.model
BACKBONE = "timm:tf_efficientnet_lite0"
SIZE = 224  # pixels; what the network was trained at
DIRECTIONS = 256  # main directions of the 1,000 rows; more add what no class differs in
SCALE = 15.0  # 1 / tau of Eq. 2; the first of twelve classes gets 0.7 of a photograph, about as with CLIP
NEAREST = 3  # known words that are offered in place of an unknown one
RELU6 = 6.0


class PhotoWords(nn.Module):
    """The network as `ClipTeacher` expects it of a CLIP; `embed_words` stands for the text tower."""

    rows: Tensor

    def __init__(self, trunk: Any, weight: Tensor):
        """trunk: EfficientNet-Lite0 without its last layer. weight: [1000, Q], that layer's rows."""
        super().__init__()
        centred = weight - weight.mean(0)
        directions = torch.linalg.svd(centred, full_matrices=False).Vh[:DIRECTIONS]
        self.visual = PhotoTower(trunk, mean_features(trunk.bn2), directions)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(SCALE)))
        self.register_buffer("rows", F.normalize(centred @ directions.T, dim=1))

    def embed_words(self, of_class: Sequence[Sequence[str]]) -> Tensor:
        """[C, D] unit-length float32 embeddings of C classes, each given by one or several known words."""
        known = words()
        means = []
        for said in of_class:
            vectors = [F.normalize(self.rows[known[plain(word)]].mean(0), dim=0) for word in said]
            means.append(torch.stack(vectors).mean(0))
        return F.normalize(torch.stack(means), dim=1)


class PhotoTower(nn.Module):
    """Images [B, 3, H, W] of any size to embeddings [B, DIRECTIONS]."""

    image_size = SIZE
    image_mean = (0.5, 0.5, 0.5)
    image_std = (0.5, 0.5, 0.5)
    mean: Tensor
    directions: Tensor

    def __init__(self, trunk: Any, mean: Tensor, directions: Tensor):
        super().__init__()
        self.trunk: Any = trunk
        self.head = nn.Identity()
        self.register_buffer("mean", mean)
        self.register_buffer("directions", directions)

    def forward(self, x: Tensor) -> Tensor:
        return (self.trunk(x).float() - self.mean) @ self.directions.T


def mean_features(norm: Any) -> Tensor:
    """[Q] an estimate of the mean over ImageNet of features behind a batch norm and ReLU6, without an image.

    Before the ReLU6 each channel has mean beta and standard deviation |gamma| by the batch norm's own making.
    Taken as normal, its mean between 0 and 6 is known in closed form. On photographs this does no worse than
    their own mean (docs/presets.md).
    """
    beta = norm.bias.detach().double()
    gamma = norm.weight.detach().double().abs().clamp(min=1e-6)
    low = -beta / gamma
    high = (RELU6 - beta) / gamma
    normal = torch.distributions.Normal(torch.zeros_like(beta), torch.ones_like(beta))
    between = normal.cdf(high) - normal.cdf(low)
    density = normal.log_prob(low).exp() - normal.log_prob(high).exp()
    return (beta * between + gamma * density + RELU6 * (1 - normal.cdf(high))).float()


def photo_network() -> PhotoWords:
    """The network on the CPU in float32. Raises UserError where the package of its weights is missing."""
    import timm

    path = packaged_weights(BACKBONE)
    if path is None:
        raise UserError(f"clip.model={NAME} needs the ImageNet weights of a package; run `{EXTRA}`.")
    trunk: Any = timm.create_model(BACKBONE.removeprefix("timm:"), num_classes=1000)
    state = from_efficientnet_pytorch(read_weights(path), trunk, path)
    trunk.load_state_dict(state)
    weight = trunk.classifier.weight.detach()
    trunk.reset_classifier(0)
    return PhotoWords(trunk.eval(), weight)


@functools.cache
def words() -> dict[str, list[int]]:
    """Known word, in lower case -> the ImageNet classes that it names."""
    text = gzip.decompress((PHOTO_WORDS / "words.tsv.gz").read_bytes()).decode("utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return {word: [int(number) for number in numbers.split()] for word, numbers in rows}


@functools.cache
def _near() -> dict[str, list[str]]:
    """Unknown noun -> known words that WordNet has near it."""
    text = gzip.decompress((PHOTO_WORDS / "near.tsv.gz").read_bytes()).decode("utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return {word: others.split(", ") for word, others in rows}


def plain(word: str) -> str:
    """A word as the list has it: lower case, blanks between its parts, singular where only that is known."""
    text = " ".join(word.lower().replace("_", " ").replace("-", " ").split())
    known = words()
    endings = (("", ""), ("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"))
    for plural, singular in endings:
        candidate = text.removesuffix(plural) + singular if text.endswith(plural) else text
        for form in (candidate, candidate.replace(" ", "")):
            if form in known:
                return form
    return text


def knows(network: nn.Module, word: str) -> bool:
    """Whether a teacher has an embedding for a word. A CLIP has one for any text."""
    return not isinstance(network, PhotoWords) or plain(word) in words()


def refuse_unknown(of_class: Iterable[Sequence[str]]) -> None:
    """Raises UserError with the nearest known words where some are unknown."""
    known = words()
    unknown = [word for said in of_class for word in said if plain(word) not in known]
    if not unknown:
        return
    parts = []
    for word in unknown:
        near = nearest(word)
        parts.append(f"{word!r}" + (f" (near it: {', '.join(near)})" if near else ""))
    near = nearest(unknown[0])
    example = f", such as clip.names={{{unknown[0]}: {near[0]}}}" if near else ""
    raise UserError(
        f"{NAME} knows ImageNet's nouns only, and not {'; '.join(parts)}. Give other words in "
        f"clip.names{example}, or leave the class out, or use a CLIP."
    )


def nearest(word: str) -> list[str]:
    """Known words most like an unknown one: near it in WordNet, or else spelt alike, or with a part of it."""
    if near := _near().get(plain(word)):
        return near
    known = words()
    text = plain(word)
    parts = {part for part in text.split() if len(part) > 2}
    sharing = [other for other in known if parts & set(other.split())] if parts else []
    sharing.sort(key=lambda other: (-difflib.SequenceMatcher(None, text, other).ratio(), other))
    alike = difflib.get_close_matches(text, known, NEAREST, 0.7)
    return list(dict.fromkeys([*alike, *sharing]))[:NEAREST]
