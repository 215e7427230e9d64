"""A training step whose images go through the network in several passes, because not all fit at once.

The loss is still that of the whole batch, whatever it looks like: the network's answers are joined before it
is computed. A pass keeps its images and its answers only. What the gradients need besides is computed again,
for one pass at a time, when they are (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).
So a step with passes costs one more forward pass. Gradients are those of the batch, except that batch norm
has the statistics of a pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class InPasses(nn.Module):
    """A network that takes a batch in `count` passes. With one pass it is the network, and nothing else.

    module: from images [B, 3, S, S] to a tensor or a tuple of tensors, each with B rows.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self.count = 1

    def forward(self, x: Tensor, **options: Any) -> Any:
        if self.count == 1:
            return self.module(x, **options)
        answers = [
            checkpoint(self.module, part, use_reentrant=False, context_fn=self._contexts, **options)
            for part in x.tensor_split(self.count)
        ]
        if isinstance(answers[0], Tensor):
            return torch.cat(answers)
        return tuple(map(torch.cat, zip(*answers, strict=True)))

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """What surrounds a pass, and its repetition for the gradients."""
        return nullcontext(), _same_statistics(self.module)


@contextmanager
def _same_statistics(network: nn.Module) -> Iterator[None]:
    """Within it, batch norms do not move their running statistics: a repeated pass is no new one."""
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
