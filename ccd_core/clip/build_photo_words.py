"""Make assets/photo_words: the nouns that `photo-words` knows, from WordNet 3.0. For maintainers.

    apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet
    python -m ccd_core.clip.build_photo_words wordnet/usr/share/wordnet --licence wordnet/.../copyright

ImageNet's classes are synsets of WordNet 3.0. A word names

1. the classes at or below the first of its senses that has any, if these are not too many;
2. otherwise, for an animal, the classes of its nearest relatives if these are few: "cow" is a kind of
   cattle, as "ox" is;
3. what `ALIASES` says, where people's data sets have words that WordNet or ImageNet does not.

The result is the same for the same WordNet.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

from ccd_core.errors import UserError
from ccd_core.files import write_atomic
from ccd_core.paths import PHOTO_WORDS

TOO_MANY = 150  # classes below one sense; "animal" or "artifact" say nothing
# WordNet's numbers of its files of nouns. Relatives among things do not look alike, those among animals do.
ANIMALS = 5
SEEN = (ANIMALS, 6, 13, 20)  # animals, artefacts, food and plants: what a photograph can show
RELATIVES = 4  # classes of relatives at most; "giraffe" is not said by fifteen other ruminants
# Word -> known words that it stands for. Names of classes in VOC, COCO and NUS-WIDE.
ALIASES: dict[str, tuple[str, ...]] = {
    "aeroplane": ("airliner", "warplane"),
    "airplane": ("airliner", "warplane"),
    "motorbike": ("moped", "motor scooter"),
    "motorcycle": ("moped", "motor scooter"),
    "train": ("bullet train", "electric locomotive", "steam locomotive", "passenger car", "freight car"),
    "potted plant": ("flowerpot",),
    "plant": ("flowerpot",),
    "tv": ("television", "screen", "monitor"),
    "tv monitor": ("television", "screen", "monitor"),
    "tvmonitor": ("television", "screen", "monitor"),
    "television": ("television", "screen"),
    "cell phone": ("cellular telephone",),
    "phone": ("cellular telephone", "dial telephone", "pay-phone"),
    "remote": ("remote control",),
    "mouse": ("computer mouse",),
    "keyboard": ("computer keyboard",),
    "traffic light": ("traffic light",),
    "stop sign": ("street sign",),
    "sports ball": ("soccer ball", "basketball", "volleyball", "tennis ball", "baseball", "rugby ball"),
    "ball": ("soccer ball", "basketball", "volleyball", "tennis ball", "baseball", "rugby ball"),
    "tennis racket": ("racket",),
    "skis": ("ski",),
    "wine glass": ("goblet",),
    "donut": ("bagel",),
    "doughnut": ("bagel",),
    "hot dog": ("hotdog",),
    "teddy bear": ("teddy",),
    "hair drier": ("hand blower",),
    "hair dryer": ("hand blower",),
    "refrigerator": ("refrigerator",),
    "oven": ("rotisserie", "dutch oven", "stove"),
    "bowl": ("soup bowl", "mixing bowl"),
    "apple": ("granny smith",),
    "suitcase": ("bag", "backpack", "mailbag"),
    "handbag": ("purse",),
    "toilet": ("toilet seat",),
    "bed": ("four-poster", "studio couch", "quilt"),
    "elephant": ("african elephant", "indian elephant", "tusker"),
    "mountain": ("alp", "volcano"),
    "beach": ("seashore", "sandbar"),
    "clothes": ("clothing",),
}
# ImageNet has hardly a class of people. They wear what it has, so clothing stands for them.
PEOPLE = ("person", "people", "human", "man", "woman", "boy", "girl", "child", "kid", "adult", "pedestrian")


def senses_and_synsets(
    folder: Path,
) -> tuple[dict[str, list[int]], dict[int, list[str]], dict[int, list[int]], dict[int, int]]:
    """Noun -> its synsets, the commonest first; synset -> its words; synset -> the synsets right above it;
    synset -> the number of its file.
    """
    senses: dict[str, list[int]] = {}
    for line in _lines(folder / "index.noun"):
        fields = line.split()
        count = int(fields[2])
        senses[_plain(fields[0])] = [int(offset) for offset in fields[-count:]]
    of_synset: dict[int, list[str]] = {}
    above: dict[int, list[int]] = {}
    file_of: dict[int, int] = {}
    for line in _lines(folder / "data.noun"):
        fields = line.split("|")[0].split()
        synset = int(fields[0])
        file_of[synset] = int(fields[1])
        count = int(fields[3], 16)
        of_synset[synset] = [_plain(word) for word in fields[4 : 4 + 2 * count : 2]]
        pointers = fields[5 + 2 * count :]
        above[synset] = [
            int(pointers[at + 1])
            for at in range(0, len(pointers) - 3, 4)
            if pointers[at] in ("@", "@i") and pointers[at + 2] == "n"
        ]
    return senses, of_synset, above, file_of


def build(folder: Path) -> tuple[dict[str, list[int]], dict[str, list[str]]]:
    """Word -> the ImageNet classes that it names; unknown word -> known words near it in WordNet."""
    from timm.data import ImageNetInfo

    senses, of_synset, above, file_of = senses_and_synsets(folder)
    info = ImageNetInfo()
    class_of = {int(info.index_to_label_name(number)[1:]): number for number in range(1000)}
    missing = [synset for synset in class_of if synset not in of_synset]
    if missing:
        raise UserError(f"{folder} is not WordNet 3.0: it lacks {len(missing)} of ImageNet's 1,000 synsets.")

    @lru_cache(None)
    def ancestors(synset: int) -> frozenset[int]:
        return frozenset({synset}).union(*map(ancestors, above.get(synset, ())))

    below: dict[int, set[int]] = defaultdict(set)
    for synset, number in class_of.items():
        for higher in ancestors(synset):
            below[higher].add(number)

    known: dict[str, list[int]] = {}
    for word, of_word in senses.items():
        named = next((below[synset] for synset in of_word if 0 < len(below[synset]) <= TOO_MANY), None)
        if named is None and file_of[of_word[0]] == ANIMALS:
            relatives = set().union(*(below[higher] for higher in above.get(of_word[0], ())))
            named = relatives if 0 < len(relatives) <= RELATIVES else None
        if named:
            known[word] = sorted(named)
    for synset, number in class_of.items():  # a class's own names mean that class
        for word in of_synset[synset]:
            if word not in senses or senses[word][0] == synset or word not in known:
                known[word] = [number]
    clothing = sorted(below[senses["clothing"][0]])
    for word in PEOPLE:
        known[word] = sorted({*known.get("person", ()), *clothing})
    known["clothing"] = clothing
    for word, others in ALIASES.items():
        known[word] = sorted({number for other in others for number in known[_plain(other)]})

    @lru_cache(None)
    def nearest_above(synset: int) -> tuple[int, ...]:
        """Classes below the nearest synset above that has any."""
        if below[synset]:
            return tuple(sorted(below[synset]))
        return next((found for higher in above.get(synset, ()) if (found := nearest_above(higher))), ())

    near: dict[str, list[str]] = {}
    for word, of_word in senses.items():
        if word in known or " " in word or file_of[of_word[0]] not in SEEN:
            continue
        classes = nearest_above(of_word[0])
        if 0 < len(classes) <= TOO_MANY:
            spread = sorted({classes[0], classes[len(classes) // 2], classes[-1]})
            near[word] = [_plain(info.index_to_description(number).split(",")[0]) for number in spread]
    return known, near


def _lines(path: Path) -> list[str]:
    """The lines of a file of WordNet behind its licence, which is indented."""
    text = path.read_text(encoding="latin-1")
    return [line for line in text.splitlines() if line and not line.startswith("  ")]


def _plain(word: str) -> str:
    """As `photo_words.plain` writes words."""
    return " ".join(word.lower().replace("_", " ").replace("-", " ").split())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wordnet", type=Path, help="folder with data.noun and index.noun of WordNet 3.0")
    parser.add_argument("--licence", type=Path, required=True, help="WordNet's licence, which is shipped")
    parser.add_argument("--out", type=Path, default=PHOTO_WORDS)
    given = parser.parse_args()
    known, near = build(given.wordnet)
    given.out.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{word}\t{' '.join(map(str, known[word]))}\n" for word in sorted(known))
    write_atomic(given.out / "words.tsv.gz", gzip.compress(rows.encode("utf-8"), 9, mtime=0))
    rows = "".join(f"{word}\t{', '.join(near[word])}\n" for word in sorted(near))
    write_atomic(given.out / "near.tsv.gz", gzip.compress(rows.encode("utf-8"), 9, mtime=0))
    write_atomic(given.out / "LICENSE", given.licence.read_text(encoding="utf-8"))
    facts = {
        "words": len(known),
        "refused with words near them": len(near),
        "classes": len({number for numbers in known.values() for number in numbers}),
        "source": "WordNet 3.0, data.noun and index.noun",
    }
    write_atomic(given.out / "words.json", json.dumps(facts, indent=1) + "\n")
    print(f"{given.out}: {facts}")


if __name__ == "__main__":
    main()
