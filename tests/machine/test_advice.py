"""Which preset fits a machine, and what `ccd run` takes where nobody has chosen."""

from __future__ import annotations

import pytest

from ccd_core.config import CCDConfig
from ccd_core.machine import advice
from ccd_core.machine.advice import advise, preset_of
from ccd_core.machine.gpus import GpuFacts
from ccd_core.settings.presets import LAPTOP, PRESET_VALUES, nested
from ccd_core.speed import measured_seconds
from tests.support import tiny_config


@pytest.fixture
def machine(monkeypatch):
    """`machine(gpu=24, hub=True, photos=False)`: GiB of its GPU, whether the hub answers, the extra."""

    def be(gpu: int = 0, hub: bool = False, photos: bool = False) -> None:
        found = [GpuFacts("cuda:0", "GPU of a test", 0, gpu * 2**30, None, None)] if gpu else []
        monkeypatch.setattr(advice, "gpus", lambda: found)
        monkeypatch.setattr(advice, "hub_answers", lambda: hub)
        monkeypatch.setattr(advice, "in_hub_cache", lambda repository, file: False)
        monkeypatch.setattr(advice.importlib.util, "find_spec", lambda name: photos or None)

    return be


def test_the_preset_follows_the_gpu_and_the_network(machine):
    machine(gpu=24)
    assert advise() == advice.Advice("best", "this machine has a GPU of a test")
    machine(gpu=4, hub=True)
    assert advise() == advice.Advice("laptop", "its GPUs have less than 10 GiB")
    machine(photos=True)
    assert advise().preset == "offline"
    machine()
    assert advise().preset == "laptop" and "'.[photos]'" in advise().why


def test_own_images_take_the_advice_and_published_ones_the_paper(machine):
    machine(gpu=24)
    assert preset_of(None, False, "folder:photos") == ("best", advise())
    assert preset_of(None, False, "voc2012:VOCdevkit") == (None, None)
    assert preset_of(None, False, None) == preset_of(None, False, "demo:scenes") == ("demo", None)
    assert preset_of(None, True, "folder:photos") == (None, None)
    assert preset_of("paper", False, "folder:photos") == ("paper", None)


def test_laptop_is_best_with_other_models_sizes_views_and_epochs():
    laptop, best = PRESET_VALUES["laptop"], PRESET_VALUES["best"]
    changed = nested(LAPTOP)
    for section, values in laptop.items():
        for name, value in values.items() if isinstance(values, dict) else ():
            expected = changed.get(section, {}).get(name, best.get(section, {}).get(name))
            assert value == expected, f"{section}.{name}"
    assert set(changed) <= {"clip", "classifier", "views", "training"}
    assert CCDConfig.preset("laptop", "folder:photos").bias == CCDConfig.preset("best", "folder:photos").bias


def test_the_time_of_every_stage_is_measured_without_weights(tiny_scenes, monkeypatch):
    from ccd_core import speed
    from ccd_core.data import open_dataset

    monkeypatch.setattr(speed, "MOMENT", 0.02)
    config = tiny_config(tiny_scenes)
    seconds = measured_seconds(config, open_dataset(config.data.spec))
    assert set(seconds) == {"images", "global", "warm-up", "views", "training", "scores"}
    assert all(0 < value < 60 for value in seconds.values())
