"""Train a classifier on a folder of photos without labels, label new photos, and take the result away.

    python examples/own_folder.py photos --new more_photos --out runs/photos

The folder holds images and classes.txt, with one class name a line. Where a labels.csv is there, too, it
scores the result and trains nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ccd_core import Predictor, Run, UserError, run_ccd
from ccd_core.config import load_config
from ccd_core.data import open_dataset
from ccd_core.data.kinds.folder import find_images
from ccd_core.export import export_run


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("folder", type=Path, help="images and classes.txt")
    options.add_argument("--new", type=Path, help="a folder of images to label when the run is finished")
    options.add_argument("--out", type=Path, default=Path("runs/photos"), help="where the run is kept")
    options.add_argument("--preset", default="paper", help="laptop is for machines without a GPU")
    options.add_argument("--settings", type=Path, help="a YAML file of settings, as `ccd settings` prints")
    given = options.parse_args()

    # 1. What is in the folder? Its notes say how it was understood, and what is left out.
    spec = f"folder:{given.folder}"
    dataset = open_dataset(spec)
    print(f"{len(dataset.splits['train']):,} images, {len(dataset.classes)} classes")
    print(*dataset.notes, sep="\n")

    # 2. Train. A run that was killed goes on where it was when this program is started again.
    config = load_config(given.preset, given.settings, dataset=spec)
    run = run_ccd(config, given.out)
    scores = run.load_ap()
    print(f"mAP {scores['val']['mAP']:.1f} %" if scores.get("val") else "no labels.csv, so no score")

    # 3. Label new images. A file that is no image has an error and no scores.
    label(run, given.new or given.folder)

    # 4. Take the labels of the data set to another program; images without labels are in the file, too.
    boxes = export_run(run, "coco", given.out.with_name(f"{given.out.name}-coco"), force=True)
    print(f"labels and boxes: {boxes}")


def label(run: Run, folder: Path) -> None:
    """Print the labels of every image in a folder, the surest first."""
    predictor = Predictor(run)
    print(f"thresholds: {predictor.thresholds.in_words}")
    for prediction in predictor.predict([folder / name for name in find_images(folder)]):
        labels = prediction.labels(predictor.classes, predictor.thresholds)
        print(f"{prediction.path.name}: {prediction.error or ', '.join(labels) or 'nothing'}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"Error: {error}") from None
