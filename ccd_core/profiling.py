"""Where a run's time goes: traces of a few seconds of each stage, and one screen of text.

    with profiled(run, reporter) as reporter:
        ...

A trace of a whole run would be larger than its images. So each stage is traced once, for a moment after
its first batches, when its kernels are warm. Traces lie in the run's folder as profile/STAGE.json.gz, which
ui.perfetto.dev and chrome://tracing open. The text is profile/summary.txt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from ccd_core.files import write_atomic
from ccd_core.runs.progress import Reporter
from ccd_core.runs.run import Run

log = logging.getLogger("ccd")
FOLDER = "profile"
SUMMARY = "summary.txt"
UNTRACED = 2  # reports of a stage before its trace begins; the first batch prepares kernels
SECONDS = 3.0  # of a trace
WAITING = ("enumerate(DataLoader)", "DecodedFile")  # operations in which the main thread waits for pictures
MOVING = ("Memcpy", "aten::_pin_memory")
ADVICE = {
    "pictures": "more data.workers, a larger data.cache_gb, or smaller picture files",
    "transfer": "larger batches, so that fewer and larger copies are made",
    "compute": "a GPU or more devices, precision bf16 where the device has it, or smaller models and sizes",
    "python": "larger batches (clip.batch_size, training.batch_size), so that the device has more at once",
}


class Part(NamedTuple):
    """Of one stage's trace: seconds, and the share of what its time went into."""

    seconds: float
    shares: dict[str, float]  # of pictures, transfer, compute and python
    device_busy: float | None  # share of the time in which the GPU computes


class _Tracer:
    """Begins and ends the traces as a stage reports its progress."""

    def __init__(self, run: Run, reporter: Reporter | None):
        self.run = run
        self.reporter = reporter
        self.parts: dict[str, Part] = {}
        self.seen: dict[str, int] = {}
        self.trace: Any = None
        self.stage = ""
        self.began = 0.0

    def report(self, stage: str, done: int, total: int, detail: str) -> None:
        if self.trace and (
            stage != self.stage or time.perf_counter() - self.began > SECONDS or done >= total
        ):
            self.end()
        self.seen[stage] = self.seen.get(stage, 0) + 1
        if not self.trace and stage not in self.parts and self.seen[stage] > UNTRACED and done < total:
            self.begin(stage)
        if self.reporter:
            self.reporter(stage, done, total, detail)

    def begin(self, stage: str) -> None:
        kinds = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            kinds.append(ProfilerActivity.CUDA)
        self.trace = profile(activities=kinds)
        self.trace.__enter__()
        self.stage = stage
        self.began = time.perf_counter()

    def end(self) -> None:
        if not self.trace:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self.began
        trace = self.trace
        self.trace = None
        trace.__exit__(None, None, None)
        path = self.run.file(FOLDER, f"{self.stage}.json.gz")
        path.parent.mkdir(exist_ok=True)
        trace.export_chrome_trace(str(path))
        self.parts[self.stage] = part_of(trace.events(), seconds)


@contextmanager
def profiled(run: Run, reporter: Reporter | None) -> Iterator[Reporter]:
    """Yields a reporter in place of `reporter`; with it, the stages of the block are traced and summed up."""
    tracer = _Tracer(run, reporter)
    try:
        yield tracer.report
    finally:
        tracer.end()
        text = summary(run.state.get("seconds", {}), tracer.parts)
        run.file(FOLDER, SUMMARY).parent.mkdir(exist_ok=True)
        write_atomic(run.file(FOLDER, SUMMARY), text)


def part_of(events: Sequence[Any], seconds: float) -> Part:
    """What the operations of a trace of so many seconds of the clock add up to.

    events: the trace's `events()`.
    """
    on_device = device_work(events)
    spent = {"pictures": 0.0, "transfer": 0.0, "compute": 0.0}
    for event in events:
        if event.device_type != DeviceType.CPU:
            continue
        kind = _kind_of(event.name)
        # The CPU only starts kernels, so what it spends on that, and on waiting, is not the device's work.
        if not on_device or kind == "pictures":
            spent[kind] += event.self_cpu_time_total / 1e6
    for event in on_device:
        spent[_kind_of(event.name)] += event.time_range.elapsed_us() / 1e6
    within = min(1.0, seconds / max(sum(spent.values()), 1e-9))  # work of several threads is counted twice
    shares = {kind: within * value / seconds for kind, value in spent.items()}
    shares["python"] = max(0.0, 1 - sum(shares.values()))
    return Part(seconds, shares, min(1.0, busy_seconds(on_device) / seconds) if on_device else None)


def _kind_of(name: str) -> str:
    if name.startswith(WAITING):
        return "pictures"
    return "transfer" if name.startswith(MOVING) else "compute"


def device_work(events: Sequence[Any]) -> list[Any]:
    """The kernels and copies among a trace's events; none of a CPU's trace.

    What somebody named a stretch of time, such as `Optimizer.step`, is there too and no work.
    """
    return [event for event in events if event.device_type != DeviceType.CPU and not event.is_user_annotation]


def busy_seconds(work: Sequence[Any]) -> float:
    """Seconds in which at least one of a device's kernels or copies goes on."""
    busy = 0.0
    until = float("-inf")
    for begin, end in sorted((event.time_range.start, event.time_range.end) for event in work):
        busy += max(0.0, end - max(begin, until))
        until = max(until, end)
    return busy / 1e6


def summary(seconds: dict[str, float], parts: dict[str, Part]) -> str:
    """One screen: the seconds of each stage, what its trace says, and what to change.

    seconds: of the run's stages. parts: of those that were traced.
    """
    total = sum(seconds.values()) or 1.0
    heads = "".join(f"{kind:>10}" for kind in ADVICE)
    lines = [f"{'stage':<10}{'seconds':>9}{'share':>7}{heads}  bound by"]
    bounds: dict[str, float] = {}
    for stage, taken in seconds.items():
        line = f"{stage:<10}{taken:>9.1f}{taken / total:>7.0%}"
        part = parts.get(stage)
        if part:
            bound = max(part.shares, key=lambda kind: part.shares[kind])
            bounds[bound] = bounds.get(bound, 0.0) + taken
            shares = "".join(f"{part.shares[kind]:>10.0%}" for kind in ADVICE)
            line += f"{shares}  {bound}"
            if part.device_busy is not None:
                line += f"; GPU idle {1 - part.device_busy:.0%}"
        lines.append(line)
    lines.append("")
    for bound, taken in sorted(bounds.items(), key=lambda item: -item[1]):
        lines.append(f"{taken / total:.0%} of the time is bound by {bound}. Try {ADVICE[bound]}.")
    if not bounds:
        lines.append("The stages were too short to be traced.")
    lines.append("The traces are beside this text; ui.perfetto.dev and chrome://tracing open them.")
    return "\n".join(lines) + "\n"
