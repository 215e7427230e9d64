"""Stage `global`: CLIP's class probabilities of every whole image (Sec. 3.1, Eq. 1-3)."""

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
CHUNK = 512  # images whose embeddings are written together; a killed run loses at most these


class GlobalOutputs(NamedTuple):
    """CLIP's outputs for N whole images and C classes."""

    p: np.ndarray  # [N, C] float32, probabilities (Eq. 2)
    similarity: np.ndarray | None  # [N] float32 of the best class (Eq. 1); None in old runs


def global_outputs(clip: PromptedClip, images: ImageList, work: Work) -> GlobalOutputs:
    """CLIP's probabilities of each whole image, and its similarity to the best class (Eq. 1-3).

    Images are resized to a square; the aspect ratio is not kept. The result is written to the run's
    global.npz, and the embeddings to the cache, which all runs share.
    """
    arrays = work.once("global.npz", lambda: _compute(clip, images, work), images.ids)
    return GlobalOutputs(arrays["p_global"], arrays.get("similarity"))


def _compute(clip: PromptedClip, images: ImageList, work: Work) -> Arrays:
    path = cache.embeddings_file(images, embedding_settings(clip))
    cached = cache.read_embeddings(path, len(images))
    with work.progress.stage("global", len(images)) as advance:
        if work.team.broadcast_flag(cached is not None):
            log.info("CLIP's embeddings of these images are in the cache")
            parts = iter([] if cached is None else in_batches(cached, CHUNK))
        else:
            parts = _embeddings(clip, images, work, advance)
        if not work.team.first:
            return {}  # only the first process computes the probabilities and writes them
        text = clip.text.cpu()
        p: list[np.ndarray] = []
        similarity: list[np.ndarray] = []
        for part in parts:
            embeddings = torch.from_numpy(np.array(part))
            p.append(clip.teacher.classify(embeddings, text).numpy())
            similarity.append((embeddings @ text.T).amax(1).numpy())
        if cached is None and work.run is not None:
            cache.store_embeddings(
                path, (part["embeddings"] for part in work.read_chunks("global")), len(images)
            )
    p_global = np.concatenate(p)
    return {
        "ids": np.array(images.ids),
        "p_global": p_global,
        "entropy": entropy(p_global),
        "similarity": np.concatenate(similarity),
    }


def _embeddings(clip: PromptedClip, images: ImageList, work: Work, advance: Advance) -> Iterator[np.ndarray]:
    """Yield the embeddings of the whole images in parts, float32 [CHUNK, D] of unit length."""

    def compute(part: slice) -> Arrays:
        rows: list[torch.Tensor] = []  # on the device, which is not waited for until the chunk is done
        chosen = range(part.start, part.stop)
        for _, pixels in read_usable(images, clip.side, clip.batch_size, chosen, work.config.data.workers):
            rows.append(clip.embed(pixels))
            advance(part.start + sum(map(len, rows)))
        return {"embeddings": torch.cat(rows).cpu().numpy()}

    return (part["embeddings"] for part in work.chunks("global", images.ids, CHUNK, compute))


def embedding_settings(clip: PromptedClip) -> dict[str, Any]:
    """Everything that an image's embedding depends on, except the image itself. It enters the cache's key."""
    teacher = clip.teacher
    chosen = {key: getattr(clip.settings, key) for key in ("size", "normalisation")} | {
        "batch_size": clip.batch_size
    }
    return chosen | {
        "weights": teacher.fingerprint(),
        "precision": teacher.precision,
        "device": teacher.device.type,
        "torch": torch.__version__,
    }
