"""Compute the missing runs of a comparison, one at a time on each device, and say how far all of them are.

Each device has a process, which takes the next run when it is done with one. A run is an ordinary run: it is
claimed, it keeps its state, and it goes on after a kill. The processes end with the one that started them.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Lock
from typing import Any

from ccd_core.comparison.plan import PlannedRun, missing
from ccd_core.errors import Stopped, UserError
from ccd_core.machine.processes import child_environment
from ccd_core.runs.team import end_with_launcher

POLL_SECONDS = 0.5
LEAST_GAIN = 0.01  # the part of all work from which on the time left is estimated
Prepare = Callable[[PlannedRun], None]  # what is done before a run begins, such as sharing stages


@dataclass(frozen=True)
class Standing:
    """How far a comparison is."""

    done: int  # runs that have finished
    total: int
    part: float  # of all work, in [0, 1]
    eta_seconds: float | None
    at_work: tuple[str, ...]  # what the processes do now, in words


def compute(
    planned: Sequence[PlannedRun],
    devices: Sequence[str],
    report: Callable[[Standing], None] | None = None,
    prepare: Prepare | None = None,
) -> list[str]:
    """Compute what is missing of `planned`, with one process for each device.

    report is called twice a second. prepare(run) is called in the process before a run begins; it must be a
    function of a module. Returns a sentence for each run that failed. Raises Stopped or KeyboardInterrupt if
    this process is told to stop; the runs have then written their checkpoints.
    """
    todo = missing(planned)
    if not todo:
        return []
    context = multiprocessing.get_context("spawn")
    following = context.Value("i", 0)
    failures: Any = context.Queue()
    environment = child_environment() | {"OMP_NUM_THREADS": _threads(devices)}
    clock = _Clock(planned, todo)
    with _environment(environment):
        processes = [
            context.Process(target=_work, args=(todo, device, following, failures, os.getpid(), prepare))
            for device in devices[: len(todo)]
        ]
        for process in processes:
            process.start()
    try:
        while any(process.is_alive() for process in processes):
            if report:
                report(clock.standing())
            time.sleep(POLL_SECONDS)
    except BaseException:
        for process in processes:
            process.terminate()  # SIGTERM: the run writes its checkpoint
        for process in processes:
            process.join()
        raise
    found = []
    while not failures.empty():
        found.append(failures.get())
    ended = [process.exitcode for process in processes if process.exitcode]
    if ended:
        found.append(f"A process of the comparison was ended ({ended[0]}); the same command goes on.")
    if report:
        report(clock.standing())
    return found


def _threads(devices: Sequence[str]) -> str:
    """How many threads each process has: they share the cores."""
    given = os.environ.get("OMP_NUM_THREADS")
    return given or str(max(1, (os.cpu_count() or 1) // len(devices)))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Any:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _work(
    todo: Sequence[PlannedRun],
    device: str,
    following: Any,
    failures: Any,
    launcher: int,
    prepare: Prepare | None,
) -> None:
    """The process of one device."""
    end_with_launcher(launcher)
    logging.getLogger("ccd").propagate = False
    import torch

    from ccd_core.execution import run_ccd

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    lock: Lock = following.get_lock()
    while True:
        with lock:
            number = following.value
            following.value += 1
        if number >= len(todo):
            return
        one = todo[number]
        try:
            if prepare:
                prepare(one)
            run_ccd(one.config.changed(device=device), one.path)
        except (Stopped, KeyboardInterrupt):
            return
        except Exception as error:  # one method must not end the table
            sentence = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            failures.put(f"{one.path.name}: {sentence}")


class _Clock:
    """How long all runs together will take, from what finished ones took.

    A run that has not begun is taken to need what a finished run of its row needed, or else what a run has
    needed on average.
    """

    def __init__(self, planned: Sequence[PlannedRun], todo: Sequence[PlannedRun]):
        self.planned = planned
        self.todo = todo
        self.began = time.time()
        self.parts_at_first: dict[str, float] = {}
        self.parts: dict[str, float] = {}

    def standing(self) -> Standing:
        for one in self.todo:  # after its epochs a run has more to do, of which nothing is counted
            self.parts[one.path.name] = max(_part_done(one), self.parts.get(one.path.name, 0.0))
        parts = self.parts
        self.parts_at_first = self.parts_at_first or dict(parts)
        weights = self._weights()
        total = sum(weights[one.path.name] for one in self.planned)
        left = sum(weights[one.path.name] * (1 - parts[one.path.name]) for one in self.todo)
        gained = sum(weights[name] * (part - self.parts_at_first[name]) for name, part in parts.items())
        elapsed = time.time() - self.began
        eta = elapsed * left / gained if gained > LEAST_GAIN * total else None
        done = len(self.planned) - sum(part < 1 for part in parts.values())
        at_work = tuple(_in_words(one) for one in self.todo if 0 < parts[one.path.name] < 1)
        return Standing(done, len(self.planned), 1 - left / total if total else 1.0, eta, at_work)

    def _weights(self) -> dict[str, float]:
        """{run: seconds that it takes}."""
        took: dict[str, list[float]] = {}
        for one in self.planned:
            if (run := one.run) is not None and run.status == "finished":
                seconds = sum(run.state.get("seconds", {}).values())
                took.setdefault(one.row, []).append(max(seconds, 0.1))
        known = {row: sum(values) / len(values) for row, values in took.items()}
        usual = sum(known.values()) / len(known) if known else 1.0
        return {one.path.name: known.get(one.row, usual) for one in self.planned}


def _part_done(one: PlannedRun) -> float:
    """Which part of a run is done, in [0, 1], counted in epochs."""
    if (run := one.run) is None:
        return 0.0
    state = run.state
    if state.get("status") == "finished":
        return 1.0
    done = len(state.get("seconds", {})) * 0.02
    detail = state.get("detail", "")
    if detail.startswith("epoch "):  # epoch 3 of 14
        within = state.get("done", 0) / max(1, state.get("total", 1))
        done = (int(detail.split()[1]) - 1 + within) / int(detail.split()[3])
    return min(0.98, max(0.01, done))


def _in_words(one: PlannedRun) -> str:
    state = run.state if (run := one.run) else {}
    detail = f", {state['detail']}" if state.get("detail") else ""
    return f"{one.path.name}: {state.get('stage', 'starting')}{detail}"
