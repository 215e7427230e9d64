"""What CLIP is told of a class, and what its answers mean where it was not trained with a softmax."""

from __future__ import annotations

import pytest

from ccd_core.config import CCDConfig, load_config
from ccd_core.errors import UserError
from ccd_core.settings.prompts import prompts_of, templates

CLASSES = ("cat", "tvmonitor")


def test_every_template_with_every_name():
    said = prompts_of(CLASSES, ["a {}", "the {} of {}"], {"tvmonitor": ["tv monitor", "television"]})
    assert said == [
        ["a cat", "the cat of cat"],
        ["a tv monitor", "the tv monitor of tv monitor", "a television", "the television of television"],
    ]
    assert prompts_of(CLASSES, "a {}", {"cat": "kitten"}) == [["a kitten"], ["a tvmonitor"]]


@pytest.mark.parametrize(("name", "count"), [("imagenet7", 7), ("imagenet80", 80)])
def test_openais_sets_are_templates(name, count):
    assert len(templates(name)) == count
    assert all("{}" in template for template in templates(name))


@pytest.mark.parametrize(
    "change",
    [
        "clip.prompt=a photo",
        'clip.prompt=["a {}", "b"]',
        "clip.prompt=[]",
        "clip.prompt=3",
        "clip.names={cat: 3}",
    ],
)
def test_a_wrong_prompt_is_said_before_anything_runs(change):
    with pytest.raises(UserError, match="prompt|clip.names") as error:
        load_config("demo", changes=[change])
    assert "\n" not in str(error.value)


def test_prompts_are_set_in_one_line_and_written_to_yaml(tmp_path):
    changes = ['clip.prompt=["a {}", "the {}"]', "clip.names={tvmonitor: [tv monitor, television]}"]
    config = load_config("demo", changes=changes)
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    again = CCDConfig.from_yaml(tmp_path / "config.yaml").clip
    assert (again.prompt, again.names) == (["a {}", "the {}"], {"tvmonitor": ["tv monitor", "television"]})
