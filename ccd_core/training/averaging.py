"""Averaged weights: an exponential moving average over the steps, which is what is measured and kept.

average <- d * average + (1 - d) * weights,    d = min(decay, (1 + t) / (10 + t)) at step t = 0, 1, ...

Statistics of batch norms are averaged, too. ASL's code has d = decay at every step, which needs tens of
thousands of steps; the rising d is ours, so that short runs do not keep their first weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

STEPS = "steps"  # the name of their number in a checkpoint


class AveragedWeights:
    """The average of a model's weights. With decay = 0 there is none, and the model stays as it is."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.steps = 0
        self.values: dict[str, Tensor] = {}
        if decay > 0:
            self.values = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Include the weights after one more step."""
        if not self.values:
            return
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value.detach(), 1 - decay)
            else:
                self.values[name].copy_(value)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Within the block the model has the averaged weights."""
        if not self.values:
            yield
            return
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.values)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs, {name: tensor}; {} without an average."""
        return self.values | {STEPS: torch.tensor(self.steps)} if self.values else {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` returned; without it, the average begins where it is."""
        if not self.values or STEPS not in state:
            return
        self.steps = int(state[STEPS])
        for name, value in self.values.items():
            value.copy_(state[name])
