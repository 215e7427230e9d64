"""Each method's loss against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ccd_core.baselines.losses import known_bce
from ccd_core.baselines.with_labels import asl, g2netpl, ll_r
from ccd_core.baselines.with_labels.bce import Bce
from ccd_core.baselines.with_labels.bce_ls import Options as SmoothingOptions
from ccd_core.baselines.with_labels.bce_ls import SmoothedBce
from ccd_core.baselines.without_labels import cdul, partial_bce, role, wan
from ccd_core.baselines.without_labels.an import AssumeNegative
from ccd_core.training.objective import Batch

LOG = math.log
P = torch.tensor([[0.8, 0.3], [0.6, 0.1]])
Z = torch.logit(P)
ONE = torch.tensor([[1.0, 0.0], [0.0, 1.0]])


def batch(labels: torch.Tensor, epoch: int = 0, epochs: int = 10) -> Batch:
    return Batch(torch.arange(len(labels)), labels, epoch, epochs)


def test_bce():
    expected = -(LOG(0.8) + LOG(0.7) + LOG(0.4) + LOG(0.1)) / 4
    assert Bce(ONE.numpy()).loss(Z, batch(ONE)).item() == pytest.approx(expected, rel=1e-5)
    assert AssumeNegative(ONE.numpy()).loss(Z, batch(ONE)).item() == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_is_symmetric():
    """A positive has the target 0.9, a negative 0.1."""
    own = [(0.8, 0.9), (0.3, 0.1), (0.6, 0.1), (0.1, 0.9)]
    expected = -sum(t * LOG(p) + (1 - t) * LOG(1 - p) for p, t in own) / 4
    loss = SmoothedBce(ONE.numpy(), SmoothingOptions()).loss(Z, batch(ONE))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_wan_weighs_negatives_by_the_number_of_classes_less_one():
    p = torch.tensor([[0.8, 0.3, 0.5]])
    labels = torch.tensor([[1.0, 0.0, 0.0]])
    expected = -(LOG(0.8) + (LOG(0.7) + LOG(0.5)) / 2) / 3
    loss = wan.WeakAssumeNegative(labels.numpy()).loss(torch.logit(p), batch(labels))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_masked_asl():
    """One known positive, one known negative, two unknown entries that cost nothing."""
    labels = torch.tensor([[1.0, -1.0], [0.0, 0.0]])
    expected = -LOG(0.8) - 0.25**4 * LOG(0.75)  # p_m = 0.3 - 0.05
    options = asl.Options()
    assert asl.asymmetric_loss(Z, labels, options).item() == pytest.approx(expected, rel=1e-5)
    easy = torch.logit(torch.tensor([[0.04]]))
    assert asl.asymmetric_loss(easy, torch.tensor([[-1.0]]), options).item() == pytest.approx(0, abs=1e-6)


def test_asl_without_focus_and_shift_is_the_sum_of_the_known_cross_entropies():
    labels = torch.tensor([[1.0, -1.0], [0.0, 1.0]])
    plain = asl.asymmetric_loss(Z, labels, asl.Options(0.0, 0.0, 0.0))
    assert plain.item() == pytest.approx(3 * known_bce(Z, labels).item(), rel=1e-5)


def test_the_focal_weight_of_asl_has_no_gradient():
    z = torch.tensor([[1.0]], requires_grad=True)
    asl.asymmetric_loss(z, torch.tensor([[-1.0]]), asl.Options(shift=0.0)).backward()
    p = torch.sigmoid(torch.tensor(1.0)).item()
    assert z.grad.item() == pytest.approx(p**4 * p, rel=1e-4)  # weight times the gradient of -log(1 - p)


@pytest.mark.parametrize(
    ("classes", "delta", "counts"),
    [
        (20, 0.2, [0, 1, 2, 2, 3, 4, 4, 5, 6, 6]),  # VOC
        (80, 0.4, [0, 6, 11, 16, 21, 26, 31, 36, 41, 47]),  # COCO
        (81, 0.4, [0, 6, 11, 16, 21, 26, 32, 37, 42, 47]),  # NUS-WIDE
    ],
)
def test_ll_r_rejects_more_entries_every_epoch(classes, delta, counts):
    assert [ll_r.rejected(16 * classes, delta, epoch) for epoch in range(1, 11)] == counts


def test_ll_r_rejects_the_largest_unknown_losses_and_their_ties_but_no_positive():
    losses = torch.tensor([[9.0, 1.0, 3.0], [2.0, 3.0, 0.5]])
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    rejected = ll_r.largest_unknown(losses, labels, 1)
    assert rejected.tolist() == [[False, False, True], [False, True, False]]
    assert ll_r.largest_unknown(losses, labels, 3).sum() == 3
    assert ll_r.largest_unknown(losses, labels, 0).sum() == 0


def test_ll_r_keeps_the_denominator():
    """4 entries, delta 25 %: nothing is left out in epoch 1, the largest unknown loss in epoch 2."""
    method = ll_r.LargeLossRejection(ONE.numpy(), ll_r.Options(delta=25))
    first = -(LOG(0.8) + LOG(0.7) + LOG(0.4) + LOG(0.1)) / 4
    second = -(LOG(0.8) + LOG(0.7) + LOG(0.1)) / 4  # without the unknown entry with p = 0.6
    assert method.loss(Z, batch(ONE, 0)).item() == pytest.approx(first, rel=1e-5)
    assert method.loss(Z, batch(ONE, 1)).item() == pytest.approx(second, rel=1e-5)


def test_the_weight_of_partial_bce():
    options = partial_bce.Options()
    assert partial_bce.weight(torch.tensor([1.0, 0.1]), options).tolist() == pytest.approx([1, 5.005])


def test_partial_bce_counts_known_entries_and_skips_an_image_without_any():
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    expected = (-4.45 * 0.5 + 5.45) * -LOG(0.8) / 2 / 2  # g(1/2), over C = 2 and B = 2
    assert partial_bce.partial_bce(Z, labels, partial_bce.Options()).item() == pytest.approx(
        expected, rel=1e-5
    )


def test_the_curriculum_fills_in_what_the_network_is_sure_of():
    labels = torch.tensor([[0.0, 0.0, 0.0, -1.0]])
    scores = torch.sigmoid(torch.tensor([[2.5, -2.5, 1.0, 3.0]]))
    assert partial_bce.filled_in(labels, scores, 2.0).tolist() == [[1, -1, 0, -1]]
    assert partial_bce.rounds(20) == (10, 15)


def make_role(k: float = 1.0) -> role.Role:
    return role.Role(ONE.numpy(), role.Options(expected=k), 0, torch.device("cpu"))


def test_each_half_of_role_reaches_its_own_player_only():
    method = make_role()
    z = Z.clone().requires_grad_()
    estimates = method.table[:2]
    q = torch.sigmoid(estimates)
    role.one_half(z, q.detach(), ONE, 1.0).backward()
    assert z.grad.abs().sum() > 0 and method.table.grad is None
    z.grad = None
    role.one_half(method.table, torch.sigmoid(z).detach(), ONE, 1.0).backward()
    assert z.grad is None and method.table.grad.abs().sum() > 0


def test_the_loss_of_role_is_its_two_halves():
    method = make_role()
    p = P
    q = torch.sigmoid(method.table.detach())

    def half(own, other):
        entropy = -(other * own.log() + (1 - other) * (1 - own).log()).sum()
        return ((-own.log() * ONE).sum() + entropy) / 4 + ((own.sum(1).mean() - 1) / 2) ** 2

    expected = 0.5 * (half(p, q) + half(q, p))
    assert method.loss(Z, batch(ONE)).item() == pytest.approx(expected.item(), rel=1e-4)


def test_roles_table_begins_undecided_and_its_regulariser_is_zero_at_k():
    method = make_role()
    q = method.current_labels()
    assert q[ONE.numpy() == 1] == pytest.approx(0.995, abs=1e-4)
    assert ((q[ONE.numpy() == 0] >= 0.4) & (q[ONE.numpy() == 0] <= 0.6)).all()
    assert role.regulariser(torch.tensor([[0.5, 0.5, 0.5]]), 1.5).item() == 0
    [group] = method.parameter_groups(1e-3)
    assert group["lr"] == pytest.approx(1e-2) and group["weight_decay"] == 0


def test_role_estimates_the_number_of_positives_without_labels():
    """An image on which CLIP wavers between two classes counts two, one on which it is sure counts one."""
    p = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], np.float32)
    assert role.expected_from_clip(p) == pytest.approx(1.5)


def test_cduls_closed_form_is_the_gradient_of_the_bernoulli_divergence():
    y = torch.tensor([[0.2, 0.5, 0.9]], requires_grad=True)
    z = torch.tensor([[0.3, -1.0, 2.0]])
    p = torch.sigmoid(z)
    divergence = (y * (y / p).log() + (1 - y) * ((1 - y) / (1 - p)).log()).sum()
    divergence.backward()
    assert torch.allclose(y.grad, torch.logit(y.detach()) - z, atol=1e-5)


def test_cduls_labels_move_to_the_network_and_stay_where_they_agree():
    options = cdul.Options(rate=0.5)
    z = torch.tensor([[1.0, -2.0]])
    agreed = torch.sigmoid(z)
    assert torch.allclose(cdul.moved_label(agreed, z, options), agreed, atol=1e-6)
    half = torch.tensor([[0.5, 0.5]])
    assert torch.logit(cdul.moved_label(half, z, options)).tolist()[0] == pytest.approx([0.5, -1.0], abs=1e-4)


def test_cduls_gate_is_symmetric_and_widest_for_an_undecided_label():
    values = cdul.gate(torch.tensor([0.5, 0.3, 0.7, 0.01]), 0.25)
    assert values[0] == 1 and torch.isclose(values[1], values[2]) and values[3] < 0.2


def test_g2netpls_labels_come_to_rest_at_the_sharpened_prediction():
    """y* = 1/2 + s (p - 1/2) with s = 2, within [0.01, 0.99]."""
    options = g2netpl.Options()
    p = torch.tensor([[0.6, 0.3, 0.95]])
    y = p.clone()
    for _ in range(2000):
        y = g2netpl.moved_label(y, p, options)
    assert y.tolist()[0] == pytest.approx([0.7, 0.1, 0.99], abs=0.01)


def test_g2netpl_begins_as_assume_negative_and_then_weighs_by_confidence():
    game = g2netpl.Game(ONE.numpy(), g2netpl.Options())
    first = game.loss(Z, batch(ONE, 0)).item()
    assert first == pytest.approx(-(LOG(0.8) + LOG(0.7) + LOG(0.4) + LOG(0.1)) / 4, rel=1e-5)
    game.end_of_epoch(0, 10, P.numpy())
    assert np.allclose(game.current_labels(), [[1, 0.3], [0.6, 1]])
    gamma = 2 * (1 - 1 / 9)
    expected = -LOG(0.8) - LOG(0.1)
    for p, y in ((0.3, 0.3), (0.6, 0.6)):
        expected += abs(2 * y - 1) ** gamma * -(y * LOG(p) + (1 - y) * LOG(1 - p))
    assert game.loss(Z, batch(ONE, 1)).item() == pytest.approx(expected / 4, rel=1e-4)
