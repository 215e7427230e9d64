"""CLIP's view of the cells of a grid over each image: CDUL's tiles, and whole images of any split.

The embeddings go to the cache, which all runs share, so the methods of a comparison compute them once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ccd_core.clip.blend import cells
from ccd_core.clip.teacher import PromptedClip
from ccd_core.data import cache
from ccd_core.data.loading import in_batches, read_usable
from ccd_core.data.types import ImageList
from ccd_core.runs.work import Arrays, Work
from ccd_core.stages.global_labels import embedding_settings

CHUNK = 128  # images whose embeddings are written together; a killed run loses at most these


def grid_embeddings(clip: PromptedClip, images: ImageList, grid: int, work: Work) -> np.ndarray:
    """[N, grid * grid, D] float32: the parts of `grid_parts`, put together."""
    return np.concatenate(list(grid_parts(clip, images, grid, work)))


def grid_parts(clip: PromptedClip, images: ImageList, grid: int, work: Work) -> Iterator[np.ndarray]:
    """Yield unit-length embeddings of the cells of each image, row by row: float32 [n, grid * grid, D].

    An image is resized to `grid` times CLIP's side and cut into cells of that side; the aspect ratio is not
    kept. grid = 1 is the whole image, as for the training images. Several processes share the work; each of
    them has to go through all parts.
    """
    path = cache.embeddings_file(images, embedding_settings(clip) | {"grid": grid})
    count = len(images) * grid * grid
    cached = cache.read_embeddings(path, count)
    if work.team.broadcast_flag(cached is not None):
        parts = iter([] if cached is None else in_batches(cached, CHUNK * grid * grid))
        yield from (np.array(part).reshape(-1, grid * grid, part.shape[1]) for part in parts)
        return
    name = f"grid{grid}"
    detail = "tiles" if grid > 1 else "validation images"
    with work.progress.stage("global", len(images), detail) as advance:

        def compute(part: slice) -> Arrays:
            rows: list[np.ndarray] = []
            batch = max(1, clip.batch_size // (grid * grid))
            done = part.start
            for indices, pixels in read_usable(
                images, grid * clip.side, batch, range(part.start, part.stop), work.config.data.workers
            ):
                rows.append(clip.embed(cells(pixels, grid)).cpu().numpy())
                done += len(indices)
                advance(done)
            return {"embeddings": np.concatenate(rows)}

        computed = work.chunks(name, images.ids, CHUNK, compute)
    for part in computed:
        embeddings = part["embeddings"]
        yield embeddings.reshape(-1, grid * grid, embeddings.shape[1])
    work.team.wait()
    if work.team.first and work.run is not None:
        cache.store_embeddings(path, (part["embeddings"] for part in work.read_chunks(name)), count)
        work.drop_chunks(name)


def probabilities(clip: PromptedClip, embeddings: np.ndarray) -> np.ndarray:
    """[..., C] float32, CLIP's probabilities of embeddings [..., D] (Eq. 2)."""
    return clip.teacher.classify(torch.from_numpy(embeddings), clip.text.cpu()).numpy()
