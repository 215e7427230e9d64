"""What NVML says of this machine's GPUs, and psutil of its CPUs and processes.

No CUDA context is made, so no GPU memory is taken. torch is not loaded.
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
    """One GPU. Memory in bytes, utilisation in percent, temperature in degrees Celsius.

    utilisation and temperature are None if the driver does not say.
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
            memory = ask(nvml.nvmlDeviceGetMemoryInfo, handle)
            use = ask(nvml.nvmlDeviceGetUtilizationRates, handle)
            name = ask(nvml.nvmlDeviceGetName, handle) or "GPU"
            name = name.decode() if isinstance(name, bytes) else name
            facts = GpuFacts(
                device=f"cuda:{index}",
                name=name,
                memory_used=int(memory.used) if memory else 0,
                memory_total=int(memory.total) if memory else 0,
                utilisation=int(use.gpu) if use else None,
                temperature=ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            )
            found.append(facts)
        return found


def gpu_names() -> list[str]:
    return [gpu.name for gpu in gpus()]


def devices_of(setting: str) -> tuple[str, ...]:
    """The devices that a run with `device=setting` works on, sorted.

    "auto" and "cuda" name one device, "cuda:0,1" two, "cuda:all" every GPU. Raises UserError if `setting`
    names no device.
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
    """Setting -> description of each device that a run on this machine can be given."""
    found = {gpu.device: f"{gpu.name}, {gpu.memory_total / 2**30:.0f} GiB" for gpu in gpus()}
    return found | {
        "cpu": f"{psutil.cpu_count() or 1} CPU threads, {psutil.virtual_memory().total / 2**30:.0f} GiB"
    }


@dataclass(frozen=True)
class ProcessLoad:
    """CPU time in seconds, resident memory in bytes and number of a process and all that it started."""

    cpu_seconds: float
    memory: int
    processes: int


def load_of(pid: int) -> ProcessLoad | None:
    """The load of the process `pid` and of all that it started; None if the process is gone.

    Memory that several of them share is counted for each.
    """
    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)]
    except psutil.Error:
        return None
    loads = []
    for member in members:
        with contextlib.suppress(psutil.Error):
            times = member.cpu_times()
            loads.append((times.user + times.system, member.memory_info().rss))
    if not loads:
        return None
    return ProcessLoad(sum(seconds for seconds, _ in loads), sum(memory for _, memory in loads), len(loads))
