"""Speed of what the pages Labels and CLIP bias compute when a slider moves, on many random labels.

    python benchmarks/labels_speed.py [--images 50000] [--classes 80] [--views 10] [--repeat 10]

"plain" is how a run computes the same: the functions of `method.labels` on whole arrays, and scikit-learn for
measures.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from ccd_core.config import CCDConfig
from ccd_core.evaluation.metrics import average_precision, quick_measures, summary
from ccd_core.explore.relabel import ClipOutputs, LabelStatistics, relabel
from ccd_core.method.bias import clip_bias, entropy
from ccd_core.method.labels import final_labels, initial_labels, local_labels


def median_ms(work: Callable[[], object], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def main(images: int, classes: int, views: int, repeat: int) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(classes, 0.05), images).astype(np.float32)
    p_views = rng.dirichlet(np.full(classes, 0.05), images * views).astype(np.float32)
    view_image = np.repeat(np.arange(images), views)
    targets = (rng.random((images, classes)) < 0.02 + 0.5 * p).astype(np.float32)
    positives = [np.flatnonzero(column) for column in targets.T]
    config = CCDConfig.preset("paper").changed(labels={"alpha": 0.3}, bias={"entropy_threshold": 0.8})

    began = time.perf_counter()
    outputs = ClipOutputs.of(p, entropy(p)).with_views(view_image, p_views)
    gathering = time.perf_counter() - began
    before = relabel(outputs, config, outputs.p).final

    def plainly() -> np.ndarray:
        bias = clip_bias(p, config.bias.entropy_threshold)
        return final_labels(
            initial_labels(p, bias, config), local_labels(images, view_image, p_views, bias, config), config
        )

    made = plainly()
    works: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("labels from settings", plainly, lambda: relabel(outputs, config, before)),
        (
            "AP of every class, micro-AP, F1",
            lambda: (average_precision(made, targets), summary(made, targets)),
            lambda: quick_measures(before, positives),
        ),
        (
            "means, counts, distribution",
            lambda: (made.mean(0), (made > 0.5).sum(0), np.histogram(made, 40)),
            lambda: LabelStatistics.of(before),
        ),
        ("CLIP bias", lambda: clip_bias(p, 0.8), lambda: outputs.bias(0.8)),
    ]
    print(
        f"{images:,} images, {classes} classes, {views} views an image; outputs gathered once in "
        f"{gathering:.2f} s\n"
    )
    print("| work | plain, ms | ours, ms | ratio |\n|---|---|---|---|")
    for name, plain, quick in works:
        slow = median_ms(plain, 1)
        fast = median_ms(quick, repeat)
        print(f"| {name} | {slow:.0f} | {fast:.1f} | {slow / fast:.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--views", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=10)
    arguments = parser.parse_args()
    main(arguments.images, arguments.classes, arguments.views, arguments.repeat)
