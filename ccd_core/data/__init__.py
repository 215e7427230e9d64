"""Data sets: `open_dataset("voc2012:/data")` says which images and classes one has.

A new data set is a small module with one function that returns a `Dataset`, and one line in `KINDS`. This package may import
`toy`, `paths`, `files` and `errors`; it knows neither models nor runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ccd_core.data.types import Dataset, Progress
from ccd_core.errors import UserError
from ccd_core.paths import demo_root


def open_dataset(spec: str, classes: Path | None = None, progress: Progress | None = None) -> Dataset:
    """Open the data set that `spec` names: `demo`, `folder:DIR`, `voc2007:ROOT`, `voc2012:ROOT`, `coco2014:ROOT` or `nuswide:ROOT`.

    `classes` is a file of class names, for `folder:DIR` alone. `progress(done, total)` is called while the
    demo's images are drawn on first use. Raises UserError for what cannot be opened.
    """
    kind, _, place = spec.partition(":")
    if kind not in KINDS:
        hint = f"; for your own images write folder:{spec}" if Path(spec).is_dir() else ""
        raise UserError(f"There is no data set {spec!r}; write {_in_words(KIND_FORMS)}{hint}.")
    if classes is not None and kind != "folder":
        raise UserError(f"A file of classes goes with folder:DIR; the data set {kind} has its own classes.")
    if not place and kind != "demo":
        raise UserError(f"The data set {spec!r} does not say where it is; write {KIND_FORMS[kind]}.")
    dataset = KINDS[kind](spec, Path(place).expanduser() if place else demo_root(), classes, progress)
    for split, images in dataset.splits.items():
        if not images:
            raise UserError(f"The data set {spec} has no images in its split {split}.")
    return dataset


# An opener takes the spec, its place, a file of classes or None, and a progress callback or None. Each imports
# its module when called: those modules import this one, and nobody has to load what they do not open.
Opener = Callable[[str, Path, Path | None, Progress | None], Dataset]


def _open_demo(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data import demo

    return demo.open_demo(spec, root, progress)


def _open_folder(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data import folder

    return folder.open_folder(spec, root, classes)


def _open_voc(year: int) -> Opener:
    def opener(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
        from ccd_core.data import voc

        return voc.open_voc(spec, root, year)

    return opener


def _open_coco(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data import coco

    return coco.open_coco(spec, root)


def _open_nuswide(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data import nuswide

    return nuswide.open_nuswide(spec, root)


KINDS: dict[str, Opener] = {
    "demo": _open_demo,
    "folder": _open_folder,
    "voc2007": _open_voc(2007),
    "voc2012": _open_voc(2012),
    "coco2014": _open_coco,
    "nuswide": _open_nuswide,
}
KIND_FORMS = {
    kind: "demo" if kind == "demo" else "folder:DIR" if kind == "folder" else f"{kind}:ROOT" for kind in KINDS
}


def _in_words(forms: dict[str, str]) -> str:
    *others, last = forms.values()
    return f"{', '.join(others)} or {last}"
