"""`ccd classes`: what CLIP makes of the class names, before anything long starts."""

from __future__ import annotations

import json
import shutil

import pytest

from ccd_core.predict.server import NamesClient
from tests.support import tiny_config


@pytest.fixture
def folder(tiny_scenes, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:14]:
        shutil.copy(path, photos / path.name)
    (photos / "classes.txt").write_text("house\ntree\ncar\nfish\n")
    return photos


def test_twelve_images_and_every_class_are_shown_with_words_tried_at_once(ccd, folder):
    done = ccd("classes", folder, "--preset", "demo", "--name", "fish=kite, balloon")
    assert done.code == 0
    assert done.out.count("val_") == 12
    assert "kite, balloon" in done.out and "->" in done.out
    assert """--set 'clip.names={"fish": ["kite", "balloon"]}'""" in done.out


def test_the_same_for_programs_and_mistakes_as_sentences(ccd, folder):
    said = json.loads(ccd("classes", folder, "--preset", "demo", "--json").out)
    assert said["images"] == 14 and len(said["shown"]) == 12
    assert [len(image["top"]) for image in said["shown"]] == [3] * 12
    assert ccd("classes", folder, "--preset", "demo", "--name", "unicorn=horse").code == 2
    assert ccd("classes", folder, "--preset", "demo", "--set", "clip.model=RN5O").code == 2


def test_a_process_keeps_the_images_for_other_words(tiny_scenes):
    client = NamesClient()
    try:
        config = tiny_config(tiny_scenes).to_yaml()
        before = client.about(config, {})
        after = client.about(config, {before["classes"][0]: ["zebra"]})
        assert before["images"] == after["images"] and before["highest"] != after["highest"]
    finally:
        client.close()
