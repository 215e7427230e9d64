"""The classifier: any CNN as its backbone, with published weights, and what is refused."""

from __future__ import annotations

import warnings

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from timm.layers import convert_sync_batchnorm
from torch import nn

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.method.classifier import CamClassifier, make_classifier
from ccd_core.settings.sections import ClassifierSettings


def test_the_demo_classifier_starts_from_the_demo_clip():
    settings = CCDConfig.preset("demo").classifier
    model = CamClassifier(settings.backbone, 16, settings.weights, **settings.backbone_options)
    logits, cam = model(torch.zeros(1, 3, 128, 128), return_cam=True)
    torch.testing.assert_close(logits, cam.mean((2, 3)))
    assert cam.shape == (1, 16, 8, 8)


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 512), ("timm:mobilenetv3_small_050", 288)])
def test_any_cnn_is_a_backbone(name, channels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CamClassifier(name, 3)
    assert model.head.in_channels == channels
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


@pytest.mark.parametrize("file", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize(
    ("name", "first"), [("resnet18", "conv1.weight"), ("timm:mobilenetv3_small_050", "conv_stem.weight")]
)
def test_published_weights_of_a_whole_network_start_the_backbone(tmp_path, name, first, file):
    whole = (
        timm.create_model(name.removeprefix("timm:"))
        if name.startswith("timm:")
        else torchvision.models.get_model(name)
    )
    if file.endswith(".pth"):
        torch.save(whole.state_dict(), tmp_path / file)
    else:
        save_file(whole.state_dict(), tmp_path / file)
    model, x = CamClassifier(name, 3, str(tmp_path / file)).eval(), torch.rand(1, 3, 64, 64)
    network = model.backbone.network if name.startswith("timm:") else model.backbone
    assert (network.state_dict()[first] == whole.state_dict()[first]).all()
    if name.startswith("timm:"):
        assert (model.backbone(x) == whole.eval().forward_features(x)).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.pop("layer1.0.conv1.weight"), r"layer1\.0\.conv1\.weight is missing"),
        (
            lambda state: state.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}),
            r"conv1\.weight is \[64, 1, 7, 7\], not \[64, 3, 7, 7\]",
        ),
        (
            lambda state: state.update({"layer1.2.conv1.weight": torch.zeros(1)}),
            r"the backbone has no layer1\.2\.conv1\.weight",
        ),
        (lambda state: state.clear(), "more like it"),
    ],
)
def test_weights_of_another_network_are_refused_with_what_differs(tmp_path, change, sentence):
    state = torchvision.models.resnet18().state_dict()
    change(state)
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match=sentence):
        CamClassifier("resnet18", 3, str(tmp_path / "weights.safetensors"))


@pytest.mark.parametrize(
    ("name", "weights", "sentence"),
    [
        ("resnet99", None, "no torchvision ResNet 'resnet99'"),
        ("timm:nothing", None, "timm has no model 'nothing'"),
        ("timm:levit_128s", None, "gives no feature map"),
        ("resnet18", "/nowhere.safetensors", "no file of weights /nowhere.safetensors"),
    ],
)
def test_what_is_no_backbone_is_one_sentence(name, weights, sentence):
    with pytest.raises(UserError, match=sentence):
        CamClassifier(name, 3, weights)


@pytest.mark.parametrize("name", ["resnet18", "timm:test_resnet", "timm:test_efficientnet", "clip:demo"])
def test_the_last_stage_alone_learns(name):
    settings = ClassifierSettings(
        backbone=name, weights=None, learns="last_stage", image_size=64, cam_size=64
    )
    model = make_classifier(settings, 3)
    parameters = list(model.backbone.named_parameters())
    learning = [name for name, value in parameters if value.requires_grad]
    assert 0 < len(learning) < len(parameters)
    if "resnet" in name or name == "clip:demo":
        assert all("layer4" in name for name in learning)
        assert all("layer4" not in name for name, value in parameters if not value.requires_grad)


@pytest.mark.parametrize(("share", "learns"), [(0.0, True), (0.5, True), (1.0, False)])
def test_frozen_layers_keep_their_weights_and_statistics(share, learns):
    model = CamClassifier("resnet18", 3, frozen=share).train()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.rand(2, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    changed = [
        name for name, value in model.backbone.state_dict().items() if not torch.equal(value, before[name])
    ]
    assert bool(changed) is learns
    first = [name for name in changed if name.startswith(("conv1", "bn1", "layer1"))]
    assert bool(first) is (share == 0)
    assert model.head.weight.grad is not None


def test_frozen_layers_stay_frozen_where_several_gpus_share_the_statistics():
    """There, other layers stand in the place of batch norms."""
    model = CamClassifier("resnet18", 3, frozen=0.5)
    convert_sync_batchnorm(model)
    model.train()
    norms = [layer for layer in model.modules() if isinstance(layer, nn.SyncBatchNorm)]
    assert not norms[0].training and not norms[0].weight.requires_grad
    assert norms[-1].training and norms[-1].weight.requires_grad
