"""`ccd predict` into files: any number of images, in parts that a killed command goes on from."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ccd_core.cli.bars import StageBars
from ccd_core.cli.text import messages, say
from ccd_core.errors import Stopped, UserError

if TYPE_CHECKING:
    from ccd_core.evaluation.thresholds import Thresholds
    from ccd_core.jobs.slurm import SlurmOptions
    from ccd_core.predict.folder import Merged
    from ccd_core.predict.plan import Plan
    from ccd_core.runs.run import Run

MOST_NAMED = 20  # images that cannot be used are named; the others are only in the file
LINE_SECONDS = 30  # between two lines of progress where the output is no terminal
SLURM_FILE = "slurm.json"


@dataclass(frozen=True)
class Request:
    """What is to be predicted, and into which files."""

    run: Run
    images: list[Path]
    outputs: dict[str, Path]  # {csv, jsonl or parquet: file}
    errors: Path | None
    limits: Thresholds
    boxes: bool
    batch_size: int
    workers: int
    alone: bool  # without CLIP's share in predictions

    @property
    def first(self) -> Path:
        return next(iter(self.outputs.values()))

    @property
    def errors_file(self) -> Path:
        return self.errors or self.first.with_suffix(".errors.csv")

    @property
    def folder(self) -> Path:
        """Where the parts are until the end."""
        return self.first.with_name(f"{self.first.name}.parts").resolve()

    def in_full(self) -> dict[str, Any]:
        """All that a process needs to know, as plan.json keeps it."""
        from ccd_core.predict.plan import model_digest

        return {
            "run": str(self.run.path.resolve()),
            "model": model_digest(self.run),
            "images": [str(path.resolve()) for path in self.images],
            "cwd": str(Path.cwd()),
            "outputs": {kind: str(path.resolve()) for kind, path in self.outputs.items()},
            "errors": str(self.errors_file.resolve()),
            "thresholds": asdict(self.limits),
            "boxes": self.boxes,
            "batch_size": self.batch_size,
            "workers": self.workers,
            "alone": self.alone,
        }


def predict_into_files(
    request: Request,
    device: str,
    shard: str | None,
    restart: bool,
    as_json: bool,
    tasks: int,
    cluster: SlurmOptions | None,
) -> None:
    """Predict all images, or a share of them, or hand them to a cluster. Then merge, if all are done."""
    from ccd_core.machine.gpus import devices_of
    from ccd_core.machine.signals import stoppable
    from ccd_core.predict.folder import merge

    number, shares = _share(shard)
    if cluster and shard:
        raise UserError("--slurm makes the shares itself; leave out --shard.")
    devices = devices_of(device)
    if shard and not restart and request.first.is_file() and not request.folder.is_dir():
        say("{} is there, so all shares are done; --restart begins again.", request.first, to=messages)
        return
    plan = _plan(request, restart)
    if cluster and plan.open_parts():
        _submit(plan, request, tasks, cluster, device)
        return
    try:
        with stoppable(), _progress(plan, number, shares) as advance:
            if len(devices) > 1:
                _on_devices(plan, devices, number, shares, advance)
            else:
                from ccd_core.predict.folder import work  # loads torch only where there are open parts

                work(plan, device, number, shares, advance)
    except (Stopped, KeyboardInterrupt):
        say("[yellow]Stopped.[/] The same command goes on from here.", to=messages)
        raise typer.Exit(1) from None
    merged = merge(plan, keep=as_json)
    if merged is None:
        say(
            "This share is done; {} of {} images are. The share that ends last writes the files.",
            f"{plan.done():,}", f"{plan.images:,}", to=messages,
        )  # fmt: skip
        return
    _report(request, merged)
    if as_json:
        _print_records(plan, request)
        plan.remove()
    if not merged.good:
        raise typer.Exit(2)


def _share(shard: str | None) -> tuple[int, int]:
    """(number counted from 0, count) of a share such as 2/8."""
    if shard is None:
        return 0, 1
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise UserError(f"--shard is I/N with I from 1 to N, such as 2/8, and not {shard!r}.")
    return number - 1, count


def _plan(request: Request, restart: bool) -> Plan:
    """The plan that is there already, or a new one."""
    from ccd_core.predict.plan import PLAN, Plan, alone

    asked = request.in_full()
    folder = request.folder
    try:
        with alone(folder):
            if (folder / PLAN).is_file() and not restart:
                plan = Plan.open(folder)
                _check_same(plan, asked)
                plan.write(asked)
                plan = Plan.open(folder)
                if done := plan.done():
                    text = "Going on: {} of {} images are done (--restart begins again)."
                    say(text, f"{done:,}", f"{plan.images:,}", to=messages)
                return plan
            plan = Plan(folder, {}, 0, [], {})
            plan.remove()
            plan = Plan.make(folder, request.images, asked)
            if not plan.images:
                plan.remove()
                raise UserError(f"There are no images in {', '.join(map(str, request.images))}.")
            return plan
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.") from None


def _check_same(plan: Plan, asked: dict[str, Any]) -> None:
    """Raise UserError if the parts that are there were asked for in another way."""
    words = {
        "run": "another run",
        "model": "another model of this run",
        "images": "other images",
        "cwd": "images as seen from another folder",
        "boxes": "other boxes",
        "alone": "the classifier alone" if plan.asked.get("alone") else "CLIP's share",
    }
    if asked["boxes"]:
        words["thresholds"] = "other thresholds"  # the boxes belong to labels at these thresholds
    for key, what in words.items():
        if ({"alone": False} | plan.asked).get(key) != asked[key]:  # plans of before do not say
            raise UserError(
                f"{plan.folder} holds the beginning of a prediction with {what}; add --restart to begin "
                "again, or name another output file."
            )


# -- several devices, and a cluster ----------------------------------------------------------------------


def _command(plan: Plan, number: int, shares: int, device: str) -> list[str]:
    from ccd_core.machine.processes import python_command

    share = f"{number + 1}/{shares}"
    return python_command("ccd_core.predict.folder", str(plan.folder), share, device)


def _on_devices(
    plan: Plan, devices: tuple[str, ...], number: int, shares: int, advance: Callable[[int], None]
) -> None:
    """A process for each device, each with its part of the share. Raises UserError if one fails."""
    from ccd_core.machine.processes import child_environment

    processes = [
        subprocess.Popen(
            _command(plan, number + shares * place, shares * len(devices), device),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(),
        )
        for place, device in enumerate(devices)
    ]
    said: dict[int, str] = {}
    threads = []
    for place, process in enumerate(processes):
        threads.append(threading.Thread(target=_follow, args=(process, advance)))
        threads.append(threading.Thread(target=_last_line, args=(process, place, said)))
    try:
        for thread in threads:
            thread.start()
        while any(process.poll() is None for process in processes):
            if any(process.poll() for process in processes):
                break
            time.sleep(0.1)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        for thread in threads:
            thread.join()
    for place, process in enumerate(processes):
        if process.returncode > 0:
            raise UserError(f"Device {devices[place]}: {said.get(place) or 'the process failed'}")
    if plan.folder.is_dir() and plan.open_parts(number, shares):
        raise UserError("A device's process was ended from outside; the same command goes on from here.")


def _follow(process: subprocess.Popen[str], advance: Callable[[int], None]) -> None:
    from ccd_core.predict.folder import ADVANCED

    assert process.stdout
    for line in process.stdout:
        if line.startswith(ADVANCED):
            advance(int(line.removeprefix(ADVANCED)))


def _last_line(process: subprocess.Popen[str], place: int, said: dict[int, str]) -> None:
    assert process.stderr
    for line in process.stderr:
        if line.strip():
            said[place] = line.strip()


def _submit(plan: Plan, request: Request, tasks: int, options: SlurmOptions, device: str) -> None:
    """Queue an array whose tasks share the open parts. Refuses while an earlier array is at work."""
    from ccd_core.files import write_json
    from ccd_core.jobs import slurm

    file = plan.folder / SLURM_FILE
    if file.is_file():
        before = str(json.loads(file.read_text(encoding="utf-8")).get("job", ""))
        if slurm.is_at_work(before):
            raise UserError(
                f"SLURM's job {before} works on these images already; `squeue -j {before}` shows it."
            )
    tasks = min(tasks, plan.parts)
    on = device if options.gpus else "cpu"
    commands = [_command(plan, number, tasks, on) for number in range(tasks)]
    logs = plan.folder.with_name(f"{request.first.name}.slurm")
    job = slurm.submit_array(logs, f"ccd-predict-{request.run.name}", commands, options)
    write_json(file, {"job": job, "tasks": tasks})
    say(
        "Submitted SLURM's job {}: {} tasks for {} images. The task that ends last writes {}. If tasks fail, "
        "the same command submits what is left. Their output is in {}.",
        job, tasks, f"{plan.images - plan.done():,}", request.first, logs, to=messages,
    )  # fmt: skip


# -- what is told ----------------------------------------------------------------------------------------


@contextmanager
def _progress(plan: Plan, number: int, shares: int) -> Iterator[Callable[[int], None]]:
    """A bar with the time left, or a line now and then where the output is no terminal."""
    own = range(number, plan.parts, shares)
    total = sum(plan.size_of(part) for part in own)
    begin = sum(plan.size_of(part) for part in own if plan.is_done(part))
    done = begin
    began = 0.0  # when the first batch was done: loading the model is not the images' speed
    told = 0.0
    lock = threading.Lock()
    with StageBars(messages) as bars:
        bars.report("predict", done, total, "")

        def advance(images: int) -> None:
            nonlocal done, told, began, begin
            with lock:
                done += images
                bars.report("predict", done, total, "")
                now = time.monotonic()
                if not began:
                    began = told = now
                    begin = done
                if messages.is_terminal or now - told < LINE_SECONDS:
                    return
                told = now
                speed = (done - begin) / (now - began)
                left = time.strftime("%H:%M:%S", time.gmtime((total - done) / speed))
                clock = time.strftime("%H:%M:%S")
                print(
                    f"{clock} {done:,} of {total:,} images, {speed:.0f} a second, {left} left",
                    file=sys.stderr,
                    flush=True,
                )

        yield advance


def _report(request: Request, merged: Merged) -> None:
    """How many images were labelled and how many could not be used, and why those could not."""
    names = ", ".join(map(str, request.outputs.values()))
    text = "{} images labelled in {}; thresholds: {}."
    say(text, f"{merged.good:,}", names, request.limits.in_words, to=messages)
    warn_of_unlike(merged.named, merged.unlike, merged.good)
    if not merged.bad:
        return
    with open(request.errors_file, encoding="utf-8", newline="") as file:
        for count, row in enumerate(csv.DictReader(file)):
            if count == MOST_NAMED:
                break
            image, reason = row["image"], row["reason"]
            said = reason if Path(image).name in reason else f"{image}: {reason}"
            print(f"skipped {said}", file=sys.stderr)
    many = "1 image" if merged.bad == 1 else f"{merged.bad:,} images"
    say("{} could not be used; the reasons are in {}.", many, request.errors_file, to=messages)


def warn_of_unlike(named: list[str], unlike: int, images: int) -> None:
    """Say how many images are unlike those that the classifier was trained on. named: the first of them."""
    if unlike:
        say(
            "[yellow]{} of {} images are unlike those that the classifier was trained on, so their labels "
            "mean little:[/] {}",
            *(f"{unlike:,}", f"{images:,}", ", ".join(named) + (", ..." if unlike > len(named) else "")),
            to=messages,
        )


def _print_records(plan: Plan, request: Request) -> None:
    """The images as one JSON list, a record at a time."""
    import numpy as np

    from ccd_core.predict.tables import UNLIKE, as_records

    begin = "["
    for row in plan.rows():
        if row.error is None:
            scores = np.asarray(row.scores, np.float32)
            (record,) = as_records([(row.image, scores)], request.run.classes, request.limits)
            record |= {} if row.unlike is None else {UNLIKE: row.unlike}
            record |= {"boxes": row.boxes} if request.boxes else {}
        else:
            record = {"image": row.image, "labels": [], "error": row.error}
        print(begin + json.dumps(record))
        begin = ","
    print("]")
