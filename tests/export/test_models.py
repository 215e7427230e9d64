"""Exported models give the numbers of the run's classifier, in the runtimes that they are made for."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ccd_core.data.decoding.images import read_image, resize
from ccd_core.evaluation import thresholds
from ccd_core.export import export_run
from ccd_core.files import write_arrays
from ccd_core.predict.predictor import Predictor
from tests.support import ROOT

SAME = 1e-4  # of logits


@pytest.fixture(scope="module")
def images(tiny_scenes):
    return sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:5]


@pytest.fixture(scope="module")
def pixels(tiny_run, images) -> np.ndarray:
    """uint8 [5, 3, S, S], prepared as preprocessing.json says."""
    size = tiny_run.config.classifier.image_size
    return np.stack([resize(read_image(path), size, size).transpose(2, 0, 1) for path in images])


@pytest.fixture(scope="module")
def truth(tiny_run, pixels) -> tuple[np.ndarray, np.ndarray]:
    """Logits [5, C] and maps [5, C, h, w] of the run's own classifier."""
    from ccd_core.clip.teacher import normalise

    with torch.inference_mode():
        logits, cam = Predictor(tiny_run, "cpu").model(normalise(torch.from_numpy(pixels)), return_cam=True)
    return logits.numpy(), cam.numpy()


def test_onnx_gives_the_logits_and_maps_of_pytorch_for_any_batch(exported, pixels, truth, tiny_run):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    path = exported("onnx") / "model.onnx"
    onnx.checker.check_model(path, full_check=True)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_outputs()] == ["logits", "cam"]
    assert session.get_inputs()[0].shape[0] == "batch"
    for count in (1, 2, 5):
        logits, cam = session.run(None, {"pixels": pixels[:count]})
        assert np.abs(logits - truth[0][:count]).max() < SAME
        np.testing.assert_allclose(cam, truth[1][:count], rtol=1e-4, atol=SAME)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == list(tiny_run.classes)
    assert "bilinear" in facts["preprocessing"]
    beside = json.loads((exported("onnx") / "preprocessing.json").read_text())
    assert beside["input"] == json.loads(facts["preprocessing"])


def test_the_documented_preprocessing_needs_only_pillow(exported, images, truth):
    """Somebody who reads preprocessing.json alone gets nearly the same pixels, and so the same logits."""
    runtime = pytest.importorskip("onnxruntime")
    size = json.loads((exported("onnx") / "preprocessing.json").read_text())["input"]["shape"][-1]
    picture = Image.open(images[0]).convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    session = runtime.InferenceSession(exported("onnx") / "model.onnx", providers=["CPUExecutionProvider"])
    logits, _ = session.run(None, {"pixels": np.asarray(picture).transpose(2, 0, 1)[None]})
    assert np.abs(logits[0] - truth[0][0]).max() < 1e-3


def test_a_torch_program_runs_without_this_project(exported, pixels, truth, tmp_path):
    folder = exported("torch")
    np.save(tmp_path / "pixels.npy", pixels)
    code = (
        "import sys, json, numpy, torch\n"
        "extra = {'preprocessing.json': ''}\n"
        "program = torch.export.load(sys.argv[1], extra_files=extra)\n"
        "logits, cam = program.module()(torch.from_numpy(numpy.load(sys.argv[2])))\n"
        "assert 'ccd_core' not in sys.modules and json.loads(extra['preprocessing.json'])['classes']\n"
        "numpy.save(sys.argv[3], logits.detach().numpy())\n"
    )
    files = [folder / "model.pt2", tmp_path / "pixels.npy", tmp_path / "logits.npy"]
    command = [sys.executable, "-c", code, *map(str, files)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert np.abs(np.load(tmp_path / "logits.npy") - truth[0]).max() < SAME


def test_a_folder_for_the_hub_opens_as_a_predictor(exported, images, tiny_run, limits):
    folder = exported("huggingface")
    opened = Predictor.from_pretrained(folder, "cpu")
    ours = Predictor(tiny_run, "cpu")
    for one, other in zip(opened.predict(images), ours.predict(images), strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
    assert opened.classes == tiny_run.classes
    assert opened.thresholds.values == limits.values
    assert opened.attend(images[0], [0], clip=False)["cam"]


def test_the_hubs_own_library_reads_the_model_card(exported, tiny_run):
    from huggingface_hub import ModelCard
    from safetensors import safe_open

    folder = exported("huggingface")
    card = ModelCard.load(folder / "README.md")
    assert card.data.pipeline_tag == "image-classification" and card.data.library_name == "ccd"
    assert all(f"## {title}" in card.text for title in ("Use", "Data", "Settings", "Metrics", "Limits"))
    assert f"{tiny_run.load_scores_of('val')['mAP']:.1f} %" in card.text
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert weights.metadata() == {"format": "pt"}
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"]["0"] == tiny_run.classes[0]


def test_a_model_without_clip_has_thresholds_and_scores_of_its_own(tiny_run, copied_run, tmp_path):
    run = copied_run()
    for split in ("train", "val"):
        arrays = run.load_scores(split)
        blended = 0.5 * arrays["scores"] + 0.5
        write_arrays(
            run.file("scores", f"{split}.npz"),
            **arrays | {"scores": blended} | {"classifier": arrays["scores"]},
        )
    report = json.loads(run.file("scores", "ap.json").read_text())
    own = report["val"] | {"mAP": 12.3}
    run.file("scores", "ap.json").write_text(json.dumps(report | {"classifier": {"val": own}}))
    run.file("thresholds.json").unlink()
    folder = export_run(run, "huggingface", tmp_path / "out")
    found = Predictor.from_pretrained(folder, "cpu").thresholds
    assert found.values == thresholds.choose_without_labels(tiny_run).values
    assert found.values != thresholds.in_use(run).values
    assert "12.3 %" in (folder / "README.md").read_text()


def test_a_folder_for_the_hub_tells_nothing_of_this_machine(exported, tiny_run, tiny_scenes):
    assert "host" in tiny_run.recorded
    for name in ("config.json", "README.md", "export.json", "preprocessor_config.json"):
        text = (exported("huggingface") / name).read_text()
        assert str(tiny_scenes) not in text and str(ROOT) not in text and '"host"' not in text


def test_names_cannot_break_out_of_a_model_card():
    from ccd_core.export.models.model_card import markdown

    assert markdown("a|b\n# <script>`x`") == r"a\|b \# \<script\>\`x\`"


@pytest.mark.parametrize(
    ("place", "said"),
    [("nowhere at all", "no folder"), ("nobody/no-such-model", "cannot be reached")],
)
def test_what_cannot_be_opened_is_one_sentence_within_seconds(place, said, monkeypatch, tmp_path):
    import time

    from huggingface_hub import constants

    from ccd_core.errors import UserError

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(UserError, match=said):
        Predictor.from_pretrained(place)
    assert time.monotonic() - began < 10


def test_a_hub_id_goes_through_the_hubs_client(exported, monkeypatch, images):
    import huggingface_hub

    from ccd_core.predict import pretrained

    asked = {}

    def download(model, **options):
        asked.update(model=model, **options)
        return str(exported("huggingface"))

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(pretrained, "_answers", lambda endpoint: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    opened = Predictor.from_pretrained("me/my-model", "cpu", revision="v1")
    assert opened.predict(images[:1])[0].scores is not None
    assert asked["model"] == "me/my-model" and asked["revision"] == "v1"
    assert "model.safetensors" in asked["allow_patterns"] and not asked["local_files_only"]


@pytest.mark.parametrize("content", ["{", "[]", '{"id2label": {}}', '{"id2label": {"0": "a"}, "ccd": 3}'])
def test_a_damaged_config_is_one_sentence(content, exported, tmp_path):
    import shutil

    from ccd_core.errors import UserError

    folder = tmp_path / "model"
    shutil.copytree(exported("huggingface"), folder)
    (folder / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"damaged|no model of ccd"):
        Predictor.from_pretrained(folder)


@pytest.mark.parametrize("to", ["onnx", "torch", "huggingface"])
def test_a_run_without_a_model_is_one_sentence(to, copied_run, tmp_path):
    from ccd_core.errors import UserError

    run = copied_run()
    run.file("checkpoints", "best.safetensors").unlink()
    with pytest.raises(UserError, match="no trained model"):
        export_run(run, to, tmp_path / "out")
    assert not list(tmp_path.glob("*out*")) and not list(tmp_path.glob(".out*"))


def test_models_need_no_data_set(copied_run, tmp_path):
    import shutil

    run = copied_run()
    shutil.rmtree(run.file("scores"))
    export_run(run, "huggingface", tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()
