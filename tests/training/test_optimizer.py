"""The optimiser: the settings that no preset changes, the head's own rate, and the rate over the epochs."""

from __future__ import annotations

import pytest
import torch

from ccd_core.method.classifier import CamClassifier, make_classifier
from ccd_core.settings.sections import ClassifierSettings, TrainingSettings
from ccd_core.training.optimizer import lay_out_like_parameters, make_optimizer, rate_factor


@pytest.fixture(scope="module")
def model() -> CamClassifier:
    return make_classifier(ClassifierSettings(backbone="timm:test_resnet", weights=None), 3)


def test_the_papers_optimiser_is_adam_without_weight_decay(model):
    optimizer = make_optimizer(model, TrainingSettings())
    assert type(optimizer) is torch.optim.Adam
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0, 0]


def test_adamw_decays_the_weights_of_both_groups(model):
    optimizer = make_optimizer(model, TrainingSettings(optimizer="adamw", weight_decay=0.05))
    assert type(optimizer) is torch.optim.AdamW
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.05]


def test_biases_and_norms_do_not_decay_where_the_settings_say_so(model):
    settings = TrainingSettings(optimizer="adamw", weight_decay=0.05, decay="matrices")
    groups = make_optimizer(model, settings).param_groups
    assert [group["weight_decay"] for group in groups] == [0.05, 0, 0.05, 0]
    assert all(
        (value.ndim > 1) == (group["weight_decay"] > 0) for group in groups for value in group["params"]
    )
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_the_head_learns_faster_and_all_parameters_are_trained(model):
    optimizer = make_optimizer(model, TrainingSettings(learning_rate=1e-4, head_factor=5))
    backbone, head = optimizer.param_groups
    assert (backbone["lr"], head["lr"]) == pytest.approx((1e-4, 5e-4))
    assert len(backbone["params"]) + len(head["params"]) == len(list(model.parameters()))


def test_the_rate_stays_or_falls_along_a_cosine():
    assert rate_factor(TrainingSettings(), 0.7) == 1
    cosine = TrainingSettings(schedule="cosine")
    factors = [rate_factor(cosine, progress) for progress in (0, 0.5, 1)]
    assert factors == pytest.approx([1, 0.5, 0])


@pytest.mark.parametrize("fused", [False, True])
def test_what_was_read_from_a_file_gets_the_layout_of_the_parameters(model, fused):
    """Files hold tensors in the default layout. A fused optimiser on a GPU refuses them beside others."""
    model = model.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, TrainingSettings(), fused=fused)
    model(torch.rand(2, 3, 64, 64)).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    for state in saved["state"].values():
        state["exp_avg"] = state["exp_avg"].contiguous()
    before = {key: state["exp_avg"].clone() for key, state in saved["state"].items()}
    optimizer.load_state_dict(saved)
    lay_out_like_parameters(optimizer)
    for number, (parameter, state) in enumerate(optimizer.state.items()):
        assert state["exp_avg"].stride() == parameter.stride()
        assert torch.equal(state["exp_avg"], before[number])
    optimizer.step()
