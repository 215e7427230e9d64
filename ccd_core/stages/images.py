"""Stage `images`: read every image once, and leave out those that cannot be used."""

from __future__ import annotations

import logging

from ccd_core.data.loading import DecodedImages
from ccd_core.data.types import Dataset, ImageList
from ccd_core.errors import UserError
from ccd_core.files import write_json
from ccd_core.runs.progress import Advance
from ccd_core.runs.work import Work

log = logging.getLogger("ccd")
SPLITS = ("train", "val")
NAMED_IN_STATE = (
    1000  # unusable images named in state.json, which is written twice a second; images.json has all
)


def usable_images(dataset: Dataset, work: Work) -> tuple[DecodedImages, DecodedImages]:
    """The training and the validation images that can be read. The others are listed in images.json, logged
    and left out.

    Raises UserError where no training image can be read.
    """
    settings = work.config.data
    run = work.folder
    size = work.config.classifier.image_size
    none = ImageList((), ())
    splits = {
        name: DecodedImages(dataset.splits.get(name, none), size, settings.cache_gb, settings.workers)
        for name in SPLITS
    }
    found: dict[str, dict[str, str]] = {}
    total = sum(len(images) for images in splits.values())
    with work.team.main_process_first(), work.progress.stage("images", total) as advance:
        known = run.load_json("images.json") if run.has("images.json") else {}
        done = 0
        for name, images in splits.items():
            count = len(images)
            found[name] = images.check(count_from(done, advance), known.get(name))
            done += count
        if work.team.first:
            write_json(run.file("images.json"), found)
    skipped = [
        {"id": image, "reason": reason} for reasons in found.values() for image, reason in reasons.items()
    ]
    if not known:
        for entry in skipped:
            log.warning("skipped %s: %s", entry["id"], entry["reason"])
    if work.team.first:
        run.update_state(skipped=skipped[:NAMED_IN_STATE], skipped_count=len(skipped))
    if not len(splits["train"]):
        count = len(dataset.splits["train"])
        raise UserError(f"None of the {count} training images of {settings.spec} can be read.")
    return splits["train"], splits["val"]


def count_from(before: int, advance: Advance) -> Advance:
    """`advance` for a part of a stage, after `before` items of earlier parts."""
    return lambda done: advance(before + done)
