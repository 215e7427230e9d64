"""Labelled images as a data set that FiftyOne imports where the images are: data.json and labels.json.

With boxes it is FiftyOne's `FiftyOneImageDetectionDataset`, without `FiftyOneImageClassificationDataset` with
several labels an image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ccd_core.export.formats import Export
from ccd_core.export.labels.labelled_images import Image, labelled_images

DATA = "data.json"
LABELS = "labels.json"
KINDS = {True: "FiftyOneImageDetectionDataset", False: "FiftyOneImageClassificationDataset"}


def write(export: Export, folder: Path) -> None:
    """Write data.json, where each image is; labels.json, what is in it; and import_fiftyone.py."""
    images = labelled_images(export)
    places = {}
    labels: dict[str, Any] = {}
    for number, image in enumerate(images):
        key = f"{number:07d}"
        places[key] = str(image.path.absolute())
        labels[key] = _labels(image, export.boxes)
    (folder / DATA).write_text(json.dumps(places, indent=1) + "\n", encoding="utf-8")
    content = {"classes": list(images.classes), "labels": labels}
    (folder / LABELS).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "import_fiftyone.py").write_text(_script(export), encoding="utf-8")


def _labels(image: Image, boxes: bool) -> Any:
    """Of one image: detections with corner, width and height in fractions, or names of classes."""
    if not boxes:
        return [label.name for label in image.labels]
    found = []
    for label in image.labels:
        x0, y0, x1, y1 = label.box or (0.0, 0.0, float(image.width), float(image.height))
        box = [x0 / image.width, y0 / image.height, (x1 - x0) / image.width, (y1 - y0) / image.height]
        rounded = [round(side, 6) for side in box]
        found.append({"label": label.name, "bounding_box": rounded, "confidence": label.score})
    return found


def _script(export: Export) -> str:
    return f'''"""Open this export in FiftyOne: python import_fiftyone.py"""

from pathlib import Path

import fiftyone

folder = Path(__file__).resolve().parent
dataset = fiftyone.Dataset.from_dir(
    dataset_dir=str(folder),
    dataset_type=fiftyone.types.{KINDS[export.boxes]},
    data_path=str(folder / "{DATA}"),
    labels_path=str(folder / "{LABELS}"),
    label_field="ccd",
)
print(dataset)
if __name__ == "__main__":
    fiftyone.launch_app(dataset).wait()
'''
