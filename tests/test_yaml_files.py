"""The one reader of YAML: settings read as always; what a stranger's file may hold is refused at once."""

from __future__ import annotations

import os
import time

import pytest
import yaml

from ccd_core.config import PRESETS, CCDConfig, load_config
from ccd_core.errors import UserError
from ccd_core.runs.run import Run
from ccd_core.yaml_files import MOST_BYTES, MOST_DEPTH, NotYaml, parse_yaml, read_yaml
from tests.support import ROOT

BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
)
REFUSED = [
    (BOMB, "anchors and aliases"),
    ("{a: &x 1}", "anchors and aliases"),
    ("a: *x", "anchors and aliases"),
    ("[" * 100_000, "nesting depth|nested more than"),
    ("- " * 3000 + "x", "nested more than"),
    ("9" * 5000, "more than 18 digits"),
    ("-" + "9" * 19, "more than 18 digits"),
    ("9" * 400 + ".0", "no number that a setting can have"),
    (".nan", "no number that a setting can have"),
    ("-.inf", "no number that a setting can have"),
    ("1:30", "base of 60"),
    ("12:30:45.6", "base of 60"),
    ("0777", "would be 511, a number to the base of 8"),
    ("{seed: 1, seed: 2}", "line 1: 'seed' is there twice"),
    ("a: 1\nb: 2\na: 3", "line 3: 'a' is there twice"),
    ("? [a, b]\n: 1", "is one word"),
    ("!!python/object/apply:os.system [true]", "types (.*) are not read"),
    ("!!binary aGVsbG8=", "types (.*) are not read"),
    ("a\n---\nb", "a second document"),
    ("a: [1", "did not find expected"),
    ("a: b: c", "line 1: mapping values are not allowed"),
    ("\x00", "not allowed"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED, ids=range(len(REFUSED)))
def test_what_settings_do_not_need_is_refused_in_one_sentence_at_once(text, sentence, tmp_path):
    began = time.monotonic()
    with pytest.raises(NotYaml, match=sentence) as error:
        parse_yaml(text, MOST_BYTES)
    assert time.monotonic() - began < 2
    assert "\n" not in str(error.value) and len(str(error.value)) < 250
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"mine\.yaml is not YAML: .*({sentence})"):
        load_config("demo", tmp_path / "mine.yaml")


def test_settings_of_all_kinds_are_read_as_before():
    configs = [*ROOT.glob("tests/old_run/*/config.yaml"), ROOT / "assets" / "demo_run" / "config.yaml"]
    texts = [path.read_text() for path in configs]
    for preset in PRESETS:
        texts += [CCDConfig.preset(preset).to_yaml(), CCDConfig.preset(preset).explained()]
    texts += ["", "~", "true", "Yes", "1_000", "0x1f", "0b11", "007", "-.5", "1.5e+3", "'1:30'", "- a\n- 2"]
    for text in texts:
        assert parse_yaml(text) == yaml.safe_load(text)
        assert parse_yaml("\ufeff" + text) == parse_yaml(text)
    assert len(texts) > 20


def test_names_stay_what_was_written():
    """YAML 1.1 would make a date of a folder's name, and false of a class that is called no."""
    assert parse_yaml("2026-01-02") == "2026-01-02"
    assert parse_yaml("{no: norway, 1: one, 2026-01-02: day}") == {
        "no": "norway",
        "1": "one",
        "2026-01-02": "day",
    }
    odd = {
        "spec": "folder:/caf\udce9",
        "classes": ["no", "1:30", "07", "*star", "&", "é", "a\nb", "2026-01-02"],
    }
    assert parse_yaml(yaml.safe_dump(odd, allow_unicode=True)) == odd


def test_depth_and_length_have_limits_beyond_what_anybody_writes():
    assert parse_yaml("[" * MOST_DEPTH + "]" * MOST_DEPTH)
    with pytest.raises(NotYaml, match="200,000 characters; at most 100,000"):
        parse_yaml("x" * 200_000)
    names = [f"class number {number}" for number in range(20_000)]
    began = time.monotonic()
    assert parse_yaml(yaml.safe_dump(names), MOST_BYTES) == names
    assert time.monotonic() - began < 3


def test_files_that_are_not_ordinary_or_not_text(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "latin.yaml").write_bytes("a: café".encode("latin-1"))
    with open(tmp_path / "large.yaml", "wb") as file:
        file.truncate(MOST_BYTES + 1)
    for path, sentence in (
        (tmp_path, "it is a folder"),
        (tmp_path / "pipe.yaml", "it is no ordinary file"),
        ("/dev/zero", "it is no ordinary file"),
        (tmp_path / "latin.yaml", "it is not UTF-8 text"),
        (tmp_path / "large.yaml", "more than 8 megabytes"),
        (tmp_path / "nobody.yaml", "cannot be read: No such file"),
    ):
        with pytest.raises(UserError, match=sentence):
            read_yaml(path)


@pytest.mark.parametrize(
    "text", [text for text, _ in REFUSED] + ["[]", "{}", "recorded: 5", "recorded: {classes: 5}"]
)
def test_a_run_with_such_a_config_is_damaged(text, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml is damaged"):
        Run.open(tmp_path)


def test_set_takes_what_a_file_takes():
    for change, sentence in (
        ("classifier.backbone_options={a: &x [1], b: *x}", "anchors and aliases"),
        ("seed=" + "9" * 5000, "more than 18 digits"),
        ("data.spec=1:30", "base of 60"),
        ("a." * 5000 + "b=1", "there is no setting"),
        ("a..b=1", "takes KEY=VALUE"),
    ):
        with pytest.raises(UserError, match=sentence) as error:
            load_config("demo", None, [change])
        assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("labels.alpha=nan", "labels.alpha"),
        ("views.threshold=.nan", "no number"),
        ("views.threshold=inf", "views.threshold"),
        ("training.learning_rate=inf", "training.learning_rate"),
        ("training.learning_rate=true", "training.learning_rate: is a number, not true"),
        ("seed=false", "seed: is a number, not false"),
        ("seed=1e23", "seed: "),
        ("seed=99999999999999999", "seed: input should be less than or equal to 9000000000000"),
        ("seed=2026-99-99", "seed: input should be a valid integer"),
        ("clip.size=1000000000", "clip.size: input should be less than or equal to 8192"),
        ("clip.size=640.5", "clip.size"),
        ("clip.round_to=true", "clip.round_to: is a number"),
        ("views.threshold={between: [6, 4]}", "the first number is below the second"),
        ("views.threshold={between: [-1, 4]}", "neither is below zero"),
        ("views.threshold={mean_views: true}", "is a number, not true"),
        ("views.threshold={step: 1e-300}", "views.threshold.step"),
        ("none_images.threshold=true", "none_images.threshold: is a number"),
        ("training.batch_size=1000000000", "training.batch_size"),
        ('data.spec="folder:a\\0b"', "data.spec: has a character that no name has"),
    ],
)
def test_numbers_that_cannot_be_right_are_refused_where_they_enter(change, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        load_config("demo", None, [change])
    assert "\n" not in str(error.value)


def test_numbers_that_are_right_stay():
    config = load_config(
        "demo",
        None,
        [
            "seed=9000000000000",
            "training.learning_rate=1e-4",
            "labels.alpha=1",
            "clip.size=8192",
            "clip.round_to=null",
        ],
    )
    assert config.seed == 9 * 10**12 and config.training.learning_rate == 1e-4
    with pytest.raises(UserError, match="a number in it is not finite"):
        config.changed(classifier={"backbone_options": {"a": [{"b": float("nan")}]}})
