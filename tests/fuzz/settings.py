"""Wrong settings and options: `ccd settings` with one odd value, and commands with odd paths and words."""

from __future__ import annotations

import os
import random
import shutil
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.mutations import MANY
from tests.fuzz.outcomes import Case, Refused, Silent, command
from tests.fuzz.run_folders import OLD_RUNS

NO_NUMBERS = [
    ".nan",
    ".inf",
    "-.inf",
    "nan",
    "inf",
    "1e23",
    "1e400",
    "-1e23",
    "true",
    "false",
    "text",
    "[1]",
    "{a: 1}",
    "1:30",
    "2026-01-01",
    MANY,
    "0o99",
    "1_0_x",
    "''",
    "[[1]]",
    "-7",
    "100000000000000000",
    "*a",
    "&a 5",
    "!!int 5",
    "null x",
]
NO_WORDS = ["nonsense", "true", "5", "[]", "{}", "null x", "CLASS", "!!python/name:os.system", "*a", "&a x"]
NO_YAML = [
    "[",
    "{",
    "*a",
    "&a [x]",
    "!!python/object/apply:os.system ['true']",
    "[" * 3000,
    '"',
    "a: b: c",
    "? [a]",
    "&a [x, x, x, x, x, x, x, x, x]",
    "{a: &a [x], b: *a}",
    "x" * 200_000 + ": 1",
    "!!binary aGk=",
    "%YAML",
]
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
ODD_FILES: dict[str, bytes | str] = {  # name -> content, or what stands in its place
    "empty": b"",
    "binary": bytes(range(256)) * 40,
    "zeros": bytes(5000),
    "utf16": "seed: 1\n".encode("utf-16"),
    "words": b"just words\n",
    "list": b"- seed\n",
    "bomb": BOMB.encode(),
    "deep": b"[" * 100_000,
    "digits": b"seed: " + MANY.encode(),
    "date": b"seed: 2026-99-99\n",
    "python": b"seed: !!python/object/apply:os.system ['true']\n",
    "twice": b"seed: 1\nseed: 2\n",
    "two": b"seed: 1\n---\nseed: 2\n",
    "unknown": b"no_such_section: {x: 1}\n",
    "pipe": "pipe",
    "folder": "folder",
    "endless": "/dev/zero",
    "random": "/dev/urandom",
    "itself": "itself",
    "nowhere": "not there",
}
ODD_PATHS = [
    "nowhere",
    "files/empty",
    "files/pipe",
    "files/folder",
    "files/endless",
    "files/itself",
    "/dev/null",
]
ODD_PATHS += [
    "a" * 5000,
    "[/b]",
    "caf\udce9",
    "photos/00.jpg",
    "two\nlines",
    "-",
    "--",
    "~nobody/x",
    "x[red]y",
]


def fields(section: Any, prefix: str = "") -> Iterator[tuple[str, set[Any]]]:
    """(dotted name, types) of every setting."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and hasattr(kind, "model_fields"):
            yield from fields(kind, f"{prefix}{name}.")
        else:
            is_union = typing.get_origin(kind) in (types.UnionType, typing.Union)
            yield prefix + name, set(typing.get_args(kind)) if is_union else {kind}


def wrong_values(kinds: set[Any]) -> list[str]:
    """What a setting of these types must refuse."""
    kinds = kinds - {type(None)}
    if kinds and kinds <= {int, float}:
        return NO_NUMBERS
    if kinds == {bool}:
        return ["text", "5", "[]", ".nan", "2026-01-01", "*a", MANY]
    if all(typing.get_origin(kind) is typing.Literal for kind in kinds):
        return NO_WORDS
    return NO_YAML


def refused(arguments: list[str]) -> None:
    """The command must refuse; a result is a wrong one."""
    command(arguments)
    raise Silent(f"ccd {' '.join(arguments)[:200]} was accepted")


def in_file(name: str, value: str, folder: Path) -> None:
    *sections, key = name.split(".")
    lines = [f"{'  ' * depth}{section}:\n" for depth, section in enumerate(sections)]
    (folder / "mine.yaml").write_text("".join(lines) + f"{'  ' * len(sections)}{key}: {value}\n", "utf-8")
    refused(["settings", "--config", "mine.yaml"])


def odd_files(folder: Path) -> None:
    """files/NAME for each of ODD_FILES, and a few images with a list of classes."""
    (folder / "files").mkdir()
    for name, content in ODD_FILES.items():
        path = folder / "files" / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content == "pipe":
            os.mkfifo(path)
        elif content == "folder":
            path.mkdir()
        else:
            path.symlink_to(name if content == "itself" else content)
    shutil.copytree(OLD_RUNS / "photos", folder / "photos")


def commands() -> Iterator[list[str]]:
    """Commands that cannot be right, each to be refused in a sentence."""
    for path in ODD_PATHS:
        for verb in (
            ["eval"],
            ["runs", "show"],
            ["jobs", "show"],
            ["jobs", "logs"],
            ["jobs", "stop"],
            ["jobs", "resume"],
            ["predict"],
            ["runs", "delete", "--yes"],
        ):
            yield [*verb, "--", path, *(["photos/00.jpg"] if verb == ["predict"] else [])]
        yield ["run", "--resume", f"--out={path}"]
        yield ["data", "check", "--quick", f"--classes={path}", "folder:files/folder"]
        for kind in (
            "folder",
            "coco",
            "voc",
            "yolo",
            "csv",
            "imagefolder",
            "voc2012",
            "coco2014",
            "nuswide",
            "no",
        ):
            yield ["data", "check", "--quick", "--", f"{kind}:{path}"]
    for name in ODD_FILES:
        yield ["settings", f"--config=files/{name}"]
        yield ["run", f"--config=files/{name}", "--dataset=folder:nowhere"]
        yield ["data", "check", "--quick", f"--classes=files/{name}", "voc2012:photos"]
    for word in ("", "Demo", "best ", "[red]", "paper\n", "\udce9", "../x"):
        yield ["settings", f"--preset={word}"]
        yield ["run", f"--preset={word}"]
        yield [
            "run",
            "--preset=demo",
            f"--device={word or 'none'}",
            "--dataset=folder:photos",
            "--out=files/empty",
        ]
        yield ["jobs", "start", "--preset=demo", "--dataset=folder:photos", f"--name={word}/x"]
        yield ["jobs", "start", "--preset=demo", f"--dataset=folder:nowhere{word}"]
        yield ["eval", "../nowhere", f"--split={word}"]
    for change in (
        "seed",
        "=1",
        "seed=",
        "a.b.c.d.e.f=1",
        "views.threshold.between=[6,4]",
        "seed.x=1",
        "..=1",
        "views.threshold={between: [1, .nan]}",
        "views.threshold={mean_views: -1}",
        "clip.prompt=no place",
        "views.threshold={between: [-1, 4]}",
        "clip.names={cat: [[1]]}",
        "clip={size: [1]}",
        "data=5",
        "classifier.backbone_options={checkpoint_path: /etc/passwd}",
        "training=null",
        "clip.size=1000000000",
        "training.epochs=1000000000000",
        "classifier.backbone_options={x: .nan}",
        "recorded=1",
        "x" * 5000,
        "views.threshold={between: [4, 6], images: 0}",
        "views.threshold={mean_views: true}",
    ):
        yield ["settings", f"--set={change}"]
    for arguments in (
        ["predict", "x"],
        ["predict"],
        ["nothing"],
        ["jobs", "no"],
        ["run", "--no-such"],
        ["run", "--resume"],
        ["jobs", "logs", "x", "-n", "0"],
        ["jobs", "logs", "x", "-n", "many"],
        ["predict", "x", "y", "--threshold", "nan"],
        ["predict", "x", "y", "--threshold", "2"],
    ):
        yield list(arguments)


def cases(count: int, folder: Path) -> Iterator[Case]:
    """Three of five inputs are settings, the others commands."""
    from ccd_core.config import CCDConfig

    chance = random.Random(17)
    values = [(name, value) for name, kinds in fields(CCDConfig) for value in wrong_values(kinds)]
    right = [(name, None) for name, _ in fields(CCDConfig)]
    chosen: list[Any] = chance.sample([*values, *right], min(len(values) + len(right), count * 3 // 5))
    lines = list(commands())
    chosen += [chance.choice(lines) for _ in range(count - len(chosen) - len(lines))]
    chosen += chance.sample(lines, min(len(lines), count - len(chosen)))
    for number, entry in enumerate(chosen):
        if isinstance(entry, list):
            shown = " ".join(entry)[:80]
            yield Case(
                f"command {number}: ccd {shown!r}", odd_files, {"command": lambda _, e=entry: refused(e)}
            )
            continue
        name, value = entry
        if value is None:
            yield Case(
                f"right value {number}: {name}", lambda _: None, {"settings": lambda _, n=name: as_it_is(n)}
            )
            continue
        yield Case(
            f"setting {number}: {name}={value[:40]}",
            lambda _: None,
            {
                "set": lambda _, n=name, v=value: refused(["settings", f"--set={n}={v}"]),
                "file": lambda place, n=name, v=value: in_file(n, v, place),
            },
        )


def as_it_is(name: str) -> None:
    """A setting's own value is accepted and changes nothing."""
    before = command(["settings", "--preset=demo"])
    value: Any = yaml.safe_load(before)
    for part in name.split("."):
        value = value[part]
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("...").strip()
    try:
        after = command(["settings", "--preset=demo", f"--set={name}={text}"])
    except Refused as error:
        raise Silent(f"the setting's own value is refused: {error}") from None
    if yaml.safe_load(after) != yaml.safe_load(before):
        raise Silent(f"{name}={text} changes something else")
