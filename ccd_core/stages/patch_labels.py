"""PIAA's recipe on a run's images: probabilities from patches, in place of CLIP's own of whole images.

The images pass through CLIP twice more: once for the selection of patches, which holds at most
`method.options.patches` a class, and once for the scores. The scores go to the cache, which all runs share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ccd_core.clip.patches import embed_patches
from ccd_core.clip.teacher import PromptedClip
from ccd_core.data import cache
from ccd_core.data.loading import read_usable
from ccd_core.data.types import ImageList
from ccd_core.errors import UserError
from ccd_core.files import read_arrays, write_arrays
from ccd_core.method.patch_labels import (
    PatchClassifier,
    PatchOptions,
    PatchSelection,
    fit,
    from_patches,
    patch_options,
    with_whole_image,
)
from ccd_core.runs.work import Arrays, Work

CHUNK = 512  # images whose scores are written together; a killed run loses at most these
SELECTION_CHUNK = 2048  # images after which the selection is written
NAME = "patches"  # of what a run keeps until its scores are complete


def patch_probabilities(
    clip: PromptedClip, images: ImageList, cosines: np.ndarray, depends_on: dict[str, Any], work: Work
) -> np.ndarray:
    """[N, C] float32, PIAA's probabilities of the images; rows sum to 1.

    cosines: [N, C] of whole images and classes; depends_on: what CLIP's embeddings depend on, for the cache.
    Raises UserError where the tower gives no patch features, or for an option that there is not.
    """
    method = work.config.method
    options = patch_options(method.options, others=not method.is_ccd)
    text = hashlib.blake2b(clip.text.cpu().numpy().tobytes(), digest_size=16).hexdigest()
    key = depends_on | {"patches": vars(options), "text": text}
    path = cache.embeddings_file(images, key)
    p = cache.read_embeddings(path, len(images))
    if p is None:
        selection = select(clip, images, options, work)
        p = _scores(clip, images, fit(selection, options), options, work)
        cache.store_embeddings(path, [p], len(images))
        work.drop_chunks(NAME)
    with_image = with_whole_image(torch.from_numpy(np.array(p)), torch.from_numpy(cosines), options)
    return with_image.numpy()


def select(clip: PromptedClip, images: ImageList, options: PatchOptions, work: Work) -> PatchSelection:
    """The patches that each class keeps, of all images. A killed run goes on where it wrote the selection."""
    classes, width = clip.text.shape
    selection = PatchSelection(classes, width, options.patches)
    begin = _take_up(selection, images, options, work)
    with work.progress.stage("global", len(images), "selection of patches", begin) as advance:
        for start in range(begin, len(images), SELECTION_CHUNK):
            part = range(start, min(start + SELECTION_CHUNK, len(images)))
            done = start
            for count, features in _features(clip, images, part, work):
                p = (options.sharpness * features @ clip.text.T).softmax(-1)
                selection.add(features.flatten(0, 1), p.flatten(0, 1))
                done += count
                advance(done)
            if work.run is not None:
                arrays = {name: getattr(selection, name).numpy() for name in PARTS}
                of = np.array(_of(images, options))
                write_arrays(_file(work), of=of, next=np.array(part.stop), **arrays)
    return selection


PARTS = ("features", "p", "entropy", "top")  # of a selection


def _take_up(selection: PatchSelection, images: ImageList, options: PatchOptions, work: Work) -> int:
    """Fill the selection with what an earlier process of the run kept. Returns the next image's index."""
    if work.run is None or not _file(work).is_file():
        return 0
    try:
        kept = read_arrays(_file(work))
    except UserError:
        return 0  # damaged, so it is made again
    if str(kept.get("of")) != _of(images, options):
        return 0
    for name in PARTS:
        setattr(selection, name, torch.from_numpy(kept[name]))
    return int(kept["next"])


def _file(work: Work) -> Path:
    return work.folder.file("partial", f"{NAME}-selection.npz")


def _of(images: ImageList, options: PatchOptions) -> str:
    """What tells the selection of these images from another."""
    digest = hashlib.blake2b("\0".join(images.ids).encode(errors="surrogateescape"), digest_size=16)
    digest.update(repr(options).encode())
    return digest.hexdigest()


def _scores(
    clip: PromptedClip, images: ImageList, classifier: PatchClassifier, options: PatchOptions, work: Work
) -> np.ndarray:
    """[N, C] float32 of `from_patches`."""
    with work.progress.stage("global", len(images), "scores of patches") as advance:

        def compute(part: slice) -> Arrays:
            rows: list[Tensor] = []
            done = part.start
            for count, features in _features(clip, images, range(part.start, part.stop), work):
                rows.append(from_patches(classifier, features, options).cpu())
                done += count
                advance(done)
            return {"p": torch.cat(rows).numpy()}

        parts = work.chunks(f"{NAME}-scores", images.ids, CHUNK, compute)
        return np.concatenate([part["p"] for part in parts])


def _features(clip: PromptedClip, images: ImageList, part: range, work: Work) -> Iterator[tuple[int, Tensor]]:
    """Yield (number of images B, features [B, P, D] on CLIP's device)."""
    workers = work.config.data.workers
    for indices, pixels in read_usable(images, clip.side, clip.batch_size, part, workers):
        yield len(indices), embed_patches(clip, pixels)
