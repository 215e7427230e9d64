"""What NVML says of this machine's GPUs, and psutil of its CPUs: no CUDA context is made, no memory taken,
torch not loaded.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from ccd_core.errors import UserError


@dataclass(frozen=True)
class GpuFacts:
    """One GPU: memory in bytes, utilisation in percent, temperature in degrees Celsius; None where the driver
    does not say.
    """

    device: str
    name: str
    memory_used: int
    memory_total: int
    utilisation: int | None
    temperature: int | None


@contextmanager
def _nvml() -> Iterator[Any]:
    """The library, or None where there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no library, no driver, or a driver of another version
        yield None
        return
    try:
        yield pynvml
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _visible(nvml: Any) -> list[Any]:
    """Handles of the GPUs that torch would see, in its order: CUDA_VISIBLE_DEVICES holds here, too."""
    count = nvml.nvmlDeviceGetCount()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    handles = []
    for word in filter(None, (part.strip() for part in chosen.split(","))):
        try:
            handle = (
                nvml.nvmlDeviceGetHandleByIndex(int(word))
                if word.lstrip("-").isdigit()
                else nvml.nvmlDeviceGetHandleByUUID(word.encode())
            )
        except (nvml.NVMLError, ValueError):
            break  # as CUDA does: the first one it does not know ends the list
        handles.append(handle)
    return handles


def gpus() -> list[GpuFacts]:
    """Every GPU that a run could use now; [] where there is none."""
    with _nvml() as nvml:
        if nvml is None:
            return []

        def ask(question: Any, *arguments: Any) -> Any:
            try:
                return question(*arguments)
            except nvml.NVMLError:
                return None

        found = []
        for index, handle in enumerate(_visible(nvml)):
            memory, name = (
                ask(nvml.nvmlDeviceGetMemoryInfo, handle),
                ask(nvml.nvmlDeviceGetName, handle) or "GPU",
            )
            use, heat = (
                ask(nvml.nvmlDeviceGetUtilizationRates, handle),
                ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            )
            name = name.decode() if isinstance(name, bytes) else name
            facts = GpuFacts(
                device=f"cuda:{index}",
                name=name,
                memory_used=int(memory.used) if memory else 0,
                memory_total=int(memory.total) if memory else 0,
                utilisation=int(use.gpu) if use else None,
                temperature=heat,
            )
            found.append(facts)
        return found


def gpu_names() -> list[str]:
    return [gpu.name for gpu in gpus()]


def devices_of(setting: str) -> tuple[str, ...]:
    """The devices that a run with `device=setting` works on, sorted: "auto" and "cuda" name one, "cuda:0,1"
    names two, "cuda:all" every GPU.

    Raises UserError for what names no device.
    """
    if setting == "auto":
        return ("cuda:0",) if gpu_names() else ("cpu",)
    if setting in ("cpu", "cuda"):
        return ("cpu",) if setting == "cpu" else ("cuda:0",)
    if setting == "cuda:all":
        return tuple(sorted(gpu.device for gpu in gpus())) or ("cuda:0",)
    match = re.fullmatch(r"(cpu|cuda):(\d+(?:,(?:\1:)?\d+)*)", setting)
    if not match:
        raise UserError(f"There is no device {setting!r}; use auto, cpu, cuda, cuda:N, cuda:N,M or cuda:all.")
    kind, numbers = match.groups()
    return tuple(
        f"{kind}:{number}" for number in sorted({int(part.rpartition(":")[2]) for part in numbers.split(",")})
    )


def devices() -> dict[str, str]:
    """Device setting -> what it is, of all that a run can be given on this machine."""
    found = {gpu.device: f"{gpu.name}, {gpu.memory_total / 2**30:.0f} GiB" for gpu in gpus()}
    return found | {
        "cpu": f"{psutil.cpu_count() or 1} CPU threads, {psutil.virtual_memory().total / 2**30:.0f} GiB"
    }


@dataclass(frozen=True)
class ProcessLoad:
    """A process and all that it started: CPU time in seconds, resident memory in bytes, their number."""

    cpu_seconds: float
    memory: int
    processes: int


def load_of(pid: int) -> ProcessLoad | None:
    """CPU time and resident memory of a process tree; None where the process is gone. Pages that its members
    share count in each.
    """
    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
    except psutil.Error:
        return None
    seconds, memory, count = 0.0, 0, 0
    for member in members:
        with contextlib.suppress(psutil.Error):
            times = member.cpu_times()
            seconds, memory, count = (
                seconds + times.user + times.system,
                memory + member.memory_info().rss,
                count + 1,
            )
    return ProcessLoad(seconds, memory, count) if count else None
