"""Files of weights: wrapped and named in many ways, damaged, hostile, or with numbers that cannot be right.

Each is given to the backbone, or to CLIP. What should load must give the weights to the last bit; what should
be refused must be.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.fuzz.mutations import damaged
from tests.fuzz.outcomes import Case, Silent, is_sentence

DEMO_CLIP = Path(__file__).resolve().parents[2] / "assets" / "demo_clip"
State = dict[str, Tensor]
PREFIXES = ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "backbone."]
NESTS = [(), ("state_dict",), ("model",), ("model_state_dict",), ("ema",), ("state_dict", "model")]


def backbone(path: Path) -> State:
    from ccd_core.method.classifier import CamClassifier

    made = CamClassifier("timm:test_resnet", 3, str(path))
    return {name.rpartition("network.")[2]: value for name, value in made.backbone.state_dict().items()}


def clip(path: Path) -> State:
    """Look at the file, as a run does before it begins, and load it."""
    from ccd_core.clip import ClipTeacher
    from ccd_core.clip.weights import look_at_network

    look_at_network(f"local-dir:{DEMO_CLIP}", str(path))
    teacher = ClipTeacher.load(f"local-dir:{DEMO_CLIP}", str(path))
    return dict(teacher.model.state_dict())


def good_states() -> dict[str, State]:
    import timm

    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3)
    return {"backbone": network.state_dict(), "clip": load_file(DEMO_CLIP / "open_clip_model.safetensors")}


class Runs:
    """A pickle that would make a file."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("CODE_RAN",))


# -- what a file may be: each function writes it, and says "load", "refuse" or "either" --------------------


def save(content: Any, path: Path, chance: random.Random) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=chance.random() < 0.7)


def wrapped(state: State, path: Path, chance: random.Random) -> str:
    prefix = chance.choice(PREFIXES)
    content: Any = {prefix + name: value for name, value in state.items()}
    if chance.random() < 0.4:
        save_file(content, path)
        return "load"
    for nest in chance.choice(NESTS):
        content = {nest: content, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}
    save(content, path, chance)
    return "load"


def broken_bytes(state: State, path: Path, chance: random.Random) -> str:
    if chance.random() < 0.5:
        save_file(state, path)
    else:
        save(state, path, chance)
    path.write_bytes(damaged(path.read_bytes(), chance))
    return "either"


def with_value(state: State, path: Path, chance: random.Random) -> str:
    """One tensor with numbers that no weights have."""
    changed = dict(state)
    name = chance.choice(
        [
            name
            for name, value in state.items()
            if value.is_floating_point() and value.ndim > 1 and "fc." not in name
        ]
    )
    value = changed[name].clone()
    kind = chance.choice(["nan", "inf", "int8", "complex", "all", "shape", "name", "bool"])
    if kind in ("nan", "inf"):
        value.view(-1)[chance.randrange(value.numel())] = math.nan if kind == "nan" else math.inf
    elif kind == "all":
        value = torch.full_like(value, 6e4)
    changed[name] = {
        "int8": value.to(torch.int8),
        "complex": value.to(torch.complex64),
        "bool": value > 0,
        "shape": value[:, :1].contiguous() if value.shape[1] > 1 else value[:1],
    }.get(kind, value)
    if kind == "name":
        del changed[name]
    save(changed, path, chance)
    return "either" if kind == "all" else "refuse"


def no_weights(state: State, path: Path, chance: random.Random) -> str:
    content = chance.choice(
        [
            b"",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 605157884\n",
            b"<!DOCTYPE html><html>404",
            b"\x89PNG\r\n\x1a\n",
            bytes(3000),
            b"words",
            pickle.dumps(Runs()),
            pickle.dumps({"state_dict": Runs()}),
            json.dumps({"weight_map": {"a": "../../etc/passwd"}}).encode(),
            b"PK\x03\x04",
            b"\x80\x02.",
            b"\x80\x02]q\x00.",
        ]
    )
    path.write_bytes(content)
    return "refuse"


def other_types(state: State, path: Path, chance: random.Random) -> str:
    contents: list[Any] = [
        {"state_dict": None},
        [1, 2],
        {1: torch.zeros(2)},
        {},
        None,
        5,
        "text",
        {"state_dict": []},
        torch.zeros(3),
        {"state_dict": {"a": 1}},
        {"model": {"model": {"model": {}}}},
        {"": torch.zeros(1)},
        {"state_dict": Runs()},
        {"a": torch.zeros(1).expand(10**6, 10**5)},
    ]
    save(chance.choice(contents), path, chance)
    return "refuse"


def no_file(state: State, path: Path, chance: random.Random) -> str:
    kind = chance.choice(["nothing", "folder", "pipe", "endless", "itself"])
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in ("endless", "itself"):
        path.symlink_to("/dev/zero" if kind == "endless" else path.name)
    return "refuse"


WAYS: list[Callable[[State, Path, random.Random], str]] = [
    wrapped,
    wrapped,
    broken_bytes,
    broken_bytes,
    with_value,
    no_weights,
    other_types,
    no_file,
]


def check(found: State, state: State, right: str, is_checked: bool) -> None:
    if right == "refuse":
        raise Silent("was loaded, and must be refused")
    for name, value in found.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise Silent(f"{name} has NaN or infinite values")
        same = name not in state or torch.equal(value.float(), state[name].float())
        if not same and (right == "load" or is_checked):
            raise Silent(f"{name} has other values")


def cases(count: int, folder: Path) -> Iterator[Case]:
    """`count` files; every third is given to CLIP, the others to the backbone."""
    states = good_states()
    doors = {"backbone": backbone, "clip": clip}
    for number in range(count):
        target = "clip" if number % 3 == 2 else "backbone"
        way = WAYS[number % len(WAYS)]
        suffix = random.Random(number).choice([".pt", ".pth", ".safetensors", ".ckpt", ".bin"])

        def make(place: Path) -> None:
            (place / "cwd").mkdir()

        def door(
            place: Path, number: int = number, target: str = target, way: Any = way, suffix: str = suffix
        ) -> None:
            path = place / f"weights{suffix}"
            right = way(states[target], path, random.Random(number))
            os.chdir(place / "cwd")
            has_sums = path.is_file() and path.stat().st_size and way is broken_bytes
            try:
                found = doors[target](path)
            except Exception as error:
                if right == "load" and is_sentence(error):
                    raise Silent(f"is refused, and should load: {error}") from None
                raise
            finally:
                if any((place / "cwd").iterdir()):
                    raise Silent("code of the file ran")
            check(found, states[target], right, bool(has_sums) and path.read_bytes()[:2] == b"PK")

        yield Case(f"weights {number}: {target}, {way.__name__}{suffix}", make, {target: door})
