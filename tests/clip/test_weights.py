"""Where a CLIP comes from: kinds of files, the activation and pixel statistics that it was trained with.

What is no CLIP is refused in one sentence.
"""

from __future__ import annotations

import json
import pickle
import time

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from ccd_core.clip import weights as clip_weights
from ccd_core.clip.teacher import ClipTeacher
from ccd_core.errors import UserError
from tests.clip.small_models import TOWERS, write_model

SMALL = {
    "embed_dim": 32,
    "vision_cfg": TOWERS["vit"][2],
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
TAGS = {"openai": True, "laion2b_s32b_b82k": False, "metaclip_400m": True}  # tag -> trained with QuickGELU


@pytest.fixture
def listed(monkeypatch):
    """open_clip lists a small model as ViT-L-14, whose tags differ in activation and pixel statistics."""
    monkeypatch.setattr(
        open_clip.factory,
        "_MODEL_CONFIGS",
        {"ViT-L-14": SMALL, "ViT-L-14-quickgelu": SMALL | {"quick_gelu": True}, "RN50": SMALL},
    )
    torch.manual_seed(0)
    return open_clip.create_model("ViT-L-14")


def activations(teacher: ClipTeacher) -> set[str]:
    return {type(part).__name__ for part in teacher.model.modules()} & {"GELU", "QuickGELU"}


def save(state: dict, path, form: str) -> str:
    path = path.with_suffix(".safetensors" if form == "safetensors" else ".pt")
    state = {name: value.clone() for name, value in state.items()}
    if form == "safetensors":
        save_file(state, path)
    elif form == "training":
        wrapped = {f"module.{name}": value for name, value in state.items()}
        torch.save({"epoch": 3, "name": "run", "state_dict": wrapped, "optimizer": {"state": {}}}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "plain")
    return str(path)


@pytest.mark.parametrize("form", ["safetensors", "plain", "legacy", "training"])
def test_every_form_of_file_holds_the_same_model(form, listed, tmp_path):
    teacher = ClipTeacher.load("ViT-L-14", save(listed.state_dict(), tmp_path / "clip", form))
    image = torch.randn(1, 3, 64, 64)
    expected = torch.nn.functional.normalize(listed.eval().encode_image(image), dim=-1)
    torch.testing.assert_close(teacher.encode_image(image), expected, atol=1e-5, rtol=1e-4)
    assert activations(teacher) == {"GELU"}


@pytest.mark.parametrize(
    ("model", "name", "quick", "mean"),
    [
        ("ViT-L-14", "laion2b_s32b_b82k", False, 0.5),  # the one tag of this model with other statistics
        ("ViT-L-14", "ViT-L-14-metaclip-400m", True, 0.4815),
        ("ViT-L-14", "DFN2B-CLIP-ViT-L-14", True, 0.4815),
        ("ViT-L-14", "DFN2B-CLIP-ViT-L-14-39B", False, 0.4815),
        ("ViT-L-14-quickgelu", "anything", True, 0.4815),
        ("RN50", "anything", True, 0.4815),  # all that were published of it have QuickGELU
    ],
)
def test_a_file_is_run_as_its_weights_were_trained(model, name, quick, mean, listed, tmp_path):
    teacher = ClipTeacher.load(model, save(listed.state_dict(), tmp_path / name, "safetensors"))
    assert activations(teacher) == {"QuickGELU" if quick else "GELU"}
    assert teacher.mean[0] == pytest.approx(mean, abs=1e-3)


def test_what_a_file_does_not_say_is_asked_for(listed, tmp_path, caplog):
    ClipTeacher.load("ViT-L-14", save(listed.state_dict(), tmp_path / "mine", "safetensors"))
    assert "set clip.model=ViT-L-14-quickgelu" in caplog.text


@pytest.mark.parametrize("form", ["half beside full", "archive"])
def test_openais_weights_are_known_by_themselves(form, listed, tmp_path):
    """As OpenAI published them: a TorchScript archive with three more entries; and its state dict."""
    open_clip.model.convert_weights_to_lp(listed, torch.float16)
    path = tmp_path / "weights.pt"
    if form == "archive":
        more = {
            "input_resolution": torch.tensor(64),
            "context_length": torch.tensor(16),
            "vocab_size": torch.tensor(49408),
        }
        torch.jit.save(torch.jit.script(as_script(listed.state_dict() | more, torch.nn.Module())), str(path))
    else:
        torch.save(listed.state_dict(), path)
    teacher = ClipTeacher.load("ViT-L-14", str(path))
    assert activations(teacher) == {"QuickGELU"}
    assert teacher.native_size == (64, 64)


def as_script(state: dict, module: torch.nn.Module) -> torch.nn.Module:
    """Modules within modules that hold these tensors under these names, as a script can be made of them."""
    for name, value in state.items():
        *path, last = name.split(".")
        place = module
        for part in path:
            if not hasattr(place, part):
                place.add_module(part, torch.nn.Module())
            place = getattr(place, part)
        place.register_buffer(last, value.clone())
    return module


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_gets_the_activation_it_was_trained_with(tag, listed, tmp_path, monkeypatch):
    path = save(listed.state_dict(), tmp_path / "fetched", "safetensors")
    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *_, **__: path)
    assert activations(ClipTeacher.load("ViT-L-14", tag)) == {"QuickGELU" if TAGS[tag] else "GELU"}


def under(prefix: str, state: dict) -> dict:
    return {prefix + name: value for name, value in state.items()}


WRAPPED = {  # kind -> a file of which the weights `w` are a part
    "compiled": lambda w: {"state_dict": under("_orig_mod.", w)},
    "compiled on several GPUs": lambda w: {"state_dict": under("module._orig_mod.", w)},
    "lightning": lambda w: {"state_dict": under("model.", w), "pytorch-lightning_version": "2"},
    "wrapped": lambda w: under("clip_model.", w),
    "model": lambda w: {"model": w, "epoch": 3},
    "model_state_dict": lambda w: {"model_state_dict": w},
    "ema": lambda w: {"ema": w, "model": {name: torch.zeros_like(value) for name, value in w.items()}},
    "numpy scalars": lambda w: {"epoch": np.int64(3), "loss": np.float64(0.5), "state_dict": w},
    "more": lambda w: w | {"head.weight": torch.zeros(3), "visual.head.weight": torch.zeros(2)},
    "a network": None,
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_weights_are_found_in_what_training_scripts_write(kind, listed, tmp_path, caplog):
    caplog.set_level("INFO", "ccd")
    wrap = WRAPPED[kind]
    torch.save(wrap(listed.state_dict()) if wrap else listed, tmp_path / "laion2b_s32b_b82k.pt")
    read = ClipTeacher.load("ViT-L-14", str(tmp_path / "laion2b_s32b_b82k.pt")).model.state_dict()
    for name, value in listed.state_dict().items():
        assert torch.equal(read[name], value), name
    if kind not in ("a network", "more"):
        assert "the weights are those under" in caplog.text
    if kind == "more":
        assert "has no part for head.weight, visual.head.weight" in caplog.text


def test_without_logit_scale_the_architectures_own_is_used_and_logged(listed, tmp_path, caplog):
    state = {name: value for name, value in listed.state_dict().items() if name != "logit_scale"}
    teacher = ClipTeacher.load("ViT-L-14", save(state, tmp_path / "clip", "safetensors"))
    assert teacher.logit_scale == pytest.approx(1 / 0.07)
    assert "has no logit_scale" in caplog.text


def test_positions_of_another_grid_and_context_length_are_resized(listed, tmp_path):
    state = listed.state_dict()
    state["visual.positional_embedding"] = torch.randn(1 + 7 * 7, 64)
    state["positional_embedding"] = torch.randn(32, 64)
    read = ClipTeacher.load("ViT-L-14", save(state, tmp_path / "clip", "safetensors")).model.state_dict()
    assert read["visual.positional_embedding"].shape == (17, 64)
    assert torch.equal(read["visual.positional_embedding"][0], state["visual.positional_embedding"][0])
    assert read["positional_embedding"].shape == (16, 64)


def only_visual(state: dict) -> dict:
    return {name: value for name, value in state.items() if name.startswith("visual")}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (only_visual, r"positional_embedding is missing, .*, and \d+ more like it"),
        (
            lambda w: {"visual.conv1.weight": torch.zeros(2, 3, 4, 4)},
            r"\[2, 3, 4, 4\], not \[64, 3, 16, 16\]",
        ),
        (lambda w: w | {"positional_embedding": torch.zeros(16, 8)}, r"is \[16, 8\], not \[16, 64\]"),
        (lambda w: w | {"visual.positional_embedding": torch.zeros(7, 64)}, r"\[7, 64\], not \[17, 64\]"),
        (lambda w: w | under("visual.transformer.resblocks.9.", {"ln_1.bias": torch.ones(1)}), "resblocks.9"),
        (lambda w: w | {"logit_scale": torch.ones(3)}, r"logit_scale is \[3\], not \[\]"),
        (lambda w: {name: value.char() for name, value in w.items()}, "as int8"),
        (lambda w: {name: value.cfloat() for name, value in w.items()}, "as complex64"),
        (
            lambda w: w | {"ln_final.weight": torch.full((64,), torch.nan)},
            "NaN or infinite .*: ln_final.weight",
        ),
        (lambda w: w | {"logit_scale": torch.tensor(100.0)}, r"logit_scale is 100, .*exp\(100\)"),
        (lambda w: w | {"logit_scale": torch.tensor(-3.0)}, "logit_scale is -3"),
        (lambda w: w | {"logit_scale": torch.tensor(torch.inf)}, "NaN or infinite .*: logit_scale"),
    ],
)
@pytest.mark.parametrize("openai", [False, True], ids=["open_clip", "openai"])
def test_weights_that_cannot_be_right_are_refused(change, sentence, openai, listed, tmp_path):
    """Also those of OpenAI, whose architecture comes from the file: what is missing is named as well."""
    state = change(listed.state_dict())
    if openai:
        state |= {"input_resolution": torch.tensor(64)}
        sentence = f"{sentence}|do not fit OpenAI's CLIP"
    with pytest.raises(UserError, match=sentence) as error:
        ClipTeacher.load("ViT-L-14", save(state, tmp_path / "clip", "safetensors"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_settings_of_transformers_beside_the_file_name_the_activation(activation, listed, tmp_path):
    settings = {"model_type": "clip", "vision_config": {"hidden_act": activation}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    pixels = {"image_mean": [0.5, 0.25, 0.125], "image_std": [0.5, 0.5, 0.5]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(pixels))
    teacher = ClipTeacher.load("ViT-L-14", save(listed.state_dict(), tmp_path / "model", "safetensors"))
    assert activations(teacher) == {"QuickGELU" if activation == "quick_gelu" else "GELU"}
    assert tuple(teacher.mean) == (0.5, 0.25, 0.125)


def test_folders_that_are_no_clip_are_one_sentence(listed, tmp_path):
    folder = tmp_path / "model"
    with pytest.raises(UserError, match="no such folder"):
        ClipTeacher.load(f"local-dir:{folder}")
    folder.mkdir()
    with pytest.raises(UserError, match=r"it has no open_clip_config\.json"):
        ClipTeacher.load(f"local-dir:{folder}")
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match="a folder of transformers"):
        ClipTeacher.load(f"local-dir:{folder}")
    with pytest.raises(UserError, match="is a folder"):
        ClipTeacher.load("ViT-L-14", str(folder))
    write_model(folder, *TOWERS["vit"][2:])
    assert ClipTeacher.load(f"local-dir:{folder}", "openai").native_size == (64, 64)  # the tag is for names
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"are missing; put open_clip_model\.safetensors beside"):
        ClipTeacher.load(f"local-dir:{folder}")
    (folder / "open_clip_config.json").write_text("[]")
    with pytest.raises(UserError, match="holds no model_cfg"):
        ClipTeacher.load(f"local-dir:{folder}")


class Harmful:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


@pytest.mark.parametrize("form", ["pickle", "zip", "folder"])
def test_a_pickle_is_not_executed(form, tmp_path):
    mark, model, pretrained = tmp_path / "harmed", "RN50", str(tmp_path / "clip.pt")
    if form == "pickle":
        (tmp_path / "clip.pt").write_bytes(pickle.dumps(Harmful(mark), protocol=2))
    elif form == "zip":
        torch.save({"state_dict": Harmful(mark)}, tmp_path / "clip.pt")
    else:
        model, pretrained = write_model(tmp_path / "model", *TOWERS["vit"][2:]), None
        (tmp_path / "model" / "open_clip_model.safetensors").unlink()
        torch.save({"state_dict": Harmful(mark)}, tmp_path / "model" / "open_clip_pytorch_model.bin")
    with pytest.raises(
        UserError, match=r"cannot be read safely|not a checkpoint that can be read safely|could not be loaded"
    ) as error:
        ClipTeacher.load(model, pretrained)
    assert "\n" not in str(error.value)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("model", "pretrained"),
    [("RN50", "openai"), ("ViT-B-16-SigLIP", "webli"), ("hf-hub:nobody/nothing", None)],
)
def test_without_a_network_it_fails_at_once(model, pretrained, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    began = time.monotonic()
    with pytest.raises(UserError, match="http://127.0.0.1:9 cannot be reached") as error:
        ClipTeacher.load(model, pretrained)
    assert time.monotonic() - began < 15
    assert "\n" not in str(error.value)
    assert constants.HF_HUB_OFFLINE is False


def test_a_missing_package_is_named(monkeypatch):
    def lacks(*_):
        raise ModuleNotFoundError("No module named 'transformers'")

    monkeypatch.setattr(open_clip, "get_tokenizer", lacks)
    with pytest.raises(UserError, match="pip install transformers"):
        clip_weights._tokenizer("ViT-B-16-SigLIP")
