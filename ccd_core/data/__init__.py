"""Data sets: `open_dataset("voc2012:/data")` returns the images and the classes of one.

A new data set is a small module with one function that returns a `Dataset`, and one line in `KINDS`.
This package may import `toy`, `paths`, `files`, `yaml_files` and `errors`. It knows neither models nor runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ccd_core.data.listing.names import shown
from ccd_core.data.types import Dataset, Progress
from ccd_core.errors import UserError
from ccd_core.paths import demo_root


def open_dataset(spec: str, classes: Path | None = None, progress: Progress | None = None) -> Dataset:
    """Open the data set that `spec` names.

    `spec` is one of `KIND_FORMS`, such as `demo`, `folder:DIR` or `voc2012:ROOT`. `classes` is a file of
    class names; it goes with the kinds in `WITH_CLASSES` only. `progress(done, total)` is called while the
    demo's images are drawn or the pictures of `hf:ROOT` unpacked, which happens on first use. Raises
    UserError if the data set cannot be opened.
    """
    kind, _, place = spec.partition(":")
    if kind not in KINDS:
        hint = f"; for your own images write folder:{spec}" if Path(spec).is_dir() else ""
        raise UserError(f"There is no data set {spec!r}; write {_in_words(KINDS, 'or')}{hint}.")
    if classes is not None and kind not in WITH_CLASSES:
        raise UserError(
            f"A file of classes goes with {_in_words(WITH_CLASSES, 'and')}; the data set {kind} has its own "
            "classes."
        )
    if not place and kind != "demo":
        raise UserError(f"The data set {spec!r} does not say where its files are; write {KIND_FORMS[kind]}.")
    try:
        dataset = KINDS[kind](spec, Path(place).expanduser() if place else demo_root(), classes, progress)
    except PermissionError as error:
        raise UserError(
            f"{shown(error.filename or place)} may not be read by this user; change its permissions."
        ) from None
    for split, images in dataset.splits.items():
        if not images:
            raise UserError(f"The data set {spec} has no images in its split {split}.")
    return _with_depth(dataset)


def _with_depth(dataset: Dataset) -> Dataset:
    """The data set with one `Depth` for all its splits, so that all of its pictures are scaled alike."""
    from ccd_core.data.decoding.depth import Depth
    from ccd_core.data.decoding.images import largest_value

    depth = Depth(dataset.spec, [images.paths for images in dataset.splits.values()], largest_value)
    splits = {split: replace(images, depth=depth) for split, images in dataset.splits.items()}
    return replace(dataset, splits=splits)


# An opener takes the spec, the folder in it, a file of classes or None, and a progress callback or None. Each
# opener imports its module only when it is called, so that nothing is loaded for data sets that nobody opens.
Opener = Callable[[str, Path, Path | None, Progress | None], Dataset]


def _open_demo(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import demo

    return demo.open_demo(spec, root, progress)


def _open_folder(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import folder

    return folder.open_folder(spec, root, classes)


def _open_voc(year: int) -> Opener:
    def opener(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
        from ccd_core.data.kinds import voc

        return voc.open_voc(spec, root, year)

    return opener


def _open_coco(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import coco

    return coco.open_coco(spec, root)


def _open_nuswide(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import nuswide

    return nuswide.open_nuswide(spec, root)


def _open_coco_export(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import coco_export

    return coco_export.open_coco_export(spec, spec.partition(":")[2])


def _open_voc_layout(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import voc_layout

    return voc_layout.open_voc_layout(spec, root)


def _open_yolo(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import yolo

    return yolo.open_yolo(spec, root)


def _open_csv(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import csv_file

    return csv_file.open_csv(spec, root, classes)


def _open_class_folders(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds import class_folders

    return class_folders.open_class_folders(spec, root)


def _open_hugging_face(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data.kinds.hugging_face.dataset import open_hugging_face

    return open_hugging_face(spec, root, classes, progress)


KINDS: dict[str, Opener] = {
    "demo": _open_demo,
    "folder": _open_folder,
    "voc2007": _open_voc(2007),
    "voc2012": _open_voc(2012),
    "coco2014": _open_coco,
    "nuswide": _open_nuswide,
    "coco": _open_coco_export,
    "voc": _open_voc_layout,
    "yolo": _open_yolo,
    "csv": _open_csv,
    "imagefolder": _open_class_folders,
    "hf": _open_hugging_face,
}
KIND_FORMS = {kind: f"{kind}:ROOT" for kind in KINDS} | {
    "demo": "demo",
    "folder": "folder:DIR",
    "coco": "coco:ANNOTATIONS.json[,IMAGES]",
    "csv": "csv:FILE",
}
WITH_CLASSES = ("folder", "csv", "hf")  # kinds for which the user may give a file of classes


def _in_words(kinds: Iterable[str], word: str) -> str:
    *others, last = (KIND_FORMS[kind] for kind in kinds)
    return f"{', '.join(others)} {word} {last}"
