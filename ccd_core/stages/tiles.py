"""CLIP's view of the cells of a grid over each image: CDUL's tiles, and whole images of any split.

The embeddings go to the cache, which all runs share, so the methods of a comparison compute them once.
"""

from __future__ import annotations

import numpy as np
import torch

from ccd_core.clip.teacher import PromptedClip
from ccd_core.data import cache
from ccd_core.data.loading import read_usable
from ccd_core.data.types import ImageList
from ccd_core.runs.work import Arrays, Work
from ccd_core.stages.global_labels import embedding_settings

CHUNK = 128  # images whose embeddings are written together; a killed run loses at most these


def grid_embeddings(clip: PromptedClip, images: ImageList, grid: int, work: Work) -> np.ndarray:
    """[N, grid * grid, D] float32, unit-length embeddings of the cells of each image, row by row.

    An image is resized to `grid` times CLIP's side and cut into cells of that side; the aspect ratio is not
    kept. grid = 1 is the whole image, as for the training images.
    """
    path = cache.embeddings_file(images, embedding_settings(clip) | {"grid": grid})
    count = len(images) * grid * grid
    cached = cache.read_embeddings(path, count)
    if cached is None:
        name = f"grid{grid}"
        detail = "tiles" if grid > 1 else "validation images"
        with work.progress.stage("global", len(images), detail) as advance:

            def compute(part: slice) -> Arrays:
                rows: list[np.ndarray] = []
                batch = max(1, clip.batch_size // (grid * grid))
                chosen = range(part.start, part.stop)
                done = part.start
                for indices, pixels in read_usable(
                    images, grid * clip.side, batch, chosen, work.config.data.workers
                ):
                    rows.append(clip.embed(cells(pixels, grid)).cpu().numpy())
                    done += len(indices)
                    advance(done)
                return {"embeddings": np.concatenate(rows)}

            parts = [part["embeddings"] for part in work.chunks(name, images.ids, CHUNK, compute)]
            cached = np.concatenate(parts)
            cache.store_embeddings(path, [cached], count)
            work.drop_chunks(name)
    return np.array(cached).reshape(len(images), grid * grid, -1)


def cells(pixels: torch.Tensor, grid: int) -> torch.Tensor:
    """Images [B, 3, grid * S, grid * S] to their cells [B * grid * grid, 3, S, S], row by row."""
    side = pixels.shape[-1] // grid
    rows = pixels.unflatten(2, (grid, side)).unflatten(4, (grid, side))  # [B, 3, grid, S, grid, S]
    return rows.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def probabilities(clip: PromptedClip, embeddings: np.ndarray) -> np.ndarray:
    """[..., C] float32, CLIP's probabilities of embeddings [..., D] (Eq. 2)."""
    return clip.teacher.classify(torch.from_numpy(embeddings), clip.text.cpu()).numpy()
