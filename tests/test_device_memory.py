"""Where the device runs out of memory, work goes on with half as much at a time."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ccd_core.baselines.with_labels.semantic_head import SemanticClassifier
from ccd_core.clip.teacher import ClipTeacher, PromptedClip
from ccd_core.device_memory import Pass
from ccd_core.execution import run_ccd
from ccd_core.method import local_views
from ccd_core.method.classifier import CamClassifier
from ccd_core.runs.run import Run
from ccd_core.settings.sections import ClipSettings
from ccd_core.training.checkpoint import load_checkpoint
from ccd_core.training.passes import InPasses
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


def test_work_that_cannot_be_done_by_parts_is_begun_again_with_less():
    limit = Pass("items")
    tried = []

    def work() -> str:
        tried.append(min(limit.size, 9))
        return full() if limit.size > 2 else "done"

    assert limit.fitting(9, work) == "done"
    assert tried == [9, 4, 2]


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


def network_of_rows(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def gradients(network: nn.Module, images: Tensor, passes: int) -> list[Tensor]:
    """Of a loss in which every image has to do with every other."""
    wrapped = InPasses(network)
    wrapped.count = passes
    torch.manual_seed(1)
    answers = wrapped(images)
    (answers @ answers.T).square().mean().backward()
    return [parameter.grad for parameter in network.parameters()]


def test_passes_give_the_gradients_of_the_whole_batch():
    images = torch.rand(5, 3, 8, 8)
    whole = gradients(network_of_rows(nn.ReLU()), images, 1)
    for passes in (2, 5):
        torch.testing.assert_close(gradients(network_of_rows(nn.ReLU()), images, passes), whole)


def test_what_a_pass_leaves_behind_is_left_once_though_it_is_computed_twice():
    """Batch norm moves its running mean, and dropout draws, in a pass and not in its repetition."""
    images = torch.rand(6, 3, 8, 8)
    network = network_of_rows(nn.BatchNorm2d(4, momentum=0.5))
    maps = [network[0](part).mean((0, 2, 3)) for part in images.tensor_split(2)]
    gradients(network, images, 2)
    torch.testing.assert_close(network[1].running_mean, 0.25 * maps[0] + 0.5 * maps[1])
    assert network[1].momentum == 0.5
    network = network_of_rows(nn.Dropout(0.5))
    gradients(network, images, 3)
    drawn = torch.rand(1)
    with torch.no_grad():
        torch.manual_seed(1)
        for part in images.tensor_split(3):
            network(part)
    assert drawn == torch.rand(1)


@pytest.fixture
def holds_8_images(monkeypatch) -> list[int]:
    """The device holds 8 images of a training step. Returns how many each pass had."""
    sizes: list[int] = []
    for kind in (CamClassifier, SemanticClassifier):

        def forward_few(self, x, forward=kind.forward, **options):
            if self.training and torch.is_grad_enabled():
                sizes.append(len(x) if len(x) <= 8 else full())
            return forward(self, x, **options)

        monkeypatch.setattr(kind, "forward", forward_few)
    return sizes


SHORT = {"epochs": 2, "warmup_epochs": 1, "batch_size": 16, "keep": "last"}


def test_views_and_their_maps_are_the_same_where_memory_runs_out(tiny_run, tmp_path, monkeypatch):
    """The device cuts 2 views at a time, and holds 3 images of a CAM pass."""
    cut = local_views.crop_batch
    forward = CamClassifier.forward

    def cut_few(frames, views, *more):
        return cut(frames, views, *more) if len(views) <= 2 else full()

    def forward_few(self, x, return_cam=False):
        return forward(self, x, return_cam) if len(x) <= 3 or not return_cam else full()

    monkeypatch.setattr(local_views, "crop_batch", cut_few)
    monkeypatch.setattr(CamClassifier, "forward", forward_few)
    run = run_ccd(tiny_run.config, tmp_path / "run")
    assert run.load_views()["image"].equals(tiny_run.load_views()["image"])
    p = run.load_view_probabilities()
    np.testing.assert_allclose(p, tiny_run.load_view_probabilities(), atol=1e-3)
    said = run.file("log.txt").read_text()
    assert "2 images in one pass of CLIP" in said and "2 images in one CAM pass" in said


@pytest.mark.parametrize("words", ["CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", "another error"])
def test_a_library_that_has_no_memory_says_so_in_its_own_words(words):
    limit = Pass("items")

    def work(part: slice) -> None:
        if part.stop - part.start > 1:
            raise RuntimeError(f"CUDA error: {words}")

    if words == "another error":
        with pytest.raises(RuntimeError, match=words):
            limit.run(4, work)
    else:
        assert len(limit.run(4, work)) == 4


def test_a_training_step_keeps_its_batch(tiny_scenes, tmp_path, holds_8_images):
    """The device holds 8 images; a batch has 16. The steps, and so the epochs, are as many as before."""
    run = run_ccd(tiny_config(tiny_scenes, training=SHORT), tmp_path / "run")
    assert Run.open(run.path).status == "finished"
    # Of batches of 16, 16 and 8 images, the large ones go twice; with strong copies in the second epoch.
    assert max(holds_8_images) == 8 and sum(holds_8_images) == 3 * (2 * 32 + 8)
    assert "there are 8 images in one pass of a training step" in run.file("log.txt").read_text()


def test_so_do_the_other_methods_whose_state_counts_a_step_once(tiny_scenes, tmp_path, holds_8_images):
    """SST's loss needs pairs of images of the whole batch, and it remembers what it has seen."""
    config = tiny_config(tiny_scenes, training=SHORT).with_method("sst").changed(method={"head_width": 16})
    run = run_ccd(config, tmp_path / "run")
    assert run.status == "finished" and max(holds_8_images) == 8
    state = load_checkpoint(run.file("checkpoints", "last.safetensors")).method
    assert state["seen"] == 2 * 40
