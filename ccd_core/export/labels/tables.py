"""Labelled images as tables: labels.csv, a row an image, and boxes.csv, a row a label.

labels.csv is the table that `ccd predict --csv` writes, with the split; `csv:labels.csv` reads it.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ccd_core.data.listing.names import as_text
from ccd_core.export.formats import Export
from ccd_core.export.labels.labelled_images import labelled_images

LABELS = "labels.csv"
BOXES = "boxes.csv"


def write(export: Export, folder: Path) -> None:
    """Write labels.csv, classes.txt and, with boxes, boxes.csv. Paths of images are absolute."""
    images = labelled_images(export, with_sizes=False)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in images.classes), encoding="utf-8")
    with open(folder / LABELS, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "labels", "scores", "split"])
        for image in images:
            names = ";".join(label.name for label in image.labels)
            scores = ";".join(f"{label.score:.5f}" for label in image.labels)
            table.writerow([as_text(str(image.path.absolute())), names, scores, image.split])
    if not export.boxes:
        return
    with open(folder / BOXES, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "width", "height", "label", "score", "x0", "y0", "x1", "y1"])
        for image in images:
            row = [as_text(str(image.path.absolute())), image.width, image.height]
            for label in image.labels:
                table.writerow([*row, label.name, f"{label.score:.5f}", *(label.box or [""] * 4)])
            if not image.labels:
                table.writerow([*row, *[""] * 6])
