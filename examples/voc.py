"""PASCAL VOC: how good are labels at every stage of the method, and what does another alpha change?

    python examples/voc.py voc2012:/data --out runs/voc12

Ground truth scores what was made. Nothing is trained on it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ccd_core import UserError, average_precision, clip_bias, debias, run_ccd, update_labels
from ccd_core.config import load_config
from ccd_core.data import open_dataset


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument(
        "dataset", help="voc2007:ROOT, voc2012:ROOT, or voc:ROOT for data in the same layout"
    )
    options.add_argument("--out", type=Path, default=Path("runs/voc"), help="where the run is kept")
    options.add_argument("--preset", default="paper", help="reference follows the authors' code")
    options.add_argument("--settings", type=Path, help="a YAML file of settings, as `ccd settings` prints")
    given = options.parse_args()

    run = run_ccd(load_config(given.preset, given.settings, dataset=given.dataset), given.out)

    # The arrays of the run have the same images as rows, in the same order.
    labels = run.load_labels()
    truth = open_dataset(given.dataset).ground_truth("train")
    if truth is None:
        raise UserError(f"{given.dataset} has no annotations, so there is nothing to compare with.")
    rows, targets = truth.matched(labels["ids"].tolist())

    def mean_ap(values: np.ndarray) -> float:
        """mAP in percent; a class that no image has does not count."""
        return 100 * float(np.nanmean(average_precision(np.nan_to_num(values[rows]), targets)))

    p = run.load_global()["p_global"]
    stages = {"CLIP, whole image": p} | {kind: labels[kind] for kind in ("initial", "local", "final")}
    stages["classifier"] = run.load_scores("train")["scores"]
    for name, values in stages.items():
        print(f"{name:>18}: {mean_ap(values):5.1f} % mAP on the training images")

    # The method's functions take arrays, so that a question needs no new run.
    bias = clip_bias(p, run.config.bias.entropy_threshold)
    favourite = run.classes[int(np.argmax(bias.value))]
    print(
        f"CLIP favours {favourite} most, {bias.value.max() / bias.value.min():.1f} times the least favoured"
    )
    initial = debias(p, bias.value, run.config.bias.floor)
    for alpha in (0.0, 0.25, 0.5, 0.75, 1.0):
        print(f"alpha {alpha:4.2f}: {mean_ap(update_labels(initial, labels['local'], alpha)):5.1f} % mAP")

    # The classes that gained and lost most by the whole method, against CLIP alone.
    before = average_precision(p[rows], targets)
    gain = average_precision(stages["classifier"][rows], targets) - before
    for index in np.argsort(-np.nan_to_num(gain)):
        print(f"{run.classes[index]:>18}: {100 * before[index]:5.1f} % {100 * gain[index]:+6.1f}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"Error: {error}") from None
