"""Stage `images`: read every image once, and leave out those that cannot be used."""

from __future__ import annotations

import logging

from ccd_core.data.listing.names import shown
from ccd_core.data.loading import DecodedImages
from ccd_core.data.types import Dataset, ImageList
from ccd_core.errors import UserError
from ccd_core.files import write_json
from ccd_core.machine.device import describe
from ccd_core.runs.progress import Advance
from ccd_core.runs.run import BITS
from ccd_core.runs.work import Work

log = logging.getLogger("ccd")
SPLITS = ("train", "val")
# state.json is written twice a second, so it names only so many unusable images. images.json names all.
NAMED_IN_STATE = 1000


def usable_images(dataset: Dataset, work: Work) -> tuple[DecodedImages, DecodedImages]:
    """The training and the validation images that can be read.

    The others are left out. They are logged and listed in images.json with the reason, and beside them the
    bits that the data set's pictures of 16 bits use. Raises UserError if no training image can be read.
    """
    settings = work.config.data
    log.info("%s: %d classes, on %s", settings.spec, len(dataset.classes), describe(work.accelerator))
    for note in dataset.notes:  # how the data set's files were understood, and what is left out
        log.info("%s", note)
    run = work.folder
    size = work.config.classifier.image_size
    splits: dict[str, DecodedImages] = {}
    for name in SPLITS:
        images = dataset.splits.get(name, ImageList((), ()))
        splits[name] = DecodedImages(images, size, settings.cache_gb, settings.workers)
    found: dict[str, dict[str, str]] = {}
    bits = dataset.splits["train"].bits
    total = sum(map(len, splits.values()))
    with work.team.main_process_first(), work.progress.stage("images", total) as advance:
        known = run.load_json("images.json") if run.has("images.json") else {}
        done = 0
        for name, decoded in splits.items():
            count = len(decoded)
            found[name] = decoded.check(count_from(done, advance), known.get(name))
            done += count
        if work.team.first:
            write_json(run.file("images.json"), found if bits is None else {**found, BITS: bits})
    skipped = [
        {"id": image, "reason": reason} for reasons in found.values() for image, reason in reasons.items()
    ]
    if skipped and not known:
        for entry in skipped:
            log.info("skipped %s: %s", shown(entry["id"]), entry["reason"])
        log.warning("unusable files are left out: %d; log.txt says why", len(skipped))
    if work.team.first:
        run.update_state(skipped=skipped[:NAMED_IN_STATE], skipped_count=len(skipped))
    if not len(splits["train"]):
        count = len(dataset.splits["train"])
        raise UserError(f"None of the {count} training images of {settings.spec} can be read.")
    return splits["train"], splits["val"]


def count_from(before: int, advance: Advance) -> Advance:
    """`advance` for one part of a stage whose earlier parts have `before` items."""
    return lambda done: advance(before + done)
