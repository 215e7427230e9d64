"""What CLIP says by itself: of the validation images, to compare the classifier with, and in predictions."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ccd_core.clip.blend import clip_share
from ccd_core.clip.teacher import PromptedClip
from ccd_core.data.loading import DecodedImages
from ccd_core.files import read_arrays, write_arrays, write_json
from ccd_core.method.safeguard import agreement
from ccd_core.runs.run import Run
from ccd_core.runs.team import ALONE
from ccd_core.runs.work import Work
from ccd_core.stages.labels import read_local_probabilities
from ccd_core.stages.tiles import grid_embeddings, grid_parts, probabilities

log = logging.getLogger("ccd")


def teacher_of_validation(clip: PromptedClip, images: DecodedImages, work: Work) -> None:
    """Write CLIP's probabilities of the validation images to scores/clip-val.npz, unless they are there.

    The first process does it alone. The embeddings go to the cache, which all runs share.
    """
    target = work.folder.file("scores", "clip-val.npz")
    if not work.team.first or not len(images) or target.is_file():
        return
    embeddings = grid_embeddings(clip, images.images, 1, replace(work, team=ALONE))[:, 0]
    write_arrays(target, ids=np.array(images.ids), p=probabilities(clip, embeddings))


def teacher_probabilities(run: Run, ids: tuple[str, ...]) -> np.ndarray | None:
    """[N, C] CLIP's probabilities of the validation images `ids`; None in runs that did not ask for them."""
    if not run.has("scores", "clip-val.npz"):
        return None
    arrays = read_arrays(run.file("scores", "clip-val.npz"))
    return arrays["p"] if arrays["ids"].tolist() == list(ids) else None


def clip_shares(
    clip: PromptedClip, splits: dict[str, DecodedImages], p_global: np.ndarray, work: Work
) -> dict[str, np.ndarray]:
    """{split: [N, C]}, what predictions of each split's images are blended with (`clip.blend`).

    p_global: [N, C] CLIP's probabilities of the whole training images. Empty where the classifier predicts
    alone. Called after `teacher_of_validation`. Where CLIP is asked of cells, training images have their
    local views instead, of which it was asked already.
    """
    settings = work.config.predict
    if settings.blend == 0:
        return {}
    shares = {"train": p_global}
    if settings.grid > 1 and work.has("views.parquet"):
        p_local, _ = read_local_probabilities(work.folder, splits["train"].ids)
        shares["train"] = np.where(np.isnan(p_local), p_global, p_local)
    val = splits["val"]
    if len(val) and settings.grid > 1:
        parts = grid_parts(clip, val.images, settings.grid, work)
        shares["val"] = np.concatenate([clip_share(clip, part) for part in parts])
    elif (of_val := teacher_probabilities(work.folder, val.ids)) is not None:
        shares["val"] = of_val
    return shares


def write_safeguard(run: Run, scores: np.ndarray, p: np.ndarray, split: str) -> None:
    """Write safeguard.json: how far the classifier agrees with its teacher where that is sure.

    scores, p: [N, C] of the images of `split`. A classifier that is likely worse is logged as a warning.
    """
    found = agreement(scores, p)
    record: dict[str, Any] = asdict(found) | {"split": split, "doubtful": found.doubtful}
    if not np.isfinite(found.share):
        record["share"] = None
    write_json(run.file("safeguard.json"), record)
    if found.doubtful:
        log.warning(
            "the classifier is likely worse than CLIP itself: of the %d images of the split %s of which CLIP "
            "is sure, it has the same first class for %.0f %%; more steps (training.main_steps), a higher "
            "training.learning_rate or another clip.model may help",
            *(found.images, split, 100 * found.share),
        )
