"""Code for GPUs, with tensors that have a device and a shape but no data: nothing mixes two devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from open_clip.model import CLIP
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ccd_core.clip import teacher as teachers
from ccd_core.clip.teacher import ClipTeacher, PromptedClip
from ccd_core.method import views
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.losses import ccd_loss
from ccd_core.method.views import crop_batch
from ccd_core.settings.sections import ClipSettings, TrainingSettings
from ccd_core.training.augment import augment
from ccd_core.training.passes import InPasses
from tests.clip.small_models import TEXT, TOWERS

GPU = torch.device("cuda", 0)
pytestmark = pytest.mark.filterwarnings("ignore:CUDA is not available")  # autocast stays off


@pytest.fixture
def on_gpu(monkeypatch):
    """A context in which new tensors are on a GPU that is not there."""
    # Modules are made on the GPU. Moving them would exchange their parameters, which have no data.
    monkeypatch.setattr(nn.Module, "to", lambda self, *device, **layout: self)
    for module in (teachers, views):  # pinned memory needs a GPU
        monkeypatch.setattr(module, "to_device", lambda values, device: values.to(device))
    # What is asked of the model itself needs data.
    monkeypatch.setattr(ClipTeacher, "logit_scale", 100.0)
    monkeypatch.setattr(teachers, "_of_channels", teachers._of_channels.__wrapped__)

    @contextmanager
    def mode() -> Iterator[None]:
        with FakeTensorMode(allow_non_fake_inputs=True), GPU:
            yield

    return mode


def test_clip_takes_images_and_views_to_the_gpu(on_gpu):
    with on_gpu():
        teacher = ClipTeacher(CLIP(16, TOWERS["resnet"][2], TEXT), None, GPU, "bf16")
        clip = PromptedClip(teacher, torch.rand(3, 16), ClipSettings(size=96, batch_size=4))
        frames = [torch.zeros(3, 96, 96, dtype=torch.uint8) for _ in range(2)]
        crops = crop_batch(frames, [(0, (0, 0, 48, 60)), (1, (5, 5, 53, 65))], 96, 32)
        pixels = torch.zeros(2, 3, 96, 96, dtype=torch.uint8, device="cpu")
        for p in (clip.probabilities(pixels), clip.view_probabilities(crops)):
            assert p.device == GPU and p.shape == (2, 3)


@pytest.mark.parametrize("passes", [1, 2])
def test_a_training_step_stays_on_the_gpu(on_gpu, passes):
    with on_gpu():
        model = InPasses(CamClassifier("timm:test_resnet", 3).train())
        model.count = passes
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits, cams = model(torch.rand(4, 3, 64, 64), return_cam=True)
        loss = ccd_loss(logits.float(), torch.rand(4, 3), logits.float())
        assert loss.device == logits.device == cams.device == GPU


def test_augmentation_follows_its_pixels():
    """Here the pixels are on the meta device, because the draws need data."""
    pixels = torch.zeros(4, 3, 32, 32, dtype=torch.uint8, device="meta")
    for copy in augment(pixels, TrainingSettings(jitter=0.5), with_strong=True):
        assert copy.device.type == "meta" and copy.shape == pixels.shape
