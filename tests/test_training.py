"""Loss and early stop: the authors' numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccd_core.losses import ccd_loss
from ccd_core.training import first_local_minimum


def test_loss_as_recorded(golden):
    data = {key: torch.from_numpy(value) for key, value in golden("loss").items()}
    warm_up = ccd_loss(data["logits"], data["labels"])
    main = ccd_loss(data["logits"], data["labels"], data["strong_logits"], beta=1.0)
    assert float(warm_up) == pytest.approx(float(data["loss_warmup_losscoeff1.0_consist1"]), abs=1e-6)
    assert float(main) == pytest.approx(float(data["loss_main_losscoeff1.0_consist1"]), abs=1e-6)
    without = ccd_loss(data["logits"], data["labels"], data["strong_logits"], beta=0.0)
    assert float(without) == pytest.approx(float(data["loss_main_losscoeff1.0_consist0"]), abs=1e-6)


def test_consistency_does_not_pull_the_weak_prediction():
    logits = torch.zeros(2, 3, requires_grad=True)
    ccd_loss(logits, torch.full((2, 3), 0.5), torch.ones(2, 3), beta=1.0).backward()
    assert float(logits.grad.abs().max()) == 0  # cross-entropy is at its minimum, and the target is held constant


def test_kept_epoch_as_recorded(golden, golden_json):
    data = golden("extra_early_stop")
    for values, epochs, kept in zip(data["train_map"], data["epochs"], data["saved_epoch"], strict=True):
        assert first_local_minimum(values[:epochs]) == (None if kept < 0 else kept)
    for case in golden_json("meta")["early_stop"]:
        assert first_local_minimum(case["train_map"]) == case["saved_epoch"]


def test_average_precision_as_recorded(golden):
    from ccd_core.metrics import average_precision

    data = golden("metrics")
    ours = average_precision(data["scores"], data["targets"])
    assert np.isnan(ours[7])  # no positive: left out, where the code counts 0
    np.testing.assert_allclose(np.delete(ours, 7) * 100, np.delete(data["ap_percent"], 7), atol=1e-6)
    soft = average_precision(data["scores"], data["soft_labels"])
    has_one = (data["soft_labels"] == 1).any(0)
    np.testing.assert_allclose(soft[has_one] * 100, data["soft_ap_percent"][has_one], atol=1e-6)
    with pytest.raises(ValueError, match="must both be"):
        average_precision(np.zeros((3, 2)), np.zeros((3, 3)))


def test_large_logits_do_not_tie():
    from ccd_core.metrics import average_precision

    assert average_precision(np.array([[20.0], [30], [40], [50]]), np.array([[0], [0], [0], [1]]))[0] == 1.0
