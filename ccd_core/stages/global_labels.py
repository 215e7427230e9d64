"""Stage `global`: what CLIP says of every whole image (Sec. 3.1, Eq. 1-3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from ccd_core.clip.teacher import PromptedClip
from ccd_core.data import cache
from ccd_core.data.loading import in_batches, read_usable
from ccd_core.data.types import ImageList
from ccd_core.method.bias import entropy
from ccd_core.runs.progress import Advance
from ccd_core.runs.work import Arrays, Work

log = logging.getLogger("ccd")
CHUNK = 512  # images whose CLIP results are written together; a killed run loses at most these


class GlobalOutputs(NamedTuple):
    """What CLIP says of whole images. p: [N, C] float32 probabilities (Eq. 2); similarity: [N] float32 cosine
    of the best class (Eq. 1).

    similarity is None for runs that were begun before it was kept.
    """

    p: np.ndarray
    similarity: np.ndarray | None


def global_outputs(clip: PromptedClip, images: ImageList, work: Work) -> GlobalOutputs:
    """CLIP's probabilities of each whole image, squeezed into a square, and its similarity to the best class
    (Eq. 1-3).

    They are kept in the run's global.npz, and the embeddings in the cache that runs share.
    """
    arrays = work.once("global.npz", lambda: _compute(clip, images, work), images.ids)
    return GlobalOutputs(arrays["p_global"], arrays.get("similarity"))


def _compute(clip: PromptedClip, images: ImageList, work: Work) -> Arrays:
    path = cache.embeddings_file(images, embedding_settings(clip))
    cached = cache.read_embeddings(path, len(images))
    with work.progress.stage("global", len(images)) as advance:
        if work.team.broadcast_flag(cached is not None):
            log.info("CLIP's embeddings of these images are kept from an earlier run")
            parts = iter([] if cached is None else in_batches(cached, CHUNK))
        else:
            parts = _embeddings(clip, images, work, advance)
        if not work.team.first:
            return {}  # the first process writes
        text = clip.text.cpu()
        p: list[np.ndarray] = []
        similarity: list[np.ndarray] = []
        for part in parts:
            embeddings = torch.from_numpy(np.array(part))
            p.append(clip.teacher.classify(embeddings, text).numpy())
            similarity.append((embeddings @ text.T).amax(1).numpy())
        if cached is None and work.run is not None:
            cache.store_embeddings(path, (part["embeddings"] for part in work.read_chunks("global")), len(images))
    p_global = np.concatenate(p)
    return {
        "ids": np.array(images.ids),
        "p_global": p_global,
        "entropy": entropy(p_global),
        "similarity": np.concatenate(similarity),
    }


def _embeddings(clip: PromptedClip, images: ImageList, work: Work, advance: Advance) -> Iterator[np.ndarray]:
    """[CHUNK, D] float32 unit-length embeddings of the whole images, part by part."""

    def compute(part: slice) -> Arrays:
        rows: list[np.ndarray] = []
        chosen = range(part.start, part.stop)
        for _, pixels in read_usable(
            images, clip.side, clip.settings.batch_size, chosen, work.config.data.workers
        ):
            rows.append(clip.embed(pixels).cpu().numpy())
            advance(part.start + sum(map(len, rows)))
        return {"embeddings": np.concatenate(rows)}

    return (part["embeddings"] for part in work.chunks("global", images.ids, CHUNK, compute))


def embedding_settings(clip: PromptedClip) -> dict[str, Any]:
    """All that an image's embedding depends on, except the image."""
    teacher = clip.teacher
    chosen = {key: getattr(clip.settings, key) for key in ("size", "normalisation", "batch_size")}
    return chosen | {
        "weights": teacher.fingerprint(),
        "precision": teacher.precision,
        "device": teacher.device.type,
        "torch": torch.__version__,
    }
