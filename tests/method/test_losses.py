"""Loss and scores: what the authors' numbers (test_reference.py) do not say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccd_core.evaluation.metrics import average_precision
from ccd_core.method.losses import ccd_loss


def test_consistency_does_not_pull_the_weak_prediction():
    logits = torch.zeros(2, 3, requires_grad=True)
    ccd_loss(logits, torch.full((2, 3), 0.5), torch.ones(2, 3), beta=1.0).backward()
    assert (
        float(logits.grad.abs().max()) == 0
    )  # cross-entropy is at its minimum, and the target is held constant


def test_a_class_without_a_positive_has_no_average_precision():
    assert np.isnan(average_precision(np.ones((3, 2)), np.array([[0, 1], [0, 0], [0, 1]]))).tolist() == [
        True,
        False,
    ]  # the code counts 0
    with pytest.raises(ValueError, match="must both be"):
        average_precision(np.zeros((3, 2)), np.zeros((3, 3)))


def test_large_logits_do_not_tie():
    assert average_precision(np.array([[20.0], [30], [40], [50]]), np.array([[0], [0], [0], [1]]))[0] == 1.0
