"""PIAA's recipe against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ccd_core.errors import UserError
from ccd_core.method.patch_labels import (
    PatchClassifier,
    PatchOptions,
    PatchSelection,
    fit,
    from_patches,
    gaussian,
    patch_options,
    sure_patches,
    with_whole_image,
)


def test_a_class_keeps_its_patches_of_lowest_entropy():
    p = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7], [0.99, 0.01]])
    selection = PatchSelection(2, 1, 2)
    selection.add(torch.arange(5.0)[:, None], p)
    assert selection.features[:, 0].tolist() == [4, 0, 3]  # class by class, the surest first
    assert selection.top.tolist() == [0, 0, 1]
    assert selection.limits()[0] == pytest.approx(-(0.9 * math.log(0.9) + 0.1 * math.log(0.1)), abs=1e-5)
    assert selection.limits()[1] == math.inf
    selection.add(torch.tensor([[5.0], [6.0]]), torch.tensor([[0.95, 0.05], [0.85, 0.15]]))
    assert selection.features[:, 0].tolist() == [4, 5, 3]


def test_all_at_once_or_in_parts_the_selection_is_the_same():
    torch.manual_seed(0)
    p = torch.randn(300, 3).softmax(1)
    p[100:120] = p[0]  # equal entropies: the first ones stay
    features = torch.arange(300.0)[:, None]
    whole = PatchSelection(3, 1, 40)
    whole.add(features, p)
    parts = PatchSelection(3, 1, 40)
    for begin in range(0, 300, 7):
        parts.add(features[begin : begin + 7], p[begin : begin + 7])
    assert whole.features.tolist() == parts.features.tolist() and len(whole.top) == 120


def test_the_gaussian_classifier_of_four_patches():
    """Two classes at x = -1 and 1, each with y = -0.5 and 0.5, so all scatter lies along y.

    (n - 1) Cov = diag(0, 1) and tr(Cov) = 1/3, so S = 2 diag(3, 3/4) and the logits are +-6 x + const.
    """
    x = torch.tensor([[-1.0, -0.5], [-1.0, 0.5], [1.0, -0.5], [1.0, 0.5]])
    p = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    classifier = gaussian(x, p, p.argmax(1))
    torch.testing.assert_close(classifier.weight, torch.tensor([[-6.0, 0.0], [6.0, 0.0]]))
    torch.testing.assert_close(classifier.offset, torch.full((2,), math.log(1 / 2) - 3))
    logits = classifier.logits(torch.tensor([0.5, 9.0]))
    torch.testing.assert_close(logits, torch.tensor([-6.0, 0.0]) + math.log(1 / 2))


def test_means_are_weighed_by_probability():
    x = torch.tensor([[0.0], [1.0], [4.0]])
    p = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.0, 1.0]])
    classifier = gaussian(x, p, p.argmax(1))
    # mu = (0.25, (0.75 + 4) / 2 = 2.375); centred -0.25, -1.375, 1.625; their mean is 0.
    scatter = 0.25**2 + 1.375**2 + 1.625**2
    precision = 1 / (scatter + scatter / 2)
    torch.testing.assert_close(classifier.weight[:, 0], precision * torch.tensor([0.25, 2.375]))


def test_sure_patches_stay():
    """q of class 0 is 0.9, 0.8, 0.1, 0.2: mean 0.5, deviation 0.354, so 0.9 stays and 0.8 goes."""
    classifier = PatchClassifier(torch.tensor([[1.0], [-1.0]]), torch.zeros(2))
    x = torch.tensor([[9.0], [4.0], [1 / 9], [1 / 4]]).log() / 2
    stay = sure_patches(classifier, x.double(), torch.tensor([0, 0, 1, 1]), 1.0)
    assert stay.tolist() == [True, False, True, False]


def test_scores_of_an_image_by_hand():
    classifier = PatchClassifier(torch.eye(2), torch.zeros(2))
    options = PatchOptions(flatness=1.0, top=2.0, whole=10.0, weight=0.9)
    patches = torch.tensor([[[0.0, math.log(3)], [math.log(4), 0.0]]])  # softmax: (1/4, 3/4), (4/5, 1/5)
    p = from_patches(classifier, patches, options)
    first = 1 / (1 + math.exp(2 * (0.75 - 0.8)))  # softmax(2 * (0.8, 0.75))
    torch.testing.assert_close(p, torch.tensor([[first, 1 - first]]))
    both = with_whole_image(p, torch.tensor([[0.2, 0.1]]), options)
    whole = 1 / (1 + math.exp(-1))
    torch.testing.assert_close(both[0, 0].item(), 0.9 * first + 0.1 * whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(both.sum(1), torch.ones(1))


def test_logits_are_in_units_of_their_spread():
    """So a CLIP whose features lie closer together gives labels as sharp as another one."""
    torch.manual_seed(0)
    selection = PatchSelection(3, 4, 64)
    centres = torch.nn.functional.normalize(torch.randn(3, 4), dim=1)
    selection.top = torch.arange(3).repeat(20)
    selection.features = centres[selection.top] + 0.05 * torch.randn(60, 4)
    selection.p = torch.nn.functional.one_hot(selection.top, 3).float()
    logits = fit(selection, PatchOptions()).logits(selection.features)
    torch.testing.assert_close(logits.std(1, correction=0).mean(), torch.tensor(1.0))
    plain = fit(selection, PatchOptions(spread=0)).logits(selection.features)
    assert plain.std(1, correction=0).mean() > 2
    assert (logits.argmax(1) == selection.top).all() and (plain.argmax(1) == selection.top).all()


def test_a_class_without_a_patch_leaves_every_number_finite():
    selection = PatchSelection(3, 2, 8)
    p = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    selection.add(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), p)
    p = from_patches(fit(selection, PatchOptions()), torch.rand(5, 4, 2), PatchOptions())
    assert torch.isfinite(p).all()
    torch.testing.assert_close(p.sum(1), torch.ones(5))


def test_wrong_options_are_one_sentence():
    assert patch_options({"top": 200, "spread": 0}).spread == 0
    assert patch_options({"zeta": 0.1}, others=True) == PatchOptions()
    with pytest.raises(UserError, match="no option zeta; method.options takes sharpness, patches"):
        patch_options({"zeta": 0.1})
    for wrong in ({"top": 0}, {"weight": 1.5}, {"patches": -1}):
        with pytest.raises(UserError, match=f"{next(iter(wrong))} is a number"):
            patch_options(wrong)
