"""One run on several devices, with one process for each, started by torch.distributed's own launcher.

`launch` is called in the process that owns the run, with its claim, state and log. It starts
`ccd_core.worker`. The processes share the making of labels in fixed chunks, so that the labels are those of
one device, to the bit. In training they share every batch.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import MethodType
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from accelerate import Accelerator
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ccd_core.errors import Stopped, UserError
from ccd_core.machine.processes import child_environment
from ccd_core.runs.heartbeat import meanwhile
from ccd_core.runs.progress import Reporter
from ccd_core.runs.run import Run
from ccd_core.runs.team import ALONE, Team

log = logging.getLogger("ccd")


class StepTooLarge(Exception):
    """A step of several processes ran out of memory with so many images in one pass, in one of them."""


def launch(run: Run, devices: Sequence[str], reporter: Reporter | None = None) -> None:
    """Compute the run with one process for each of `devices`, and return when it is finished.

    devices: such as "cuda:0" and "cuda:1", or "cpu:0" and "cpu:1", which share the cores. reporter is called
    as in `run_ccd`. Where a training step runs out of memory, all processes begin again at the last
    checkpoint, with half as many images in one pass. Raises UserError with the message of the process that
    failed first, after all have ended. Raises Stopped if this process receives SIGTERM, and KeyboardInterrupt
    for SIGINT.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=len(devices),
        run_id=f"{run.name}-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        max_restarts=0,
        local_addr="127.0.0.1",
        logs_specs=DefaultLogsSpecs(),
    )
    kind = devices[0].partition(":")[0]
    images = sys.maxsize
    with _environment(devices), _relayed(run, reporter):
        while True:
            words = ("-m", "ccd_core.worker", str(run.path), kind, str(os.getpid()), str(images))
            try:
                elastic_launch(config, sys.executable)(*words)
                return
            except SignalException as ending:
                raise (KeyboardInterrupt if ending.sigval == signal.SIGINT else Stopped) from None
            except ChildFailedError as error:
                tried = _too_many_images(error.failures)
                if tried is None:
                    raise UserError(_what_failed(error.failures, devices)) from None
            images = tried // 2
            log.warning(
                "a device ran out of memory; all begin again at the last checkpoint, with %d images in one "
                "pass of a training step",
                images,
            )


@contextmanager
def _environment(devices: Sequence[str]) -> Iterator[None]:
    """Set the environment of the processes. Process N finds device N, and CPU processes share the cores."""
    before = dict(os.environ)
    os.environ.update(child_environment())
    if devices[0].startswith("cuda"):
        numbers = [int(device.partition(":")[2]) for device in devices]
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        chosen = [visible[number] if visible else str(number) for number in numbers]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // len(devices))))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _relayed(run: Run, reporter: Reporter | None) -> AbstractContextManager[None]:
    """Read the progress that the first process writes to state.json, and report it to `reporter`."""

    def relay(over: threading.Event) -> None:
        while reporter and not over.wait(0.5):
            state = run.state
            if state.get("stage") in state.get("seconds", {}) or not state.get("total"):
                continue
            reporter(state["stage"], state["done"], state["total"], state.get("detail", ""))

    return meanwhile(relay, "progress")


def _too_many_images(failures: dict) -> int | None:
    """The images of the pass that a process had no memory for; None if nothing of the kind happened.

    The other processes fail with it, in their own words.
    """
    begin = f"{StepTooLarge.__name__}: "
    for failure in failures.values():
        message = _message_of(failure)
        if message.startswith(begin):
            return int(message.removeprefix(begin))
    return None


def _message_of(failure: Any) -> str:
    """What a process said last, with the name of its error before it."""
    return failure.message["message"] if isinstance(failure.message, dict) else failure.message


def _what_failed(failures: dict, devices: Sequence[str]) -> str:
    """A sentence about the process that failed first.

    When one process fails, the others fail because they lose their partner. The first is the one that a
    signal killed or, if there is none, the one with the earliest time.
    """
    rank, failure = min(failures.items(), key=lambda item: (item[1].exitcode >= 0, item[1].timestamp))
    message = _message_of(failure)
    if message.startswith("UserError: "):
        return message.removeprefix("UserError: ")
    how = f"was ended by {failure.signal_name()}" if failure.exitcode < 0 else f"failed ({message})"
    return (
        f"Process {rank + 1} of {len(devices)}, on {devices[rank]}, {how}, and the others were ended with "
        "it; "
        "resume goes on from the last checkpoint."
    )


# -- in the processes that `launch` starts ----------------------------------------------------------


def team_of(accelerator: Accelerator) -> Team:
    """The team of processes that `accelerator` belongs to."""
    if accelerator.num_processes == 1:
        return ALONE

    def all_reduce(values: np.ndarray) -> np.ndarray:
        """The sum over all processes. It is exact if all but one hold zeros."""
        return accelerator.reduce(torch.from_numpy(values).to(accelerator.device), "sum").cpu().numpy()

    return Team(
        accelerator.process_index, accelerator.num_processes, accelerator.wait_for_everyone, all_reduce
    )


def wrap_ddp(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Wrap `model` so that each process gives it a part of a batch and gets gradients of the whole batch.

    Batch normalisation computes its statistics over the whole batch, too. The names of the parameters stay.
    """
    on_gpu = accelerator.device.type == "cuda"
    if on_gpu:
        model = convert_sync_batchnorm(model)
    else:
        _share_statistics(model)
    shared = DistributedDataParallel(model, device_ids=[accelerator.device.index] if on_gpu else None)
    # Buffers are the same in all processes. The argument of this name is deprecated since torch 2.14.
    shared.broadcast_buffers = False
    return shared


def _share_statistics(model: nn.Module) -> None:
    """Make the batch norm layers of `model` compute their statistics over all processes.

    This is for CPUs; torch.nn.SyncBatchNorm exists for GPUs only. timm's layers contain the activation that
    follows.
    """

    def forward(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
        if layer.training:
            y = _batch_norm(layer, x)
        else:
            mean, variance = layer.running_mean, layer.running_var
            y = F.batch_norm(x, mean, variance, layer.weight, layer.bias, eps=layer.eps)
        return layer.act(layer.drop(y)) if isinstance(layer, BatchNormAct2d) else y

    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.forward = MethodType(forward, layer)  # type: ignore[method-assign]


class _Sum(torch.autograd.Function):
    """The sum over all processes. Its gradient is the sum of the gradients in all processes."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(context, gradient)


def _batch_norm(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Batch normalisation in training, with mean and variance over the images of all processes."""
    wide = x.float()
    count = torch.tensor(float(x.numel() // x.shape[1]))
    dist.all_reduce(count)
    mean = _Sum.apply(wide.sum((0, 2, 3))) / count
    centred = wide - mean[:, None, None]
    variance = _Sum.apply(centred.square().sum((0, 2, 3))) / count
    with torch.no_grad():
        assert layer.running_mean is not None
        assert layer.running_var is not None
        assert layer.num_batches_tracked is not None
        momentum = 0.1 if layer.momentum is None else layer.momentum
        layer.running_mean.lerp_(mean, momentum)
        layer.running_var.lerp_(variance * count / (count - 1), momentum)
        layer.num_batches_tracked.add_(1)
    scale = torch.rsqrt(variance + layer.eps) * layer.weight
    return (centred * scale[:, None, None] + layer.bias[:, None, None]).to(x.dtype)
