from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["OMP_NUM_THREADS"] = (
    "1"  # before torch is imported: small models gain nothing from more, and a run's processes compute alike
)


@pytest.fixture(autouse=True, scope="session")
def no_embeddings_are_left_behind(tmp_path_factory):
    """CLIP's embeddings of the tests' passing pictures do not go into the user's cache."""
    from ccd_core.data import cache

    home, cache.home = (
        cache.home,
        lambda: Path(os.environ.get("CCD_HOME") or tmp_path_factory.getbasetemp() / "home"),
    )
    yield
    cache.home = home


@pytest.fixture(scope="session")
def tiny_scenes(tmp_path_factory) -> Path:
    """A VOC-style data set of 40 + 16 toy scenes."""
    from ccd_core.toy.scenes import write_dataset

    return write_dataset(tmp_path_factory.mktemp("scenes"), {"train": 40, "val": 16})


def tiny_config(scenes: Path, **changes):
    """Settings under which a whole run takes seconds: a very small classifier on small pictures, the real demo CLIP."""
    from ccd_core.config import CCDConfig

    small = {
        "data": {"spec": f"demo:{scenes}", "workers": 0},
        "device": "cpu",
        "precision": "fp32",
        "clip": {"size": 96, "batch_size": 32, "round_to": 32},
        "classifier": {
            "backbone": "timm:test_resnet",
            "backbone_options": {},
            "weights": None,
            "image_size": 64,
            "cam_size": 64,
        },
        "views": {"threshold": {"mean_views": 2.0}, "frame": 160, "offset": 20},
        "training": {"epochs": 4, "warmup_epochs": 2, "keep": "last"},
    }
    return CCDConfig.preset("demo").changed(**small).changed(**changes)


@pytest.fixture(scope="session")
def tiny_run(tiny_scenes, tmp_path_factory):
    """A finished run on the tiny scenes."""
    from ccd_core.pipeline import run_ccd

    return run_ccd(tiny_config(tiny_scenes), tmp_path_factory.mktemp("runs") / "tiny")
