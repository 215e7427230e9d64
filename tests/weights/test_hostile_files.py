"""Hostile files of every kind, through every door that reads files: no code of theirs runs."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import pickle
import resource
import struct
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ccd_core.clip.teacher import ClipTeacher
from ccd_core.config import CCDConfig, load_config
from ccd_core.errors import UserError
from ccd_core.files import read_arrays
from ccd_core.method.classifier import CamClassifier, make_classifier
from ccd_core.settings.sections import ClassifierSettings
from ccd_core.training.checkpoint import load_checkpoint, load_model_weights
from ccd_core.weights.files import read_weights
from tests.clip.small_models import TOWERS, write_model


class Opens:
    """A pickle that creates the file `mark` when it is run."""

    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self):
        return (open, (self.mark, "w"))


class CallsByName(Opens):
    """The same through getattr, as enumerations and methods are pickled."""

    def __reduce__(self):
        return (getattr(Path(self.mark), "touch"), ())  # noqa: B009 - so that pickle keeps the getattr


class SetsState(nn.Module):
    """TorchScript whose state is restored by code: it maps the file `mark` and writes to it."""

    def __init__(self, mark: Path):
        super().__init__()
        self.mark = str(mark)
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return (self.mark, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.mark = state[0]
        self.training = state[1]
        self.weight = torch.zeros(3)
        torch.from_file(state[0], True, 64, dtype=torch.uint8).fill_(7)


def torchscript(path: Path, mark: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(SetsState(mark)), str(path))


@functools.cache
def packed() -> bytes:
    """A zip of a few hundred kB that unpacks to 400 MB."""
    plain, small = io.BytesIO(), io.BytesIO()
    torch.save({"weight": torch.zeros(10**8, dtype=torch.float32)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return small.getvalue()


def described(path: Path, _mark: Path) -> None:
    """Tensors of a terabyte that share one number."""
    torch.save({f"weight{n}": torch.zeros(1).expand(10**6, 10**5) for n in range(3)}, path)


def without_end(path: Path, _mark: Path) -> None:
    """A dictionary in a dictionary, each twice: 2^60 names in a kilobyte."""
    inner: dict = {"weight": torch.zeros(1)}
    for _ in range(60):
        inner = {"a": inner, "b": inner}
    torch.save(inner, path)


def itself(path: Path, _mark: Path) -> None:
    """A dictionary that holds itself."""
    content: dict = {"weight": torch.zeros(1)}
    content["again"] = content
    torch.save(content, path)


def changes_the_reader(path: Path, mark: Path) -> None:
    """State for functions and classes instead of objects, and a tuple of tuples as a name."""
    steps = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x08\x00\x00\x00__code__K\x01s\x86b0"
    steps += b"ccollections\nOrderedDict\nN}X\x0c\x00\x00\x00__setstate__K\x01s\x86b0"
    steps += b"cbuiltins\nexec\n(X\x01\x00\x00\x001tR0" + b"(" + b"(" * 3 + b"ttt" + b"t" + b"."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", steps)


def npy(path: Path, mark: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.array([Opens(mark)], dtype=object), allow_pickle=True)


def npz(path: Path, mark: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, ids=np.array([Opens(mark)], dtype=object))


def huge_header(path: Path, _mark: Path) -> None:
    path.write_bytes(struct.pack("<Q", 90 * 2**20) + b'{"a":' + b"[" * 10_000)


FILES = {  # kind -> what writes it
    "torchscript": torchscript,
    "pickle": lambda path, mark: path.write_bytes(pickle.dumps(Opens(mark), protocol=2)),
    "pickle of protocol 0": lambda path, mark: path.write_bytes(pickle.dumps(Opens(mark), protocol=0)),
    "pickle of protocol 5": lambda path, mark: path.write_bytes(pickle.dumps(Opens(mark), protocol=5)),
    "getattr": lambda path, mark: torch.save({"state_dict": CallsByName(mark)}, path),
    "checkpoint": lambda path, mark: torch.save({"state_dict": Opens(mark)}, path),
    "old checkpoint": lambda path, mark: torch.save(
        {"state_dict": Opens(mark)}, path, _use_new_zipfile_serialization=False
    ),
    "beside weights": lambda path, mark: torch.save({"conv1.weight": torch.zeros(1), "x": Opens(mark)}, path),
    "subclass": lambda path, mark: torch.save(OrderedDict(a=Opens(mark)), path),
    "npy": npy,
    "npz": npz,
    "bomb": lambda path, _: path.write_bytes(packed()),
    "terabyte": described,
    "without end": without_end,
    "itself": itself,
    "changes the reader": changes_the_reader,
    "huge header": huge_header,
}
SUFFIXES = [".pt", ".safetensors", ".ckpt"]


@pytest.fixture(scope="module")
def folder_of_clip(tmp_path_factory):
    """A CLIP in a folder, without its weights."""
    folder = tmp_path_factory.mktemp("clip") / "model"
    write_model(folder, *TOWERS["vit"][2:])
    (folder / "open_clip_model.safetensors").unlink()
    return folder


def in_folder(path: Path, folder: Path) -> None:
    place = folder / "open_clip_pytorch_model.bin"
    place.write_bytes(path.read_bytes())
    try:
        ClipTeacher.load(f"local-dir:{folder}")
    finally:
        place.unlink()


def as_a_shard(path: Path) -> None:
    index = path.with_name("model.index.json")
    index.write_text(json.dumps({"weight_map": {"conv1.weight": path.name}}))
    read_weights(index)


DOORS = {
    "read": lambda path, _: read_weights(path),
    "shard": lambda path, _: as_a_shard(path),
    "clip": lambda path, _: ClipTeacher.load("ViT-S-32-alt", str(path)),
    "unlisted clip": lambda path, _: ClipTeacher.load("mine", str(path)),
    "folder of a clip": in_folder,
    "resnet": lambda path, _: CamClassifier("resnet18", 3, str(path)),
    "timm": lambda path, _: CamClassifier("timm:test_resnet", 3, str(path)),
}


@pytest.mark.parametrize("kind", FILES)
def test_no_hostile_file_runs_code_or_fills_the_memory(kind, tmp_path, folder_of_clip):
    """Every door either reads the file as data or says in one sentence why it does not."""
    mark = tmp_path / "mark"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for suffix in SUFFIXES:
        path = tmp_path / f"file{suffix}"
        FILES[kind](path, mark)
        mark.unlink(missing_ok=True)  # scripting and saving may touch it, reading may not
        before = max(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        for door in DOORS.values():
            try:
                door(path, folder_of_clip)
            except UserError as error:
                assert "\n" not in str(error) and "weights_only" not in str(error)
            assert not mark.exists()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 * 1024, f"{grown // 1024} MB more than before"


@pytest.mark.parametrize("kind", ["torchscript", "pickle", "checkpoint", "npy", "npz"])
def test_the_other_readers_run_no_code(kind, tmp_path):
    """Arrays of a run, its checkpoints, and files of settings."""
    mark, path = tmp_path / "mark", tmp_path / "file.npz"
    FILES[kind](path, mark)
    mark.unlink(missing_ok=True)
    for reader in (read_arrays, load_checkpoint, load_model_weights, CCDConfig.from_yaml):
        with contextlib.suppress(Exception):  # each has its own kind; here it matters what they do not do
            reader(path)
        assert not mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:builtins.open ['{mark}', 'w']",
        "seed: !!python/object/apply:os.system ['touch {mark}']",
        "clip: {{model: !!python/name:os.system}}",
        "clip: !!python/object/new:type {{args: [x, !!python/tuple [], {{}}]}}",
    ],
)
def test_yaml_makes_no_objects(text, tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "settings.yaml").write_text(text.format(mark=mark))
    with pytest.raises(UserError):
        load_config(config_file=tmp_path / "settings.yaml")
    with pytest.raises(UserError):
        load_config(changes=[f"seed={text.format(mark=mark)}"])
    assert not mark.exists()


def clip_folder(folder: Path, **text) -> str:
    """A CLIP in a folder whose settings have more entries for the text tower, or for the image tower."""
    name = write_model(folder, *TOWERS["vit"][2:])
    path = folder / "open_clip_config.json"
    settings = json.loads(path.read_text())
    for part, values in text.items():
        settings["model_cfg"][part] |= values
    path.write_text(json.dumps(settings))
    return name


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}}, "trust_remote_code"),
        ({"text_cfg": {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}}, "bpe_path"),
        ({"text_cfg": {"hf_tokenizer_name": "/tmp/tokenizer"}}, "hf_tokenizer_name"),
        ({"text_cfg": {"hf_model_name": "../model"}}, "hf_model_name"),
        ({"vision_cfg": {"timm_model_name": "hf-hub:somebody/model"}}, "timm_model_name"),
        ({"vision_cfg": {"timm_model_name": "local-dir:/tmp/model"}}, "timm_model_name"),
        ({"vision_cfg": {"layers": 10**9}}, "layers"),
        ({"text_cfg": {"vocab_size": 10**12}}, "vocab_size"),
        ({"text_cfg": {"width": -3}}, "width"),
    ],
)
def test_settings_of_a_clip_in_a_folder_reach_for_nothing_else(settings, said, tmp_path):
    with pytest.raises(UserError, match=said):
        ClipTeacher.load(clip_folder(tmp_path / "model", **settings))


def test_a_tokenizer_of_a_folder_may_not_bring_code(tmp_path, monkeypatch):
    import sys
    import types

    asked = {}

    class AutoTokenizer:
        @staticmethod
        def from_pretrained(name, **options):
            asked.update(options)
            raise ValueError("needs code")

    transformers = types.ModuleType("transformers")
    transformers.AutoTokenizer = AutoTokenizer
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    name = clip_folder(tmp_path / "model", text_cfg={"hf_tokenizer_name": "somebody/tokenizer"})
    with pytest.raises(UserError, match="tokenizer of CLIP .* could not be loaded: needs code"):
        ClipTeacher.load(name)
    assert asked["trust_remote_code"] is False


@pytest.mark.parametrize(
    "option",
    [
        "cache_dir",
        "checkpoint_path",
        "features_only",
        "global_pool",
        "in_chans",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "scriptable",
    ],
)
@pytest.mark.parametrize("backbone", ["timm:test_resnet", "resnet18"])
def test_options_of_a_backbone_load_no_files(option, backbone, tmp_path):
    mark, path = tmp_path / "mark", tmp_path / "file.pt"
    torch.save({"state_dict": Opens(mark)}, path)
    with pytest.raises(UserError, match=option):
        CamClassifier(backbone, 3, **{option: str(path)})
    assert not mark.exists()


@pytest.mark.parametrize("option", ["backbone", "cam_boost", "num_classes", "sizes", "weights"])
def test_options_of_a_backbone_take_no_other_setting_s_place(option):
    settings = ClassifierSettings(backbone="resnet18", weights=None, backbone_options={option: 3})
    with pytest.raises(UserError, match=option):
        make_classifier(settings, 3)


def test_names_of_backbones_reach_for_no_other_place():
    for name in (
        "timm:hf-hub:somebody/model",
        "timm:local-dir:/tmp/model",
        "timm:resnet18.hf-hub:somebody/model",
    ):
        with pytest.raises(UserError, match="timm has no model"):
            CamClassifier(name, 3)


def test_the_reader_of_good_files_is_not_changed_by_hostile_ones(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "good.safetensors")
    torch.save({"weight": torch.ones(2)}, tmp_path / "good.pt")
    changes_the_reader(tmp_path / "hostile.pt", tmp_path / "mark")
    with pytest.raises(UserError):
        read_weights(tmp_path / "hostile.pt")
    for name in ("good.pt", "good.safetensors"):
        assert torch.equal(read_weights(tmp_path / name)["weight"], torch.ones(2))
