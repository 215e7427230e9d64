"""Averaged weights against numbers worked out by hand."""

from __future__ import annotations

import torch
from torch import nn

from ccd_core.training.averaging import AveragedWeights


def test_the_average_follows_the_weights():
    """d is 0.1, then 2 / 11: 0.1 * 0 + 0.9 * 10 = 9, and 2 / 11 * 9 + 9 / 11 * 20 = 18."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = AveragedWeights(model, 0.9997)
    for value in (10.0, 20.0):
        nn.init.constant_(model.weight, value)
        average.update(model)
    torch.testing.assert_close(average.values["weight"], torch.tensor([[18.0]]))
    with average.applied(model):
        assert model.weight.item() == average.values["weight"].item()
    assert model.weight.item() == 20
    later = AveragedWeights(model, 0.9997)
    later.load_state(average.state())
    assert later.steps == 2 and torch.equal(later.values["weight"], average.values["weight"])


def test_the_decay_is_the_most_that_is_kept():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = AveragedWeights(model, 0.05)
    nn.init.ones_(model.weight)
    average.update(model)
    torch.testing.assert_close(average.values["weight"], torch.tensor([[0.95]]))


def test_without_a_decay_there_is_no_average():
    model = nn.BatchNorm2d(2)
    average = AveragedWeights(model, 0.0)
    average.update(model)
    with average.applied(model):
        pass
    assert average.state() == {} and average.values == {}


def test_counters_are_copied():
    model = nn.BatchNorm2d(2)
    average = AveragedWeights(model, 0.5)
    model(torch.randn(4, 2, 3, 3))
    average.update(model)
    assert average.values["num_batches_tracked"] == 1
