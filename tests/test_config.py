"""Settings: from files and from the command line, and sentences for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from annotated_types import Le, Lt
from pydantic import BaseModel

from ccd_core.config import PRESETS, CCDConfig, build_recorded, load_config
from ccd_core.errors import UserError


@pytest.mark.parametrize("name", PRESETS)
def test_yaml_there_and_back(name, tmp_path):
    config = CCDConfig.preset(name)
    for text in (config.to_yaml(), config.explained()):
        (tmp_path / "config.yaml").write_text(text)
        assert CCDConfig.from_yaml(tmp_path / "config.yaml") == config


def test_changes_override_file_and_preset(tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: 3\nlabels: {alpha: 0.3}\n")
    config = load_config(
        "demo",
        tmp_path / "mine.yaml",
        ["labels.alpha=0.1", "training.learning_rate=1e-4", "views.threshold=0.5"],
    )
    assert (config.seed, config.labels.alpha, config.training.learning_rate, config.views.threshold) == (
        3,
        0.1,
        1e-4,
        0.5,
    )
    assert load_config("demo", None, ["views.threshold={mean_views: 3}"]).views.threshold.mean_views == 3


def test_the_rule_for_the_view_threshold_and_the_backbone_options_are_replaced_as_a_whole():
    search = {"between": [3.0, 5.0], "images": 50}
    config = CCDConfig.preset("paper").changed(classifier={"backbone_options": {"a": 1}})
    changed = config.changed(views={"threshold": search}, classifier={"backbone_options": {"b": 2}})
    assert config.views.threshold.mean_views == 10 and changed.views.threshold.between == (3, 5)
    assert changed.classifier.backbone_options == {"b": 2}


def test_other_names_of_classes_are_added_to_those_before():
    config = CCDConfig.preset("paper").changed(clip={"names": {"cat": "tomcat"}})
    names = config.changed(clip={"names": {"dog": "hound"}}).clip.names
    assert names == {"cat": "tomcat", "dog": "hound"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("clip.sise=3", "there is no setting clip.sise"),
        ("labels.alpha=2", r"setting labels.alpha: .* \(got 2\)"),
        ("labels.alpha", "takes KEY=VALUE"),
        ("bias.mode=sometimes", "setting bias.mode"),
    ],
)
def test_what_is_wrong_is_one_sentence(change, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        load_config("demo", None, [change])
    assert "\n" not in str(error.value)


def test_files_that_are_no_settings(tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(UserError, match="is not YAML"):
        CCDConfig.from_yaml(tmp_path / "broken.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        CCDConfig.from_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(UserError, match="no preset 'papre'"):
        CCDConfig.preset("papre")


def test_backbone_options_load_no_files():
    with pytest.raises(UserError, match=r"checkpoint_path would load files"):
        CCDConfig.preset("paper").changed(
            classifier={"backbone": "timm:resnet18", "backbone_options": {"checkpoint_path": "weights.pt"}}
        )


def test_a_run_without_the_setting_of_folded_norms_did_not_fold_them():
    values = CCDConfig.preset("demo").model_dump(mode="json")
    assert build_recorded(values)[0].clip.fold_norms
    del values["clip"]["fold_norms"]
    assert not build_recorded(values)[0].clip.fold_norms


def test_every_number_has_a_largest_value():
    def unbounded(section: type[BaseModel], above: str = "") -> Iterator[str]:
        for name, field in section.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from unbounded(field.annotation, f"{above}{name}.")
            elif field.annotation in (int, float) and not any(
                isinstance(bound, Le | Lt) for bound in field.metadata
            ):
                yield above + name

    assert list(unbounded(CCDConfig)) == []
    with pytest.raises(UserError, match=r"frozen_below: input should be less than or equal to 1000000000"):
        CCDConfig.preset("demo").changed(classifier={"frozen_below": 10**17})
