"""The device and the precision of a run. Only this module makes an Accelerator."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

from ccd_core.errors import UserError

# One process may warm up for days while the others wait. Whether one has died is found by their launcher.
PATIENCE = timedelta(days=7)


def make_accelerator(device: str = "auto", precision: str = "auto") -> Accelerator:
    """An Accelerator for a device and a precision.

    device: auto, cpu, cuda or cuda:N; cpu:N is the CPU, with a queue of its own. precision: auto, fp32, bf16
    or fp16. In a process that `distributed.launch` started, cuda is the GPU of its local rank, and the
    Accelerator belongs to the process group. Raises UserError if the device is not there, or cannot compute
    in the precision.
    """
    check_device(device)
    on_cpu = device.startswith("cpu") or not torch.cuda.is_available()
    if on_cpu and precision == "fp16":
        raise UserError("Precision fp16 needs a GPU; on a CPU use fp32 or bf16.")
    # accelerate keeps one device and precision for a process. A second run in it may ask for others.
    AcceleratorState._reset_state(reset_partial_state=True)
    os.environ.pop("ACCELERATE_TORCH_DEVICE", None)
    if device.startswith("cuda:"):
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
    mixed = _best_precision(on_cpu) if precision == "auto" else precision
    patience = InitProcessGroupKwargs(timeout=PATIENCE)
    return Accelerator(
        cpu=on_cpu, mixed_precision="no" if mixed == "fp32" else mixed, kwargs_handlers=[patience]
    )


def check_device(device: str) -> None:
    """Raises UserError if torch finds no such device here."""
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda"):
        raise UserError(
            f"There is no device {device!r}; use auto, cpu, cuda, cuda:N, or several: cuda:0,1 or cuda:all."
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"Device {device} was asked for but torch finds no usable CUDA GPU here; "
            "use --device cpu, or see `ccd doctor`."
        )
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise UserError(f"Device {device} was asked for but there are only {torch.cuda.device_count()} GPUs.")


def _best_precision(on_cpu: bool) -> str:
    if not on_cpu:
        # A GPU without bf16 emulates it, which is slower than fp16.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    try:
        return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() and _cpu_has_bf16() else "fp32"
    except (AttributeError, RuntimeError):
        return "fp32"


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies in bf16. One that does not emulates it, which is slower than fp32."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as file:
            flags = file.read()
    except OSError:
        return False
    return any(word in flags for word in ("avx512_bf16", "amx_bf16"))


def describe(accelerator: Accelerator) -> str:
    """The device and the precision in words, for the log."""
    on_gpu = accelerator.device.type == "cuda"
    name = (
        torch.cuda.get_device_name(accelerator.device) if on_gpu else f"{torch.get_num_threads()} CPU threads"
    )
    return f"{name}, {accelerator.mixed_precision.replace('no', 'fp32')}"
