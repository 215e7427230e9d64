"""Weights into a network: the wrappings of training scripts come off, and what does not fit is said.

`unwrap` finds the prefix under which a network's own names lie in a file ("state_dict.module.",
"model._orig_mod.", "module.encoder_q."), whatever it is called. `load_into` compares names, shapes and
numbers before it copies, so a network never starts from half of its weights or from none.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ccd_core.errors import UserError

log = logging.getLogger("ccd")
SHOWN = 3  # names in one sentence
COUNTERS = "num_batches_tracked"  # batch norm's; old files lack them and inference does not use them
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Several networks of a kind in one file: the running average is the one that papers report.
AVERAGED = {"ema", "ema_model", "model_ema", "state_dict_ema", "ema_state_dict", "teacher"}
HELPERS = {"encoder_k", "student", "momentum_encoder", "backbone_momentum", "target_encoder"}


def unwrap(
    found: Mapping[str, Tensor], wanted: Collection[str], path: Path, tell: bool = True
) -> dict[str, Tensor]:
    """The tensors of the file that lie under the prefix with most of the `wanted` names, without that prefix.

    tell: log which prefix that is. Raises UserError where two networks in the file fit equally well.
    """
    prefix = _prefix(found, wanted, path)
    inside = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    if prefix and tell:
        outside = [name for name in found if not name.startswith(prefix)]
        left_out = f"; left out: {first_of(outside)}" if outside else ""
        log.info("%s: the weights are those under %r%s", path, prefix, left_out)
    return inside


def _prefix(found: Mapping[str, Tensor], wanted: Collection[str], path: Path) -> str:
    names = set(wanted)
    hits: Counter[str] = Counter()
    for name in found:
        parts = name.split(".")
        for depth in range(len(parts)):
            if ".".join(parts[depth:]) in names:
                hits[".".join([*parts[:depth], ""]).lstrip(".")] += 1
    if not hits:
        return ""
    most = max(hits.values())
    best = sorted((prefix for prefix in hits if hits[prefix] == most), key=_rank)
    if len(best) > 1 and _rank(best[0]) == _rank(best[1]):
        raise UserError(
            f"{path} holds {len(best)} networks that fit, under {best[0]!r} and {best[1]!r}; "
            "save the weights of one of them alone."
        )
    return best[0]


def _rank(prefix: str) -> int:
    """Of several networks that fit, the one with the lowest rank is taken."""
    parts = set(prefix.split("."))
    if not prefix:
        return 0
    if parts & AVERAGED:
        return 1
    return 3 if parts & HELPERS else 2


def first_of(names: Collection[str]) -> str:
    """The first three names, and how many more there are."""
    shown = ", ".join(list(names)[:SHOWN])
    return f"{shown}, and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def load_into(
    network: nn.Module, state: Mapping[str, Tensor], path: Path, what: str, may_lack: Collection[str] = ()
) -> None:
    """Copy the weights of a file into the network. What belongs to no part of it is left out, and logged.

    A network on torch's device "meta" has no numbers: it is compared with the file, and nothing is copied.

    what: the network's name in sentences ("the backbone"). may_lack: names that keep the network's own values
    where the file has none; that is logged. Raises UserError, one sentence, where a weight is missing, has
    another shape, belongs to a layer that the network lacks, or is no usable number.
    """
    wanted = network.state_dict()
    lacking = [name for name in may_lack if name in wanted and name not in state]
    missing = [
        name for name in wanted if name not in state and name not in lacking and not name.endswith(COUNTERS)
    ]
    other = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    unknown = [name for name in state if name not in wanted]
    deeper = [name for name in unknown if _of_a_layer(network, name)]
    if missing or other or deeper:
        kinds = [
            [f"{name} is missing" for name in missing],
            [f"{name} is {list(state[name].shape)}, not {list(wanted[name].shape)}" for name in other],
            [f"{what} has no {name}" for name in deeper],
        ]
        raise UserError(f"The weights in {path} do not fit {what}: {_some_of_each(kinds)}.")
    used = {name: state[name] for name in wanted if name in state}
    check_numbers(used, wanted, path)
    if unknown:
        log.info("%s: %s has no part for %s, which are left out", path, what, first_of(unknown))
    for name in lacking:
        log.warning("%s has no %s; %s keeps its own%s", path, name, what, _numbers_of(wanted[name]))
    if not any(value.is_meta for value in wanted.values()):
        network.load_state_dict(used, strict=False)


def _numbers_of(value: Tensor) -> str:
    """The first three numbers behind a comma, for a sentence; nothing where a tensor has none."""
    return "" if value.is_meta else ", " + ", ".join(f"{one:.4g}" for one in value.flatten()[:3].tolist())


def _some_of_each(kinds: list[list[str]]) -> str:
    """Three complaints, if possible of every kind, and how many more there are."""
    every = [complaint for kind in kinds for complaint in kind]
    shown = [kind[0] for kind in kinds if kind]
    shown += [complaint for complaint in every if complaint not in shown][: SHOWN - len(shown)]
    text = ", ".join(complaint for complaint in every if complaint in shown)
    return f"{text}, and {len(every) - SHOWN} more like it" if len(every) > SHOWN else text


def _of_a_layer(network: nn.Module, name: str) -> bool:
    """Whether a weight that the network lacks makes it another network: a further block or a part of one.

    Not so of what lies beside the network's parts (a classifier on top, a loss), of what was replaced by
    nothing, and of a part beside numbered layers.
    """
    *steps, _ = name.split(".")
    part = network
    for depth, step in enumerate(steps):
        if isinstance(part, nn.Identity):
            return False
        children = dict(part.named_children())
        if step not in children:
            return depth > 0 and any(any(map(str.isdigit, passed)) for passed in steps)
        part = children[step]
    return not isinstance(part, nn.Identity) and any(any(map(str.isdigit, passed)) for passed in steps)


def check_numbers(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    """Raises UserError where weights are whole or complex numbers, NaN or infinite."""
    floats = {name: value for name, value in state.items() if wanted[name].is_floating_point()}
    odd = [name for name, value in floats.items() if value.dtype not in FLOATS]
    odd += [name for name, value in state.items() if name not in floats and value.dtype.is_complex]
    if odd:
        kind = str(state[odd[0]].dtype).removeprefix("torch.")
        raise UserError(
            f"{path} holds {len(odd)} weights as {kind}: {first_of(odd)}. Weights have to be float16, "
            "bfloat16 or float32; quantised ones cannot be used."
        )
    wrong = [name for name, value in floats.items() if not _is_finite(value, wanted[name].dtype)]
    if wrong:
        raise UserError(
            f"{path} holds NaN or infinite numbers in {len(wrong)} of {len(floats)} weights: "
            f"{first_of(wrong)}."
        )


def _is_finite(value: Tensor, dtype: torch.dtype) -> bool:
    """Whether all numbers are finite and stay so as `dtype`. One pass over them, without a copy."""
    if not value.numel():
        return True
    low, high = map(float, torch.aminmax(value))  # both are NaN if any number is
    most = torch.finfo(dtype).max
    return low >= -most and high <= most
