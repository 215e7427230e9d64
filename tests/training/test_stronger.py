"""Crops, RandAugment and Cutout: what they leave of an image, and that parts of a batch are as the whole."""

from __future__ import annotations

import pytest
import torch

from ccd_core.config import CCDConfig
from ccd_core.runs.team import Team
from ccd_core.training.stronger import cut_out, random_crop, strengthened

PIXELS = torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8)


def settings(**changes):
    return CCDConfig.preset("demo").changed(training=changes).training


def test_without_such_changes_nothing_is_drawn():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert strengthened(PIXELS, settings(), 7, slice(None)) is PIXELS
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("changes", [{"crop": 0.5}, {"cutout": 0.5}, {"rand_augment": 2}])
def test_a_part_of_a_batch_is_changed_as_in_the_whole(changes):
    torch.manual_seed(3)
    whole = strengthened(PIXELS, settings(**changes), 7, slice(None))
    after = torch.get_rng_state()
    assert whole.shape == PIXELS.shape and whole.dtype == torch.uint8 and not torch.equal(whole, PIXELS)
    for rank in range(2):
        part = Team(rank, 2).batch_slice(7)
        torch.manual_seed(3)
        assert torch.equal(strengthened(PIXELS[part], settings(**changes), 7, part), whole[part])
        assert torch.equal(torch.get_rng_state(), after)


def test_a_crop_is_a_square_of_one_of_five_sizes():
    """On a ramp the values that are left say how wide the crop was: 1, 7/8, 3/4, 5/8 or 1/2 of the image."""
    ramp = (torch.arange(128, dtype=torch.uint8) * 2).expand(3, 128, 128)
    torch.manual_seed(0)
    widths = set()
    for _ in range(60):
        crop = random_crop(ramp, 0.5)
        assert crop.shape == ramp.shape
        widths.add(round((int(crop.max()) - int(crop.min())) / 254 * 8))
    assert widths == {4, 5, 6, 7, 8}


def test_cutout_paints_a_square_around_a_place_of_the_image():
    torch.manual_seed(0)
    image = torch.zeros(3, 32, 32, dtype=torch.uint8)
    areas = [int((cut_out(image, 0.5) != 0).any(0).sum()) for _ in range(40)]
    assert max(areas) == 16 * 16 and min(areas) >= 8 * 8 and len(set(areas)) > 5
    assert (image == 0).all()
