"""Run folders with one damaged file, shown to every command that reads a run.

A file that holds results may not give another result without a word: what a command prints is compared with
what it prints of the undamaged run. Settings and state may differ, for a user may change those, but wrong
numbers in them must be refused.
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.fuzz.mutations import MANY, ODD_JSON, damaged, with_odd_leaf
from tests.fuzz.outcomes import Case, Refused, Silent, command, is_sentence, run_case

OLD_RUNS = Path(__file__).resolve().parents[1] / "old_run"
DOCUMENTS = ["state.json", "bias.json", "scores/ap.json", "checkpoints/best.json", "view_threshold.json"]
DOCUMENTS += ["images.json", "stop.json"]
ARRAYS = ["global.npz", "labels.npz", "scores/train.npz", "scores/val.npz", "dataset.npz"]
OTHERS = ["config.yaml", "views.parquet", "metrics.csv", "checkpoints/best.safetensors", "log.txt"]
NOT_RESULTS = {"state.json", "stop.json", "config.yaml", "log.txt"}  # these may change what is shown
NUMBERS = (int, float)


def prepared(folder: Path) -> Path:
    """A workspace in `folder` with the finished run `good` and its images; its results are up to date."""
    shutil.copytree(OLD_RUNS / "photos", folder / "photos")
    shutil.copytree(OLD_RUNS / "finished", folder / "runs" / "good")

    def resume(place: Path) -> None:
        os.chdir(folder)
        command(["run", "--resume", "--out", "runs/good"])

    outcome = run_case(Case("the undamaged run", lambda _: None, {"resume": resume}), folder / "first")
    assert outcome.kind == "worked", outcome
    (folder / "runs" / "good" / "stop.json").write_text('{"asked": 1.0, "pid": 1, "host": "elsewhere"}\n')
    return folder


# -- ways to damage a file -------------------------------------------------------------------------------


def bytes_of(path: Path, chance: random.Random) -> None:
    path.write_bytes(damaged(path.read_bytes(), chance))


def gone(path: Path, chance: random.Random) -> None:
    path.unlink()


def another_thing(path: Path, chance: random.Random) -> None:
    """A folder, a pipe, or a link that leads nowhere or to itself or to an endless device."""
    path.unlink()
    kind = chance.choice(["folder", "pipe", "nowhere", "itself", "endless"])
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"nowhere": "not there", "itself": path.name, "endless": "/dev/zero"}[kind])


def other_json(path: Path, chance: random.Random) -> None:
    path.write_text(chance.choice(ODD_JSON))


def leaf_of_json(path: Path, chance: random.Random) -> None:
    path.write_text(json.dumps(with_odd_leaf(json.loads(path.read_text()), chance)))


def arrays(path: Path, chance: random.Random) -> None:
    with np.load(path) as file:
        values = {name: file[name] for name in file.files}
    name = chance.choice(list(values))
    array = values[name]
    kind = chance.choice(
        ["lost", "repeated", "nan", "inf", "text", "turned", "gone", "shuffled", "header", "new"]
    )
    rows = np.random.default_rng(chance.randrange(2**32))
    if kind == "lost":
        values[name] = array[:-3]
    elif kind == "repeated":
        values[name] = np.concatenate([array[:-1], array[:1]])
    elif kind in ("nan", "inf"):
        values[name] = np.full(array.shape, math.nan if kind == "nan" else math.inf, np.float32)
    elif kind == "text":
        values[name] = array.astype(str)
    elif kind == "turned":
        values[name] = array[..., None] if array.ndim == 1 else array.T
    elif kind == "gone":
        del values[name]
    elif kind == "shuffled":
        values[name] = rows.permutation(array)
    elif kind == "new":
        values[name] = rows.random(array.shape).astype(np.float32)
    with open(path, "wb") as target:
        np.savez(target, **values)
    if kind == "header":
        content = path.read_bytes()
        path.write_bytes(content.replace(b"'shape': (12,", b"'shape': (999999999,"))


def views(path: Path, chance: random.Random) -> None:
    table = pq.read_table(path)
    kind = chance.choice(["lost", "shuffled", "column", "short", "nan", "names", "empty"])
    if kind == "lost":
        table = table.slice(0, table.num_rows - 2)
    elif kind == "shuffled":
        table = table.take(pa.array(np.random.default_rng(chance.randrange(99)).permutation(table.num_rows)))
    elif kind == "column":
        table = table.drop_columns([chance.choice(table.column_names)])
    elif kind == "empty":
        table = table.slice(0, 0)
    else:
        name = "image" if kind == "names" else "probabilities"
        column = table.column(name).to_pylist()
        new = {"short": lambda v: v[:-1], "nan": lambda v: [math.nan for _ in v], "names": lambda v: v + "x"}[
            kind
        ]
        column[0] = new(column[0])
        table = table.set_column(table.column_names.index(name), name, pa.array(column))
    pq.write_table(table, path)


def settings(path: Path, chance: random.Random) -> None:
    """config.yaml with another value, a missing or unknown key, or what YAML can do beyond settings."""
    values = yaml.safe_load(path.read_text())
    kind = chance.choice(["leaf", "leaf", "leaf", "key", "unknown", "text"])
    if kind == "text":
        text = chance.choice(
            [
                "seed: 2026-99-99\n",
                f"seed: {MANY}\n",
                "[" * 3000,
                "a: &a [x]\nb: *a\n",
                "seed: !!python/name:os.system\n",
                "- seed\n",
                "seed: 1:30\n",
                "? [a]\n: b\n",
                "---\na: 1\n---\nb: 2\n",
                "recorded: {classes: [1, 2]}\n",
            ]
        )
        path.write_text(path.read_text() + text)
        return
    if kind == "unknown":
        values[chance.choice(["labels", "training"])]["new_thing"] = 3
    elif kind == "key":
        part = values[chance.choice(["clip", "training", "labels", "views"])]
        del part[chance.choice(list(part))]
    else:
        values = with_odd_leaf(values, chance)
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def ways(name: str) -> list[Callable[[Path, random.Random], None]]:
    """What may befall the file `name`."""
    general = [bytes_of, bytes_of, gone, another_thing]
    if name.endswith(".json"):
        return [*general, other_json, other_json, leaf_of_json, leaf_of_json, leaf_of_json]
    if name.endswith(".npz"):
        return [*general, arrays, arrays, arrays, arrays]
    if name == "views.parquet":
        return [*general, views, views, views]
    if name == "config.yaml":
        return [*general, *[settings] * 8]
    return general


# -- doors -----------------------------------------------------------------------------------------------


def wrong_numbers(damaged_values: Any, good: Any) -> bool:
    """Whether settings have NaN, infinity, true or an absurd number in place of a number."""
    if isinstance(good, dict) and isinstance(damaged_values, dict):
        return any(wrong_numbers(damaged_values[key], good[key]) for key in good if key in damaged_values)
    if isinstance(good, bool) or not isinstance(good, NUMBERS):
        return False
    if isinstance(damaged_values, bool):
        return True
    return isinstance(damaged_values, NUMBERS) and not abs(damaged_values) < 1e20


def shown(folder: Path, what: list[str]) -> str:
    return command([part.replace("RUN", "runs/bad") for part in what])


def both_lists(folder: Path) -> None:
    """A damaged run is a row, and the good one beside it is listed all the same."""
    for verb in ("runs", "jobs"):
        try:
            command([verb, "list", "--workspace", "runs"])
            text = command([verb, "list", "--workspace", "runs", "--json"])
        except Refused as error:
            raise Silent(f"ccd {verb} list ends at the damaged run: {error}") from None
        named = {row["run"]: row["status"] for row in json.loads(text)}
        if named.get("good") != "finished":
            raise Silent(f"ccd {verb} list lacks the good run: {named}")
        if "bad" not in named and (folder / "runs" / "bad" / "config.yaml").exists():
            raise Silent(f"ccd {verb} list lacks the damaged run: {named}")


def everything(run: Any) -> dict[str, Any]:
    """All that the pages read of a run."""
    found: dict[str, Any] = {}
    for name in ("global", "labels"):
        found[name] = {key: value.tolist() for key, value in getattr(run, f"load_{name}")().items()}
    for split in ("train", "val"):
        found[split] = {key: value.tolist() for key, value in run.load_scores(split).items()}
    found["views"] = run.load_views().astype(str).to_numpy().tolist()
    found["view probabilities"] = run.load_view_probabilities().tolist()
    found["bias"] = run.load_bias()
    found["metrics"] = run.load_metrics().astype(str).to_numpy().tolist()
    found["ap"] = run.load_ap()
    return found


def read_all(folder: Path, name: str = "bad") -> Any:
    from ccd_core.runs import Run

    run = Run.open(folder / "runs" / name)
    run.log_tail()
    return json.loads(json.dumps(everything(run)))


COMMANDS = {
    "eval": ["eval", "RUN", "--json"],
    "predict": ["predict", "RUN", "photos/00.jpg", "photos/05.jpg", "--json", "--device", "cpu"],
}


def doors(
    file: str, workspace: Path, good: dict[str, Any], resume: bool
) -> dict[str, Callable[[Path], object]]:
    """The commands and readers, each of which compares its result with that of the good run."""

    def same(name: str, value: Any, folder: Path) -> None:
        if file not in NOT_RESULTS and value != good[name]:
            raise Silent(f"{name} gives another result after {file} was damaged")
        if file == "config.yaml":
            settings = yaml.safe_load((workspace / "runs" / "good" / "config.yaml").read_text())
            try:
                there = yaml.safe_load((folder / "runs" / "bad" / "config.yaml").read_text())
            except Exception:
                raise Silent(f"{name} takes settings that are no YAML") from None
            if wrong_numbers(there, settings):
                raise Silent(f"{name} takes numbers that cannot be right")

    def ask(name: str) -> Callable[[Path], object]:
        def door(folder: Path) -> None:
            result = json.loads(shown(folder, COMMANDS[name]).replace("runs/bad", "runs/good"))
            same(name, result, folder)

        return door

    def go_on(folder: Path) -> None:
        before = read_all(folder, "good")
        said = command(["run", "--resume", "--out", "runs/bad"])
        if f"Note: {file} is gone, which this run wrote" in said:
            return
        after = read_all(folder)
        for part in ("labels", "train", "val"):
            if file not in NOT_RESULTS and after[part] != before[part]:
                raise Silent(f"the resumed run has other {part}")

    found: dict[str, Callable[[Path], object]] = {
        "list": both_lists,
        "show": lambda folder: shown(folder, ["runs", "show", "RUN"]),
        **{name: ask(name) for name in COMMANDS},
        "pages": lambda folder: same("pages", read_all(folder), folder),
    }
    return found | ({"resume": go_on} if resume else {})


def results_of_good_run(workspace: Path) -> dict[str, Any]:
    os.chdir(workspace)
    good: dict[str, Any] = {
        name: json.loads(command([part.replace("RUN", "runs/good") for part in what]))
        for name, what in COMMANDS.items()
    }
    return good | {"pages": read_all(workspace, "good")}


def cases(count: int, folder: Path) -> Iterator[Case]:
    """`count` damaged runs; every fourth is also resumed."""
    workspace = prepared(folder)
    good = results_of_good_run(workspace)
    files = [name for name in (*DOCUMENTS, *ARRAYS, *OTHERS) if (workspace / "runs" / "good" / name).exists()]
    for number in range(count):
        chance = random.Random(number)
        file = files[number % len(files)]
        way = chance.choice(ways(file))

        def make(place: Path, file: str = file, way: Any = way, chance: random.Random = chance) -> None:
            (place / "photos").symlink_to(workspace / "photos")
            for name in ("good", "bad"):
                shutil.copytree(workspace / "runs" / "good", place / "runs" / name)
            way(place / "runs" / "bad" / file, copy.copy(chance))

        yield Case(
            f"run {number}: {file}, {way.__name__}", make, doors(file, workspace, good, number % 4 == 0)
        )


__all__ = ["Refused", "cases", "is_sentence"]
