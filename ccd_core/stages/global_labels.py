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
from ccd_core.stages.patch_labels import patch_probabilities

log = logging.getLogger("ccd")
CHUNK = 512  # images whose embeddings are written together; a killed run loses at most these


class GlobalOutputs(NamedTuple):
    """CLIP's outputs for N whole images and C classes.

    p: [N, C] float32, the probabilities that labels are made of. p_clip: [N, C] float32, CLIP's own (Eq. 2):
    the same, except with PIAA's recipe, which makes `p` from patches. similarity: [N] float32 of the best
    class (Eq. 1); None in old runs.
    """

    p: np.ndarray
    similarity: np.ndarray | None
    p_clip: np.ndarray


def global_outputs(clip: PromptedClip, images: ImageList, work: Work) -> GlobalOutputs:
    """CLIP's probabilities of each whole image, and its similarity to the best class (Eq. 1-3).

    Images are resized to a square; the aspect ratio is not kept. The result is written to the run's
    global.npz, and the embeddings to the cache, which all runs share. A method with labels from patches gets
    those probabilities.
    """
    arrays = work.once("global.npz", lambda: _compute(clip, images, work), images.ids)
    p = arrays["p_global"]
    return GlobalOutputs(p, arrays.get("similarity"), arrays.get("p_clip", p))


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
        cosines: list[np.ndarray] = []  # of methods with labels from patches
        for part in parts:
            embeddings = torch.from_numpy(np.array(part))
            p.append(clip.teacher.classify(embeddings, text).numpy())
            of_part = (embeddings @ text.T).numpy()
            similarity.append(of_part.max(1))
            if work.config.method.from_patches:
                cosines.append(of_part)
        if cached is None and work.run is not None:
            cache.store_embeddings(
                path, (part["embeddings"] for part in work.read_chunks("global")), len(images)
            )
    p_clip = np.concatenate(p)
    arrays: Arrays = {
        "ids": np.array(images.ids),
        "p_global": p_clip,
        "entropy": entropy(p_clip),
        "similarity": np.concatenate(similarity),
    }
    if work.config.method.from_patches:
        settings = embedding_settings(clip)
        p_patches = patch_probabilities(clip, images, np.concatenate(cosines), settings, work)
        arrays |= {"p_global": p_patches, "p_clip": p_clip}
    return arrays


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
