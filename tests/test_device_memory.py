"""Where the device runs out of memory, work goes on with half as much at a time."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from ccd_core.clip.teacher import ClipTeacher, PromptedClip
from ccd_core.device_memory import Pass
from ccd_core.execution import run_ccd
from ccd_core.runs.run import Run
from ccd_core.settings.sections import ClipSettings
from tests.support import tiny_config


def full(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_a_pass_is_halved_until_it_fits_and_stays_so(caplog):
    done: list[tuple[int, int]] = []

    def work(part: slice) -> int:
        if part.stop - part.start > 3:
            full()
        done.append((part.start, part.stop))
        return part.stop - part.start

    limit = Pass("items in a pass")
    with caplog.at_level(logging.WARNING, "ccd"):
        assert sum(limit.run(10, work)) == 10
    assert limit.size == 2 and done[0] == (0, 2) and done[-1] == (8, 10)
    assert "there are 2 items in a pass" in caplog.text
    assert len(limit.run(4, work)) == 2


def test_what_must_be_begun_again_is_undone_first():
    undone = []

    def work(part: slice) -> int:
        if part.start == 4 and part.stop == 8:
            full()
        return part.stop - part.start

    limit = Pass("items", 4)
    assert limit.run(8, work, lambda: undone.append(True)) == [2, 2, 2, 2]
    assert undone == [True]


def test_one_item_that_does_not_fit_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        Pass("items").run(5, full)


def test_clip_gives_the_same_embeddings_where_memory_runs_out(monkeypatch):
    demo = ClipTeacher.load("demo")
    clip = PromptedClip(demo, demo.encode_text(["cat"]), ClipSettings(model="demo", size=64))
    pixels = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8)
    whole = clip.embed(pixels)
    encode = demo.encode_image

    def encode_few(x: Tensor) -> Tensor:
        return encode(x) if len(x) <= 2 else full()

    monkeypatch.setattr(demo, "encode_image", encode_few)
    torch.testing.assert_close(clip.embed(pixels), whole)
    assert clip.limit.size == 2


def test_a_training_step_keeps_its_batch_by_adding_up_gradients(tiny_scenes, tmp_path, monkeypatch):
    """The device holds 8 images; a batch has 16. The steps, and so the epochs, are as many as before."""
    from ccd_core.method.classifier import CamClassifier

    forward = CamClassifier.forward
    sizes = []

    def forward_few(self, x, return_cam=False):
        if self.training:
            if len(x) > 8:
                full()
            sizes.append(len(x))
        return forward(self, x, return_cam)

    monkeypatch.setattr(CamClassifier, "forward", forward_few)
    config = tiny_config(tiny_scenes, training={"epochs": 1, "warmup_epochs": 0, "batch_size": 16})
    run = run_ccd(config, tmp_path / "run")
    assert Run.open(run.path).status == "finished"
    assert max(sizes) == 8 and len(run.load_metrics()) == 1
    assert "images in one pass of a training step" in run.file("log.txt").read_text()
