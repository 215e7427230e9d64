"""What is done to a whole network: a copy without numbers, and batch norms folded into convolutions.

A batch norm that no longer learns multiplies each channel and adds to it. The convolution before it can do
both: its weights and its bias take the factors. The result is the same but for rounding (2e-8 of unit-length
embeddings in fp32), and one pass over the features is saved for each convolution.
"""

from __future__ import annotations

import copy
import threading
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_ONE_AT_A_TIME = threading.Lock()


def without_numbers(network: nn.Module) -> nn.Module:
    """A copy in eval mode on torch's device "meta": its tensors have shapes only, so a pass takes no time."""
    shared: dict[int, Any] = {}
    for value in (*network.parameters(), *network.buffers()):
        empty = value.detach().to("meta")
        shared[id(value)] = nn.Parameter(empty, False) if isinstance(value, nn.Parameter) else empty
    return copy.deepcopy(network, shared).eval()


def fold_norms(network: nn.Module, height: int, width: int) -> int:
    """Fold the batch norms of a network into its convolutions, in place. Returns how many; 0 without any.

    network: in eval mode and in fp32, from images [B, 3, height, width]. A norm stays as it is where anything
    else sees what its convolution gives, or where one of both is used more than once.
    """
    pairs = _convolutions_and_norms(network, height, width)
    _fold(network, pairs)
    return len(pairs)


def _fold(network: nn.Module, pairs: list[tuple[str, str]]) -> None:
    for convolution, norm in pairs:
        before: Any = network.get_submodule(convolution)
        after: Any = network.get_submodule(norm)
        network.set_submodule(convolution, fuse_conv_bn_eval(before, after).requires_grad_(False))
        network.set_submodule(norm, _without_norm(after))


class FoldedCopy:
    """A network's copy with folded norms. It is made when it is needed, and again after `forget`."""

    def __init__(self) -> None:
        self._network: nn.Module | None = None

    def of(self, network: nn.Module, x: Tensor) -> nn.Module:
        """The copy of `network`, which takes images of the shape of `x`; itself where nothing can be folded.

        Its norms and convolutions are in eval mode; other layers, such as dropout, stay in their own.
        """
        with _ONE_AT_A_TIME:  # predictions ask from several threads
            if self._network is None:
                # What is made in inference mode could not be used in a training step later.
                with torch.inference_mode(False), torch.no_grad():
                    pairs = _convolutions_and_norms(network, *x.shape[-2:])
                    folded = copy.deepcopy(network).requires_grad_(False) if pairs else network
                    _fold(folded, pairs)
                self._network = folded
            return self._network

    def forget(self) -> None:
        """From now on the network may have other weights or another mode, or be elsewhere."""
        self._network = None


class _Record(TorchDispatchMode):
    """Which tensor comes from which convolution, which norm takes it, and how often each tensor is used."""

    def __init__(self) -> None:
        super().__init__()
        self.convolved: dict[int, int] = {}  # {id of an output: id of the convolution's weight}
        self.normed: dict[int, int] = {}  # {id of an input: id of the norm's running mean}
        self.uses: Counter[int] = Counter()
        self.alive: list[Any] = []  # so that no two tensors have the same id

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        self.uses.update(map(id, tensors))
        self.alive += [tensors, result]
        name = str(func)
        if "convolution" in name:
            self.convolved[id(result)] = id(args[1])
        elif "batch_norm" in name:
            self.normed[id(args[0])] = id(args[3])
        return result


def _convolutions_and_norms(network: nn.Module, height: int, width: int) -> list[tuple[str, str]]:
    """The names of all convolutions and norms that can become one, found by a pass of a copy."""
    norms = {name: module for name, module in network.named_modules() if _is_norm(module)}
    if not norms:
        return []
    shadow = without_numbers(network)
    parts = dict(shadow.named_modules())
    weights = {id(part.weight): name for name, part in parts.items() if isinstance(part, nn.Conv2d)}
    means = {id(parts[name].running_mean): name for name in norms}
    record = _Record()
    with record, torch.no_grad():
        shadow(torch.zeros(1, 3, height, width, device="meta"))
    return [
        (weights[weight], means[mean])
        for output, weight in record.convolved.items()
        if (mean := record.normed.get(output)) in means
        and weight in weights
        and record.uses[output] == record.uses[weight] == record.uses[mean] == 1
    ]


def _is_norm(module: nn.Module) -> bool:
    """Whether this is torch's batch norm, or timm's with its activation, and has statistics of its own."""
    known = type(module) is nn.BatchNorm2d or type(module).__name__ == "BatchNormAct2d"
    return known and getattr(module, "running_mean", None) is not None


def _without_norm(norm: nn.Module) -> nn.Module:
    """What is left of a norm without its arithmetic: timm's have an activation."""
    after = [part for name in ("drop", "act") if isinstance(part := getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*after) if after else nn.Identity()
