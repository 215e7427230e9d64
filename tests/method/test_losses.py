"""The loss: what the recorded values do not say."""

from __future__ import annotations

import torch

from ccd_core.method.losses import ccd_loss


def test_consistency_does_not_pull_the_weak_prediction():
    logits = torch.zeros(2, 3, requires_grad=True)
    ccd_loss(logits, torch.full((2, 3), 0.5), torch.ones(2, 3), beta=1.0).backward()
    # Cross-entropy is at its minimum, and the target of the consistency term is held constant.
    assert float(logits.grad.abs().max()) == 0
