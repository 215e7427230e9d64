"""Presets: every setting of the method has its source, and the defaults are the paper's."""

from __future__ import annotations

from ccd_core.config import CCDConfig, differences
from ccd_core.settings.presets import BEST, TABLE


def test_every_setting_of_the_method_has_its_source():
    paper = CCDConfig.preset("paper").model_dump()
    named = {name for name, *_ in TABLE}
    for section in ("bias", "classifier", "views", "labels", "training"):
        missing = {f"{section}.{key}" for key in paper[section]} - named
        assert missing <= {"classifier.backbone_options"}
    assert all(where and code for _, _, where, _, code in TABLE)


def test_the_defaults_are_the_papers():
    assert CCDConfig().changed(data={"spec": "voc2012:VOCdevkit"}) == CCDConfig.preset("paper")


def test_best_is_the_paper_with_changes_that_are_named():
    best = CCDConfig.preset("best").changed(preset_name="paper")
    assert set(differences(best, CCDConfig.preset("paper"))) == set(BEST)


def test_the_prompt_of_nuswide_is_the_papers_alone():
    prompts = {
        (name, kind): CCDConfig.preset(name, f"{kind}:ROOT").clip.prompt
        for name in ("paper", "reference")
        for kind in ("coco2014", "nuswide")
    }
    assert prompts.pop(("paper", "nuswide")) == "a photo of a {}"
    assert set(prompts.values()) == {"a photo of the {}"}


def test_the_paper_is_the_default():
    config = CCDConfig.preset("paper")
    assert (config.clip.model, config.clip.pretrained, config.clip.size) == ("RN50x64", "openai", 640)
    assert (config.bias.entropy_threshold, config.views.cam_threshold, config.views.offset) == (0.5, 0.95, 80)
    assert (config.labels.alpha, config.training.epochs, config.training.warmup_epochs) == (0.4, 10, 2)
    assert config.classifier.backbone == "resnet101" and config.views.threshold.mean_views == 10


def test_the_reference_has_the_quirks():
    config = CCDConfig.preset("reference")
    assert (config.classifier.backbone, config.classifier.cam_boost, config.labels.alpha) == (
        "resnet50",
        3.0,
        0.2,
    )
    assert (config.clip.normalisation, config.bias.entropy_threshold, config.views.box) == (
        "imagenet",
        2.0,
        "first_last",
    )
