"""The page Train without a browser: a form of every setting, checked before anything starts, and jobs."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from app.parts.train import data as train_data
from app.parts.train import settings as train_settings
from app.reading.readable_folders import refusals
from ccd_core.config import CCDConfig, load_config
from ccd_core.data.check import examine_dataset
from ccd_core.jobs import control
from ccd_core.machine.processes import this_process
from ccd_core.runs.run import Run


def labelled(elements, label):
    return next(element for element in elements if element.label == label)


def captions(test) -> str:
    return "\n".join(caption.value for caption in test.caption)


def test_every_setting_is_on_the_form_with_its_description(app):
    test = app("train")
    helps = "\n".join(
        widget.help or ""
        for kind in ("text_input", "number_input", "selectbox", "toggle")
        for widget in getattr(test, kind)
    )
    fields = train_settings.setting_fields()
    assert len(fields) > 35
    for name in fields:
        assert name == "preset_name" or name.startswith("data.spec") or f"`{name}`" in helps, name


@pytest.mark.parametrize("preset", ["demo", "paper", "reference", "best"])
def test_an_untouched_form_is_the_preset(app, preset):
    test = app("train", preset=preset)
    assert not test.exception
    commands = [code.value for code in test.code if code.value.startswith("ccd run")]
    if preset == "demo":
        assert commands and "--set" not in commands[0]
    else:
        assert test.button(key="start").disabled  # VOCdevkit is not here
        assert "VOCdevkit" in captions(test)


def test_a_changed_setting_is_in_the_command_and_a_link_carries_settings(app, tiny_run):
    test = app("train", **{"from": "tiny", "set": "labels.alpha=0.2;training.epochs=3"})
    assert not test.exception and labelled(test.number_input, "alpha").value == 0.2
    labelled(test.number_input, "seed").set_value(7).run()
    command, job = (
        next(code.value for code in test.code if code.value.startswith(words))
        for words in ("ccd run", "ccd jobs start")
    )
    words = command.split(" --set ")[1:]
    assert {"seed=7", "labels.alpha=0.2", "training.epochs=3"} <= {word.split(" --")[0] for word in words}
    assert "bias.floor" not in command and "--name" in job
    assert load_config("demo", None, [word.split(" --")[0].strip("'") for word in words]).seed == 7


def test_the_command_line_makes_the_same_settings(tiny_run):
    import shlex

    config = tiny_run.config.changed(views={"threshold": 0.3}, clip={"prompt": "a drawing of {}, isn't it"})
    words = shlex.split(train_settings.command_lines(config, Path("/w/name"))[0])
    changes = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    assert load_config("demo", None, changes).changed(data={"spec": config.data.spec}) == config


def test_forged_and_wrong_values_are_sentences_beside_their_fields(app):
    test = app("train")
    labelled(test.number_input, "CAM threshold").set_value(1.5).run()
    assert "less than 1" in captions(test) and test.button(key="start").disabled
    assert labelled(test.number_input, "CAM threshold").value == 1.5  # what was typed stays
    labelled(test.number_input, "CAM threshold").set_value(0.9).run()
    assert "less than 1" not in captions(test) and not test.button(key="start").disabled
    labelled(test.text_input, "backbone options").set_value("{a: [").run()
    assert "not YAML" in captions(test) and test.button(key="start").disabled
    labelled(test.text_input, "backbone options").set_value("{a: &a [1], b: [*a, *a]}").run()
    assert "anchors and aliases" in captions(test) and test.button(key="start").disabled
    forged = {"training.epochs": -3, "training.optimizer": "rm -rf", "labels.alpha": "0.1; ls"}
    config, problems = train_settings.checked(CCDConfig.preset("demo"), forged)
    assert config is None and set(problems) == set(forged)


def test_a_bad_data_set_and_a_bad_name_are_said_beside_the_field(app):
    test = app("train")
    labelled(test.text_input, "Data set").set_value("folder:/nowhere").run()
    assert "/nowhere" in captions(test) and test.button(key="start").disabled
    assert labelled(test.text_input, "Data set").value == "folder:/nowhere"
    labelled(test.text_input, "Data set").set_value("demo").run()
    labelled(test.text_input, "Run name").set_value("../outside").run()
    assert "letters, digits" in captions(test) and test.button(key="start").disabled
    labelled(test.text_input, "Run name").set_value("tiny").run()
    assert "something named tiny" in captions(test)


def photos(tiny_scenes, folder: Path) -> Path:
    """Six pictures, two classes, ground truth of four."""
    folder.mkdir()
    for number, path in enumerate(sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:6]):
        shutil.copy(path, folder / f"{number}.jpg")
    (folder / "classes.txt").write_text("house\ncar\n")
    (folder / "labels.csv").write_text("file,labels\n0.jpg,house\n1.jpg,house;car\n2.jpg,\n3.jpg,car\n")
    return folder


def test_the_data_set_is_looked_at_and_what_is_put_right_is_seen(app, tiny_scenes, tmp_path):
    folder = photos(tiny_scenes, tmp_path / "photos")
    (folder / "classes.txt").rename(folder / "names.txt")
    test = app("train", data=f"folder:{folder}")
    assert "no list of class names" in captions(test) and test.button(key="start").disabled
    (folder / "names.txt").rename(folder / "classes.txt")
    test.run()
    assert (
        "2 classes, 6 train, 4 val images, ground truth for scores" in captions(test)
        and not test.button(key="start").disabled
    )
    shown = next(table.value for table in test.dataframe if "published" in table.value.index)
    assert (
        shown.loc["classes an image"].tolist() == ["1.00", "1.00"]
        and shown.loc["without any class", "val"] == "1"
    )


def test_missing_parts_and_files_of_a_public_data_set_are_named(app, tmp_path):
    base = tmp_path / "VOCdevkit" / "VOC2007"
    (base / "ImageSets" / "Main").mkdir(parents=True)
    (base / "JPEGImages").mkdir()
    (base / "ImageSets" / "Main" / "trainval.txt").write_text("000001\n000002\n")
    test = app("train", data=f"voc2007:{tmp_path}")
    said = captions(test)
    assert "2 listed images of train cannot be found" in said and "5,011 are published" in said
    assert "comes with VOCtest_06-Nov-2007.tar" in said and "000002" in "".join(
        code.value for code in test.code
    )


def test_while_a_data_set_is_looked_at_the_page_says_so(app, tiny_scenes, tmp_path, monkeypatch):
    slow = threading.Event()
    monkeypatch.setattr(
        train_data, "examine_dataset", lambda *arguments: slow.wait(60) and examine_dataset(*arguments)
    )
    folder = photos(tiny_scenes, tmp_path / "photos")
    monkeypatch.setattr(train_data, "PATIENCE", 0)
    test = app("train", data=f"folder:{folder}")
    assert "Looking at the data set" in captions(test) and test.button(key="start").disabled
    slow.set()
    monkeypatch.setattr(train_data, "PATIENCE", 60)
    assert "6 train" in captions(test.run()) and not test.button(key="start").disabled


def test_a_shared_app_reads_its_roots_alone(app, tiny_run, tiny_scenes, tmp_path, monkeypatch):
    inside, outside = photos(tiny_scenes, tmp_path / "shared"), photos(tiny_scenes, tmp_path / "private")
    linked = photos(tiny_scenes, tmp_path / "linked")
    (linked / "link").symlink_to(outside)
    monkeypatch.setenv("CCD_SHARED", "1")
    monkeypatch.setenv("CCD_DATA", f"{inside}{os.pathsep}{linked}")
    assert "6 train" in captions(app("train", data=f"folder:{inside}"))
    with_a_link_out = app("train", data=f"folder:{linked}")
    assert "leads out of what is open" in captions(with_a_link_out)
    assert with_a_link_out.button(key="start").disabled
    for spec in (
        f"folder:{outside}",
        f"folder:{linked}/link",
        f"voc2012:{inside}/../private",
        f"demo:{outside}",
        "folder:~nobody-such/x",
    ):
        test = app("train", data=spec)
        assert "is not open to this app" in captions(test) or "is no path" in captions(test), spec
        assert not test.exception and test.button(key="start").disabled
    with_nul = app("train", data="folder:/a\0b")
    assert "a character that no name has" in " ".join(error.value for error in with_nul.error)
    assert not with_nul.exception
    for setting in (
        f"classifier.weights={outside}/w.safetensors",
        f"clip.pretrained={outside}/w.pt",
        f"clip.model=local-dir:{outside}",
    ):
        test = app("train", **{"from": "tiny", "set": setting, "data": "demo"})
        said = " ".join(warning.value for warning in test.warning)
        assert "does not open it" in said and "ccd app --data" in said, setting
        assert not test.exception and str(outside) not in captions(test), setting  # not taken from the link
    monkeypatch.setenv("CCD_SHARED", "")
    assert "6 train" in captions(app("train", data=f"folder:{outside}"))
    allowed = CCDConfig.preset("paper").changed(
        clip={"model": "hf-hub:timm/ViT-B-16-SigLIP", "pretrained": None}, data={"spec": "demo"}
    )
    assert not refusals(allowed)


def test_the_end_of_a_run_is_told_once(app, tiny_run, monkeypatch):
    run = Run.create(tiny_run.path.parent / "ending", tiny_run.config, tiny_run.classes)
    try:
        run.update_state(status="running", stage="views", **this_process())
        test = app("train")
        assert not test.toast
        run.update_state(status="finished")
        test.run()
        assert [toast.value for toast in test.toast] == ["**ending** finished."]
        assert not test.run().toast
    finally:
        shutil.rmtree(run.path)


def test_the_page_starts_a_job_and_shows_a_failed_one(app, tiny_run, monkeypatch):
    started = []
    monkeypatch.setattr(control, "start", lambda config, out, place, options: started.append((config, out)))
    test = app("train", **{"from": "tiny"})
    test.button(key="start").click().run()
    assert (
        not test.exception
        and started[0][0] == tiny_run.config
        and started[0][1].parent == tiny_run.path.parent
    )
    failed = Run.create(tiny_run.path.parent / "broken", tiny_run.config, tiny_run.classes)
    try:
        failed.update_state(status="failed", error="It broke.", stage="views")
        test = app("train", job="broken")
        assert any("It broke." in error.value for error in test.error) and test.button(key="resume_broken")
    finally:
        shutil.rmtree(failed.path)


def test_clip_is_asked_about_the_class_names_and_words_reach_the_settings(app, tiny_scenes, tmp_path):
    folder = photos(tiny_scenes, tmp_path / "photos")
    test = app("train", data=f"folder:{folder}")
    test.button(key="ask_names").click().run()
    assert not test.exception and not test.error
    assert "images" in captions(test) or "CLIP" in captions(test)
    [table] = [frame.value for frame in test.dataframe if "other words" in frame.value.columns]
    assert table["class"].tolist() == ["house", "car"]
    asked = test.session_state["names_asked"]
    test.session_state["names_asked"] = asked | {"words": {"car": ["automobile", "lorry"]}}
    test.run()
    test.button(key="use_names").click().run()
    assert labelled(test.text_input, "names").value == "{car: [automobile, lorry]}"
