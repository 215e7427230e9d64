"""Published numbers of the paper's data sets, to stand beside what is measured.

All are mAP in percent from the paper (Kim and Shim, CVPR 2025). Its Figures 3, 6 and 7 have no numbers in the
text, except for the settings of the method itself.
"""

from __future__ import annotations

VOC12, VOC07, COCO, NUS = DATASETS = ("voc2012", "voc2007", "coco2014", "nuswide")

# Table 1
TABLE_1: dict[str, tuple[float | None, float | None, float | None, float | None]] = {
    "bce": (90.1, 91.3, 78.5, 50.7),
    "bce_ls": (91.6, 92.6, 79.4, 51.7),
    "sarb": (None, 85.7, 72.5, None),
    "asl": (None, 82.9, 69.7, None),
    "sst": (None, 81.5, 68.1, None),
    "ll_r": (89.7, 90.6, 72.6, 47.4),
    "g2netpl": (89.5, 89.9, 72.5, 48.5),
    "an": (85.5, 86.5, 65.1, 40.8),
    "an_ls": (86.8, 87.9, 65.5, 41.3),
    "wan": (84.2, 86.2, 63.9, 40.1),
    "partial_bce": (81.3, 83.1, 63.2, 39.4),
    "role": (82.6, 84.6, 67.1, 43.2),
    "cdul": (88.6, 89.0, 69.2, 44.0),
    "ccd": (90.1, 91.0, 70.3, 44.5),
}
# Table 2, on VOC 2012
TABLE_2 = {
    "none": 86.4,
    "update": 88.7,
    "update + debias": 89.4,
    "update + consistency": 88.8,
    "all: CCD": 90.1,
}
# Figures 6 and 7, on VOC 2012: what the text says of the values that the method has (4.3, S 6.1).
FIGURES = {
    "views.threshold.mean_views": {10.0: 90.1},
    "labels.alpha": {0.4: 90.1},
    "views.cam_threshold": {0.95: 90.1},
}


def published_map(method: str, dataset_kind: str) -> float | None:
    """The paper's mAP of a method on a data set, in percent; None where Table 1 has none."""
    if dataset_kind not in DATASETS or method not in TABLE_1:
        return None
    return TABLE_1[method][DATASETS.index(dataset_kind)]
