"""Backbones: families of networks with their own layouts, sizes of a run, weights as people have them."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn

from ccd_core.errors import UserError
from ccd_core.method.classifier import CamClassifier, make_classifier
from ccd_core.settings.sections import ClassifierSettings

SHALLOW_SWIN = {"depths": [1, 1, 1, 1], "embed_dim": 24, "num_heads": [1, 1, 2, 2]}
SHALLOW_VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3}
SHALLOW_MAXXVIT = {"depths": [1, 1, 1, 1], "embed_dim": [32, 32, 64, 64]}

# timm's name, few layers so that it takes no time, a size that is not the network's own, pixels of a feature.
FAMILIES = {
    "ResNet": ("test_resnet", {}, 256, 32),
    "ConvNeXt": ("test_convnext", {}, 256, 32),
    "EfficientNet": ("test_efficientnet", {}, 256, 32),
    "MobileNetV3": ("mobilenetv3_small_050", {}, 256, 32),
    "RegNet": ("regnetx_002", {}, 256, 32),
    "EfficientViT": ("efficientvit_b0", {}, 256, 32),
    "PVT": ("pvt_v2_b0", {}, 256, 32),
    "Swin": ("swin_tiny_patch4_window7_224", SHALLOW_SWIN, 256, 32),
    "SwinV2": ("swinv2_tiny_window8_256", SHALLOW_SWIN, 320, 32),
    "ViT": ("vit_tiny_patch16_224", SHALLOW_VIT, 160, 16),
    "DINOv2": ("vit_small_patch14_dinov2", SHALLOW_VIT, 140, 14),
    "DINOv2 with registers": ("vit_small_patch14_reg4_dinov2", SHALLOW_VIT, 140, 14),
    "DINOv3": ("vit_small_patch16_dinov3", SHALLOW_VIT, 160, 16),
    "EVA02": ("eva02_tiny_patch14_224", SHALLOW_VIT, 140, 14),
    "XCiT": ("xcit_nano_12_p16_224", {"depth": 2}, 160, 16),
    "MaxViT": ("maxvit_tiny_tf_224", SHALLOW_MAXXVIT, 448, 32),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_map_stands_upright_and_where_the_image_is(family):
    """Of an image that changes in one place, the map changes most in that place."""
    name, options, size, stride = FAMILIES[family]
    torch.manual_seed(0)
    model = CamClassifier(f"timm:{name}", 3, sizes=(size,), **options).eval()
    side = size // stride
    row, column = side - 2, 1  # not on the diagonal, so that a map lying on its side is noticed
    image = torch.randn(2, 3, size, size) * 0.1
    changed = image.clone()
    changed[..., row * stride : (row + 1) * stride, column * stride : (column + 1) * stride] += 3
    with torch.no_grad():
        logits, cam = model(image, return_cam=True)
        features = model.backbone(changed) - model.backbone(image)
    assert cam.shape == (2, 3, side, side) and features.shape[1] == model.head.in_channels
    torch.testing.assert_close(logits, cam.mean((2, 3)))
    moved = features.norm(dim=1).mean(0)
    found = divmod(int(moved.argmax()), side)
    assert max(abs(found[0] - row), abs(found[1] - column)) <= 1  # strides and padding may move it by one


@pytest.mark.parametrize("family", ["Swin", "ViT", "DINOv2 with registers"])
def test_a_token_network_gives_its_own_features_in_another_order(family):
    name, options, _, stride = FAMILIES[family]
    model = CamClassifier(f"timm:{name}", 3, **options).eval()
    network = model.backbone.network
    size = 224 if "swin" in name else 10 * stride
    image = torch.randn(1, 3, size, size)
    with torch.no_grad():
        ours, theirs = model.backbone(image), network.forward_features(image)
    if theirs.ndim == 3:
        theirs = theirs[:, network.num_prefix_tokens :]
    assert torch.equal(ours.flatten(2).mT, theirs.flatten(1, -2))


def test_sizes_that_are_no_squares(family="ViT"):
    name, options, _, stride = FAMILIES[family]
    model = CamClassifier(f"timm:{name}", 3, **options).eval()
    assert model(torch.zeros(1, 3, 2 * stride, 5 * stride), return_cam=True)[1].shape == (1, 3, 2, 5)


@pytest.mark.parametrize(
    ("name", "options", "sizes", "sentence"),
    [
        (
            "coatnet_0_rw_224",
            SHALLOW_MAXXVIT,
            (448, 640),
            "does not take images of 448 x 448 .* It takes 224:",
        ),
        (
            "maxvit_tiny_tf_224",
            SHALLOW_MAXXVIT,
            (448, 640),
            "of 640 x 640 .*divisible by window.* It takes 672",
        ),
        ("beit_base_patch16_224", SHALLOW_VIT, (224, 640), "of 640 x 640 .* It takes 224:"),
        ("vit_small_patch14_dinov2", SHALLOW_VIT, (448, 640), "of 640 x 640 .* It takes 644 or 630"),
        ("mixer_s32_224", {}, (448, 640), "of 448 x 448 .* It takes 224:"),
        ("levit_128s", {}, (224,), "gives no feature map .* its 16 tokens are no grid"),
    ],
)
def test_a_size_that_a_network_does_not_take_is_said_before_training(name, options, sizes, sentence):
    image_size, cam_size = (sizes * 2)[:2]
    settings = ClassifierSettings(
        backbone=f"timm:{name}",
        backbone_options=options,
        weights=None,
        image_size=image_size,
        cam_size=cam_size,
    )
    with pytest.raises(UserError, match=sentence) as error:
        make_classifier(settings, 3)
    assert "\n" not in str(error.value)


def test_a_network_without_maps_is_said():
    with pytest.raises(UserError, match="does not take classifier.backbone_options .*no_such_option"):
        CamClassifier("timm:test_resnet", 3, no_such_option=1)


def test_trying_the_sizes_changes_nothing():
    """Weights, buffers, the mode and the random numbers are those of a network that was not tried."""
    torch.manual_seed(0)
    tried = CamClassifier("timm:test_resnet", 3, sizes=(64, 96))
    state = torch.get_rng_state()
    torch.manual_seed(0)
    plain = timm.create_model("test_resnet", num_classes=0, global_pool="")
    head = nn.Conv2d(plain.num_features, 3, 1)
    assert torch.equal(state, torch.get_rng_state())
    assert tried.training and all(part.training for part in tried.modules())
    for name, value in plain.state_dict().items():
        assert torch.equal(tried.backbone.network.state_dict()[name], value), name
    assert torch.equal(tried.head.weight, head.weight)


# -- weights ---------------------------------------------------------------------------------------


def resnet() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return torchvision.models.resnet18(num_classes=7).state_dict()


def under(prefix: str, state: dict) -> dict:
    return {prefix + name: value for name, value in state.items()}


def other(state: dict) -> dict:
    return {name: torch.zeros_like(value) for name, value in state.items()}


WRAPPED = {  # kind -> a training script's file, in which the weights of `resnet()` are the ones to take
    "plain": lambda w: w,
    "lightning": lambda w: {"state_dict": under("model.backbone.", w), "pytorch-lightning_version": "2"},
    "moco": lambda w: {
        "state_dict": under("module.encoder_q.", w)
        | under("module.encoder_k.", other(w))
        | {"module.queue": torch.zeros(8, 9)}
    },
    "dino": lambda w: {
        "student": under("module.backbone.", other(w)),
        "teacher": under("backbone.", w) | {"head.mlp.0.weight": torch.zeros(2, 2)},
        "args": {"lr": 1},
    },
    "ema": lambda w: {
        "model": other(w),
        "model_ema": w,
        "optimizer": {"state": {0: {"step": torch.ones(1)}}},
    },
    "compiled": lambda w: {"model_state_dict": under("module._orig_mod.", w)},
    "network": lambda w: {"net": {"encoder": {"layers": w}}},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_weights_of_training_scripts_start_the_backbone(kind, tmp_path):
    weights = resnet()
    torch.save(WRAPPED[kind](weights), tmp_path / "checkpoint.ckpt")
    model = CamClassifier("resnet18", 3, str(tmp_path / "checkpoint.ckpt"))
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_two_networks_that_fit_equally_well_are_a_question(tmp_path):
    torch.save({"first": resnet(), "second": resnet()}, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match=r"2 networks that fit, under 'first\.' and 'second\.'"):
        CamClassifier("resnet18", 3, str(tmp_path / "checkpoint.pt"))


@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "tf_efficientnet_b1"])
def test_names_of_efficientnet_pytorch(name, tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(name).eval()
    for value in whole.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5)
    torch.save({"module." + key: value for key, value in their_names(whole).items()}, tmp_path / "theirs.pth")
    model = CamClassifier(f"timm:{name}", 3, str(tmp_path / "theirs.pth"))
    for key, value in model.backbone.network.state_dict().items():
        assert torch.equal(value, whole.state_dict()[key]), key


def their_names(network) -> dict[str, torch.Tensor]:
    """The weights of timm's network as the package EfficientNet-PyTorch names them."""
    outer = {
        "conv_stem": "_conv_stem",
        "bn1": "_bn0",
        "conv_head": "_conv_head",
        "bn2": "_bn1",
        "classifier": "_fc",
    }
    numbers = {
        f"blocks.{stage}.{block}": number
        for number, (stage, block) in enumerate(
            (stage, block) for stage, blocks in enumerate(network.blocks) for block in range(len(blocks))
        )
    }
    inverted = {
        "conv_pw": "_expand_conv",
        "bn1": "_bn0",
        "conv_dw": "_depthwise_conv",
        "bn2": "_bn1",
        "se.conv_reduce": "_se_reduce",
        "se.conv_expand": "_se_expand",
        "conv_pwl": "_project_conv",
        "bn3": "_bn2",
    }
    separable = inverted | {
        "conv_dw": "_depthwise_conv",
        "bn1": "_bn1",
        "conv_pw": "_project_conv",
        "bn2": "_bn2",
    }
    found = {}
    for name, value in network.state_dict().items():
        part, _, kind = name.rpartition(".")
        if part in outer:
            found[f"{outer[part]}.{kind}"] = value
        else:
            place = ".".join(part.split(".")[:3])
            inner = part.removeprefix(f"{place}.")
            names = inverted if f"{place}.conv_pwl.weight" in network.state_dict() else separable
            found[f"_blocks.{numbers[place]}.{names[inner]}.{kind}"] = value
    return found


def test_published_weights_of_torchvision_are_read_without_objects(monkeypatch):
    asked = {}

    def fetched(url, **options):
        asked.update(options)
        return torchvision.models.resnet18().state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetched)
    monkeypatch.setattr("ccd_core.method.backbones.refuse_absent_imagenet", lambda *_, **__: None)
    CamClassifier("resnet18", 3, "imagenet")
    assert asked == {"check_hash": True, "weights_only": True}
