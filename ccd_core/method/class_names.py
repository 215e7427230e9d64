"""What CLIP makes of class names, from its answers about a sample of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

RARELY = 0.3  # a class that is nowhere first and nowhere above this probability is never predicted
GREEDY = 0.5  # a class that is first in more than this share of the images takes too much
# The standard deviation over images of the difference between two classes' logits, as a share of the median
# over all pairs. Synonyms (sofa and couch) lie below 0.1, unrelated classes near 1.
SAME = 0.3  # below, the two are one class to CLIP
NEAR = 0.45  # below, they are confused where they share their probability as well
SHARED = 0.55  # part of the smaller class's probability that the other one has in the same images


@dataclass(frozen=True)
class NameReport:
    """What CLIP says of C class names on a sample of N images.

    first: [C] in how many images a class comes first; highest: [C] its highest probability in any image;
    where: [C] the image of that probability. never, greedy: classes with a warning. confused: pairs of
    classes that CLIP can hardly tell from each other. images: N. teacher: what sentences call it.
    """

    classes: tuple[str, ...]
    images: int
    first: list[int]
    highest: list[float]
    where: list[str]
    never: list[str] = field(default_factory=list)
    greedy: list[str] = field(default_factory=list)
    confused: list[tuple[str, str]] = field(default_factory=list)
    teacher: str = "CLIP"

    @property
    def warnings(self) -> list[str]:
        """A sentence for each thing to look at."""
        rows = {name: index for index, name in enumerate(self.classes)}
        said = []
        for name in self.never:
            said.append(
                f"{self.teacher} names {name} first in none of {self.images} images, and gives it "
                f"{self.highest[rows[name]]:.2f} at most. It is rare here, or "
                f"{self.teacher} knows it by other words."
            )
        for name in self.greedy:
            said.append(
                f"{self.teacher} names {name} first in {self.first[rows[name]]} of {self.images} images. If "
                "it is not that frequent, a narrower name helps."
            )
        for one, other in self.confused:
            said.append(
                f"{self.teacher} hardly tells {one} from {other}. Name what sets them apart, or make them "
                "one class."
            )
        return said


def report_names(
    classes: Sequence[str], ids: Sequence[str], p: np.ndarray, logits: np.ndarray, teacher: str = "CLIP"
) -> NameReport:
    """The report on C classes. ids: the N images; p: [N, C] probabilities; logits: [N, C] cosines / tau."""
    top = p.argmax(1)
    first = np.bincount(top, minlength=len(classes))
    best = p.argmax(0)
    highest = p.max(0)
    never = [name for c, name in enumerate(classes) if not first[c] and highest[c] < RARELY]
    greedy = [name for c, name in enumerate(classes) if len(classes) > 2 and first[c] > GREEDY * len(p)]
    pairs = [(classes[a], classes[b]) for a, b in _confused(p, logits)]
    return NameReport(
        tuple(classes),
        len(p),
        first.tolist(),
        highest.round(4).tolist(),
        [ids[row] for row in best],
        never,
        greedy,
        pairs,
        teacher,
    )


def _confused(p: np.ndarray, logits: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of classes that CLIP can hardly tell apart in these images."""
    count = p.shape[1]
    if count < 3 or len(p) < 2:
        return []
    # [C, C], nats.
    differences = np.array(
        [[(logits[:, a] - logits[:, b]).std() for b in range(count)] for a in range(count)]
    )
    upper = np.triu_indices(count, 1)
    usual = float(np.median(differences[upper]))
    mass = p.sum(0)
    found = []
    for a, b in zip(*upper, strict=True):
        shared = np.minimum(p[:, a], p[:, b]).sum()
        smaller = min(mass[a], mass[b])
        # Half an image's probability, or it says nothing.
        overlap = shared / smaller if smaller > 0.5 else 0.0
        ratio = differences[a, b] / usual if usual > 0 else 0.0
        if ratio < SAME or (ratio < NEAR and overlap > SHARED):
            found.append((int(a), int(b)))
    return found
