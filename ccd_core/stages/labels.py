"""The labels of a run: the bias, the images that show no class, the local probabilities, and labels.npz."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.files import write_arrays, write_json
from ccd_core.method.bias import Bias, clip_bias, entropy_limit
from ccd_core.method.labels import include_views
from ccd_core.method.none_images import none_images
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import GlobalOutputs

log = logging.getLogger("ccd")


def measure_bias(p_global: np.ndarray, work: Work) -> Bias:
    """Measure the CLIP bias of each class, and write it to bias.json with how it was measured (Sec. 3.3).

    p_global: [N, C] probabilities of whole images.
    """
    settings = work.config.bias
    run = work.folder
    limit = entropy_limit(settings, p_global.shape[1])
    bias = clip_bias(p_global, limit, settings.shrink)
    rows = {
        name: {
            "bias": float(bias.value[index]),
            "count": int(bias.count[index]),
            "mean_probability": float(p_global[:, index].mean()),
            "estimated": bool(bias.measured[index]),  # the file's old word for measured
        }
        for index, name in enumerate(run.classes)
    }
    settings_used = {
        "entropy_threshold": limit,
        "mode": settings.mode,
        "images_used": int(bias.used.sum()),
    }
    if work.team.first:
        write_json(run.file("bias.json"), settings_used | {"classes": rows})
    unmeasured = [name for name, row in rows.items() if not row["estimated"]]
    if unmeasured:
        log.warning(
            "no low-entropy image has %s as its top class; their bias was measured on all images",
            ", ".join(unmeasured),
        )
    return bias


def bias_of_global(clip: GlobalOutputs, bias: Bias, config: CCDConfig) -> Bias:
    """What the initial labels are debiased with: CLIP's `bias`, or that of the probabilities from patches.

    The latter is measured in the same way on those probabilities, which are on a scale of their own. Local
    views are asked of CLIP itself, so local labels keep CLIP's bias.
    """
    if not config.method.from_patches:
        return bias
    return clip_bias(clip.p, entropy_limit(config.bias, clip.p.shape[1]), config.bias.shrink)


def find_none_images(clip: GlobalOutputs, work: Work) -> np.ndarray:
    """[N] bool, the images that are taken to show no class (supplement, Sec. 8). None without the filter."""
    none = none_images(clip.p_clip, clip.similarity, work.config.none_images)
    if work.config.none_images.filter != "off":
        log.info("%d of %d images are taken to show no class", none.sum(), len(none))
    return none


def read_local_probabilities(run: Run, ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """[N, C] local probabilities of the images `ids`, and [N] the number of views of each image (Eq. 5-6).

    An image without views has a row of NaN. The views are read part by part and are never all in memory.
    """
    row_of = {image: row for row, image in enumerate(ids)}
    local = np.full((len(ids), len(run.classes)), np.nan, np.float32)
    count = np.zeros(len(ids), int)
    for images, p in run.view_probabilities():
        rows = np.array([row_of[image] for image in images], int)
        include_views(local, rows, p)
        count += np.bincount(rows, minlength=len(ids))
    return local, count


def write_labels(
    work: Work,
    ids: Sequence[str],
    initial: np.ndarray,
    local: np.ndarray | None = None,
    final: np.ndarray | None = None,
    n_views: np.ndarray | None = None,
) -> None:
    """Write labels.npz: initial, local and final labels [N, C], and the number of views of each image [N].

    Without an update of the labels, the local labels are NaN, the final labels are the initial ones, and no
    image has views.
    """
    if work.team.first:
        write_arrays(
            work.folder.file("labels.npz"),
            ids=np.array(ids),
            initial=initial,
            local=np.full_like(initial, np.nan) if local is None else local,
            final=initial if final is None else final,
            n_views=np.zeros(len(ids), int) if n_views is None else n_views,
        )
