"""Weights into a network: wrappings come off, and what does not fit is said with names and shapes."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from ccd_core.errors import UserError
from ccd_core.weights.fitting import check_numbers, load_into, unwrap

PATH = Path("weights.pt")


def network() -> nn.Module:
    """Two blocks behind a stem; the part `fc` was replaced by nothing."""
    torch.manual_seed(0)
    blocks = nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.Sequential(nn.Linear(3, 3)))
    parts = OrderedDict(stem=nn.Linear(2, 3), norm=nn.BatchNorm1d(3), blocks=blocks, fc=nn.Identity())
    return nn.Sequential(parts)


def weights() -> dict[str, torch.Tensor]:
    return {name: torch.full_like(value, 2) for name, value in network().state_dict().items()}


def under(prefix: str, state: dict) -> dict:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "prefix",
    [
        *(
            "",
            "module.",
            "_orig_mod.",
            "module._orig_mod.",
            "model.",
            "clip_model.",
            "ema.",
            "state_dict.model.",
        ),
        *("model_state_dict.", "a.name.that.nobody.thought.of."),
    ],
)
def test_any_prefix_comes_off(prefix):
    found = under(prefix, weights()) | {"optimizer.step": torch.ones(1), "loss.weight": torch.ones(1)}
    inside = unwrap(found, network().state_dict().keys(), PATH)
    assert weights().keys() <= inside.keys()


@pytest.mark.parametrize(
    ("one", "other", "taken"),
    [
        ("model.", "ema.", "ema."),
        ("student.", "teacher.", "teacher."),
        ("module.encoder_q.", "module.encoder_k.", "module.encoder_q."),
        ("backbone.", "backbone_momentum.", "backbone."),
        ("", "ema.", ""),
    ],
)
def test_of_two_networks_the_one_that_papers_report_is_taken(one, other, taken):
    of_both = under(one, weights()) | under(other, weights())
    marked = {name: value + (1 if name.startswith(taken) else 0) for name, value in of_both.items()}
    if taken == "":
        marked = {name: value + (0 if name.startswith(other) else 1) for name, value in of_both.items()}
    inside = unwrap(marked, network().state_dict().keys(), PATH)
    assert all((inside[name] == 3).all() for name in weights())


def test_the_log_names_prefix_and_what_was_left_out(caplog):
    caplog.set_level("INFO", "ccd")
    found = under("model.", weights()) | {"epoch": torch.ones(1)}
    unwrap(found, network().state_dict().keys(), PATH)
    assert "those under 'model.'; left out: epoch" in caplog.text


def test_weights_are_copied_and_what_is_beside_the_network_is_left_out(caplog):
    caplog.set_level("INFO", "ccd")
    filled = network()
    load_into(
        filled, weights() | {"head.weight": torch.ones(1), "fc.weight": torch.ones(1)}, PATH, "the backbone"
    )
    assert all((value == 2).all() for value in filled.state_dict().values())
    assert "has no part for head.weight, fc.weight" in caplog.text


def said(state: dict) -> str:
    filled = network()
    before = {name: value.clone() for name, value in filled.state_dict().items()}
    with pytest.raises(UserError) as error:
        load_into(filled, state, PATH, "the backbone")
    assert all(torch.equal(value, before[name]) for name, value in filled.state_dict().items())
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_does_not_fit_is_named_with_shapes_and_counted():
    state = weights() | {"blocks.2.0.weight": torch.ones(1), "blocks.1.0.weight": torch.ones(4, 3)}
    del state["stem.weight"], state["stem.bias"]
    sentence = said(state)
    assert "stem.weight is missing" in sentence
    assert "blocks.1.0.weight is [4, 3], not [3, 3]" in sentence
    assert "the backbone has no blocks.2.0.weight" in sentence
    assert sentence.endswith("and 1 more like it.")


def test_a_part_within_a_block_is_another_network():
    assert "has no blocks.0.0.scale" in said(weights() | {"blocks.0.0.scale": torch.ones(3)})


def test_counters_of_batch_norm_may_be_missing():
    filled = network()
    state = weights()
    del state["norm.num_batches_tracked"]
    load_into(filled, state, PATH, "the backbone")
    assert filled.norm.num_batches_tracked == 0


def test_what_may_be_missing_keeps_the_networks_own_value(caplog):
    filled, state = network(), weights()
    own = filled.stem.bias.detach().clone()
    del state["stem.bias"]
    load_into(filled, state, PATH, "the backbone", may_lack=("stem.bias", "not.there"))
    assert torch.equal(filled.stem.bias, own)
    assert "has no stem.bias; the backbone keeps its own" in caplog.text


def test_what_may_be_missing_is_told_also_where_weights_are_only_looked_at(caplog):
    state = weights()
    del state["stem.bias"]
    with torch.device("meta"):
        looked_at = network()
    load_into(looked_at, state, PATH, "the backbone", may_lack=("stem.bias",))
    assert "has no stem.bias; the backbone keeps its own" in caplog.text


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (torch.ones(3, 2, dtype=torch.int8), "1 weights as int8: stem.weight"),
        (torch.ones(3, 2, dtype=torch.bool), "as bool"),
        (torch.ones(3, 2, dtype=torch.complex64), "as complex64"),
        (torch.ones(3, 2).to(torch.float8_e4m3fn), "as float8_e4m3fn"),
        (torch.full((3, 2), torch.nan), "NaN or infinite numbers in 1 of 10 weights: stem.weight"),
        (torch.full((3, 2), -torch.inf, dtype=torch.float16), "NaN or infinite"),
        (torch.tensor([[0.0, 1], [2, torch.nan], [4, 5]], dtype=torch.bfloat16), "NaN or infinite"),
        (torch.full((3, 2), 1e300, dtype=torch.float64), "NaN or infinite"),
    ],
)
def test_what_is_no_usable_number_is_refused(value, sentence):
    assert sentence in said(weights() | {"stem.weight": value})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_numbers_of_any_precision_are_used(dtype):
    filled = network()
    halved = {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights().items()}
    load_into(filled, halved, PATH, "the backbone")
    assert (filled.stem.weight == 2).all() and filled.stem.weight.dtype == torch.float32


def test_nothing_is_looked_at_in_an_empty_weight():
    check_numbers({"a": torch.zeros(0, 3)}, {"a": torch.zeros(0, 3)}, PATH)
