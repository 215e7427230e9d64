"""The formats by name, and the export of a run into a folder that appears complete or not at all."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ccd_core.data.listing.names import shown
from ccd_core.errors import UserError
from ccd_core.evaluation.thresholds import Thresholds, in_use
from ccd_core.export.thresholds import in_words
from ccd_core.files import write_json
from ccd_core.runs.provenance import own_version
from ccd_core.runs.run import Run

RECORD = "export.json"  # in every export: what it is, of which run, when
Report = Callable[[str, int, int, str], None]  # called with (stage, done, total, detail)
Labels = Literal["classifier", "final"]
Images = Literal["link", "copy", "none"]


def _silent(stage: str, done: int, total: int, detail: str) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class Export:
    """What is exported, and how.

    labels: "classifier" takes the scores of the trained classifier and the run's thresholds; "final" takes
    the final pseudo-labels that the classifier was trained on, from 0.5 on. boxes: with CAM boxes. split:
    train, val or all. images: whether a data set that holds images gets links, copies, or no images.
    dataset: the data set, such as folder:DIR, in place of the run's, for images that have moved.
    """

    run: Run
    thresholds: Thresholds
    labels: Labels = "classifier"
    boxes: bool = True
    split: str = "all"
    images: Images = "link"
    dataset: str | None = None
    device: str = "auto"
    report: Report = _silent
    facts: dict[str, Any] = field(default_factory=dict)  # what a format adds to export.json


@dataclass(frozen=True)
class Format:
    """A format: what it is for, the module that writes it, and which packages it needs.

    The module has a function `write(export, folder)`, which returns nothing and writes into `folder`.
    """

    title: str
    module: str
    of_labels: bool  # of labelled images; otherwise of the model
    extra: tuple[str, ...] = ()  # packages of the extra `export`


FORMATS = {
    "onnx": Format(
        "ONNX model for onnxruntime, OpenVINO and TensorRT, with class maps",
        "ccd_core.export.models.onnx_model",
        False,
        ("onnx", "onnxscript"),
    ),
    "torch": Format(
        "torch.export program (.pt2), which needs torch and not this project",
        "ccd_core.export.models.torch_program",
        False,
    ),
    "huggingface": Format(
        "folder for the Hugging Face hub: safetensors, config.json and a model card",
        "ccd_core.export.models.huggingface",
        False,
    ),
    "coco": Format("COCO JSON", "ccd_core.export.labels.coco", True),
    "voc": Format("Pascal VOC: XML files, image lists and images", "ccd_core.export.labels.voc", True),
    "yolo": Format("YOLO: text files, data.yaml and images", "ccd_core.export.labels.yolo", True),
    "csv": Format("CSV tables of labels and of boxes", "ccd_core.export.labels.tables", True),
    "fiftyone": Format("data set that FiftyOne imports", "ccd_core.export.labels.fiftyone", True),
    "label-studio": Format("pre-labels for Label Studio", "ccd_core.export.labels.label_studio", True),
    "cvat": Format("pre-labels for CVAT", "ccd_core.export.labels.cvat", True),
}


def export_run(
    run: Run,
    to: str,
    out: str | Path,
    force: bool = False,
    thresholds: Thresholds | None = None,
    **options: Any,
) -> Path:
    """Write a run in the format `to`, one of `FORMATS`, as the folder `out`, and return that folder.

    force: replace an earlier export. thresholds: in place of those that the run has. Further options are
    those of `Export`. Raises UserError where the run cannot be exported, a package is missing, or `out` is
    taken.
    """
    if to not in FORMATS:
        raise UserError(f"There is no export format {to!r}; there are {', '.join(FORMATS)}.")
    chosen = FORMATS[to]
    _require(chosen, to)
    # Links in the path are resolved, and so is "."; a folder has to have a name to be renamed.
    out = Path(os.path.realpath(Path(out).expanduser()))
    _refuse_taken(out, force)
    # A model has no CLIP beside it, so its scores are the classifier's alone.
    export = Export(run, thresholds or in_use(run, alone=not chosen.of_labels), **options)
    with replacing_folder(out) as partial:
        importlib.import_module(chosen.module).write(export, partial)
        write_json(partial / RECORD, _record(export, to))
    return out


def _require(chosen: Format, to: str) -> None:
    for package in chosen.extra:
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"The export {to} needs the package {package}; run `pip install 'ccd-studio[export]'`, or "
                f"`pip install {' '.join(chosen.extra)}`."
            )


def _refuse_taken(out: Path, force: bool) -> None:
    if not os.path.lexists(out):
        return
    if not force:
        raise UserError(
            f"{shown(out)} exists; choose another --out, or replace an earlier export with --force."
        )
    if not out.is_dir() or (any(out.iterdir()) and not (out / RECORD).is_file()):
        raise UserError(
            f"{shown(out)} is no export of ccd (it has no {RECORD}), so --force does not replace it; choose "
            "another --out."
        )


@contextmanager
def replacing_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, which takes its place when the block ends, and goes if the block fails."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name[:80]}.", suffix=".partial", dir=out.parent))
    except OSError as error:
        raise UserError(f"{shown(out)} cannot be written: {error.strerror}.") from None
    try:
        yield partial
        partial.chmod(0o777 & ~_umask())
        earlier = partial.with_suffix(".earlier")
        if os.path.lexists(out):
            out.rename(earlier)
        partial.rename(out)
        shutil.rmtree(earlier, ignore_errors=True)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{shown(out)} cannot be written: {error.strerror}.") from error
        raise


def _umask() -> int:
    """The permissions that new files of this process do not get. They can be read only by setting them."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _record(export: Export, to: str) -> dict[str, Any]:
    record: dict[str, Any] = {
        "format": to,
        "run": export.run.name,
        "ccd": own_version(),
        "exported": time.strftime("%Y-%m-%d %H:%M:%S"),
        "classes": list(export.run.classes),
        "thresholds": dict(
            zip(export.run.classes, export.thresholds.array(export.run.classes).tolist(), strict=True)
        ),
        "thresholds_how": in_words(export.thresholds),
    }
    if FORMATS[to].of_labels:
        record |= {"labels": export.labels, "boxes": export.boxes, "split": export.split}
    return json.loads(json.dumps(record | export.facts))
