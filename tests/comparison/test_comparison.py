"""Tables and sweeps: which runs they need, what a sweep shares, and what is printed."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from ccd_core.baselines.registry import METHODS
from ccd_core.baselines.tables import read_examples, read_sweep, read_table
from ccd_core.cli.commands import app
from ccd_core.cli.options import with_method
from ccd_core.cli.verbs.sweep import parse_values
from ccd_core.cli.verbs.table import chosen_methods, parse_seeds
from ccd_core.clip.patches import NoPatches
from ccd_core.comparison.collect import blend_note, seed_result
from ccd_core.comparison.compute import _Clock, compute
from ccd_core.comparison.plan import missing, table_runs
from ccd_core.comparison.published import TABLE_1, published_map
from ccd_core.comparison.shown import classes_latex, table_csv, table_latex
from ccd_core.comparison.sweep import (
    ablation_points,
    changed,
    common_stages,
    share_stages,
    sweep_runs,
    value_points,
)
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from tests.baselines.make_comparison import make_table
from tests.support import same_result


@pytest.fixture
def base(tiny_run):
    return tiny_run.config


@pytest.fixture
def settings_file(base, tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(base.to_yaml())
    return path


def test_a_table_has_a_run_for_each_method_and_seed(base, tmp_path):
    planned = table_runs(base, list(METHODS), [0, 1], "common", tmp_path)
    trained = sum(method.trains for method in METHODS.values())
    assert len(planned) == 2 * trained + 3  # CLIP alone has nothing random
    assert {one.config.method.name for one in planned} == set(METHODS)
    assert [one.seed for one in planned] == sorted(one.seed for one in planned)
    with pytest.raises(UserError, match="no method 'clup'; the methods are bce"):
        table_runs(base, ["clup"], [0], "common", tmp_path)


def test_what_was_set_wins_over_a_methods_own_recipe(base, tmp_path):
    planned = table_runs(
        base, ["sst", "cdul"], [0], "own", tmp_path, ["training.epochs=3", "seed=7", "method.name=an"]
    )
    assert [one.config.training.epochs for one in planned] == [3, 3]
    assert [one.config.training.batch_size for one in planned] == [8, 16]
    assert [(one.config.method.name, one.config.seed) for one in planned] == [("sst", 0), ("cdul", 0)]


def test_methods_and_groups_are_named_with_commas():
    assert chosen_methods("cdul, ll-r") == ["cdul", "ll_r"]
    assert chosen_methods("full,bce") == ["bce", "bce_ls"]
    assert chosen_methods("all") == list(METHODS)
    assert parse_seeds("0, 2,0") == [0, 2]
    for wrong in ("", "-1", "1.5", "x"):
        with pytest.raises(UserError, match="--seeds takes whole numbers"):
            parse_seeds(wrong)
    assert parse_values("0,0.4,true,1e-4") == [0, 0.4, True, 1e-4]
    with pytest.raises(UserError, match="--values"):
        parse_values("1,,2")


def test_a_clip_without_patches_leaves_those_rows_out_unless_they_are_named(
    tiny_scenes, tmp_path, monkeypatch
):
    from ccd_core.cli.verbs import table
    from ccd_core.clip import check

    def none(*_, **__):
        raise NoPatches("No patches.")

    monkeypatch.setattr(check, "check_teacher", none)
    computed = []
    monkeypatch.setattr(table, "compute_with_bar", lambda planned, *_: computed.extend(planned) or [])
    words = ["table", f"demo:{tiny_scenes}", "--out", str(tmp_path / "out"), "--seeds", "0", "--methods"]
    result = CliRunner().invoke(app, [*words, "label_free"])
    assert "Left out: cdul_patch, ccd_patch. No patches." in result.output
    assert "ccd" in {one.row for one in computed} and "ccd_patch" not in {one.row for one in computed}
    named = CliRunner().invoke(app, [*words, "ccd,ccd-patch"])
    assert isinstance(named.exception, NoPatches)


def test_own_images_get_the_preset_that_ccd_run_takes_and_keep_it(base, tmp_path, capsys, monkeypatch):
    from ccd_core.cli.verbs.table import preset_for
    from ccd_core.machine import advice

    monkeypatch.setattr(advice, "advise", lambda: advice.Advice("laptop", "it has no GPU"))
    assert preset_for(None, None, "folder:photos", tmp_path, quiet=False) == "laptop"
    assert "Preset laptop, because it has no GPU" in capsys.readouterr().out
    assert preset_for(None, None, "demo:scenes", tmp_path, quiet=True) == "demo"
    assert preset_for("best", None, "folder:photos", tmp_path, quiet=True) == "best"
    table_runs(base, ["ccd"], [0], "common", tmp_path)[0].create()
    assert base.preset_name == "demo"
    assert preset_for(None, None, "folder:photos", tmp_path, quiet=True) == "demo"


def test_published_numbers_are_those_of_table_1():
    assert published_map("ccd", "voc2012") == 90.1 and published_map("cdul", "nuswide") == 44.0
    assert published_map("sarb", "voc2012") is None and published_map("ccd", "demo") is None
    assert set(TABLE_1) <= set(METHODS)


def test_what_is_missing_is_computed_by_processes(base, tmp_path):
    """One method without training takes seconds; a wrong option of another is a sentence and ends nothing."""
    planned = table_runs(base, ["clip_zero_shot", "an"], [0], "common", tmp_path)
    wrong = [
        one
        if one.row != "an"
        else type(one)(
            one.row, one.seed, one.path, one.config.changed(method={"options": {"no": 1}, "name": "an_ls"})
        )
        for one in planned
    ]
    seen = []
    failures = compute(wrong, ["cpu"], seen.append)
    assert len(failures) == 1 and "no option no" in failures[0]
    assert seen[-1].total == 2 and seen[-1].done == 1
    assert [one.row for one in missing(planned)] == ["an"]


def test_what_is_done_of_a_comparison_never_falls():
    """After its last epoch a run still scores images, and its epochs may be more than its settings say."""
    one = SimpleNamespace(row="ccd", path=Path("ccd-0"), run=None)
    clock = _Clock([one], [one])
    parts = []
    for stage, detail, done in [
        ("global", "", 1),
        ("warm-up", "epoch 5 of 14", 50),
        ("views", "", 20),
        ("training", "epoch 14 of 14", 90),
        ("scores", "", 10),
    ]:
        state = {"stage": stage, "detail": detail, "done": done, "total": 100, "seconds": {"images": 1}}
        one.run = SimpleNamespace(state=state, status="running")
        parts.append(clock.standing().part)
    assert parts == sorted(parts)
    assert parts[1] == pytest.approx(4.5 / 14)
    assert parts[-1] < 1


def test_a_table_compares_classifiers_alone_and_says_what_clips_share_gives(base):
    """Other methods have no CLIP in their predictions. A sweep over the share compares predictions."""

    def measures(value: float) -> dict:
        return {"mAP": value, "micro_AP": value, "F1": value, "AP": {"house": value}}

    report = {"val": measures(57.9), "classifier": {"val": measures(50.6)}, "labels": {}}
    run = SimpleNamespace(
        state={"seconds": {}}, status="finished", load_ap=lambda: report, load_best=lambda: None
    )
    config = base.changed(predict={"blend": 0.3})
    one = SimpleNamespace(row="ccd", seed=0, path=Path("/out/runs/ccd-0"), run=run, config=config)
    assert seed_result(one, Path("/out"), alone=True).mAP == 50.6
    assert seed_result(one, Path("/out")).mAP == 57.9
    assert "predict.blend=0.3), as `ccd run` gives it, its mAP is 57.9." in blend_note([one])
    other = SimpleNamespace(row="ccd", seed=0, path=one.path, run=run, config=base)
    assert blend_note([other]) == ""


def test_the_command_shows_what_is_there(tiny_run, settings_file, tmp_path):
    out = tmp_path / "table"
    shutil.copytree(tiny_run.path, out / "runs" / "ccd-0")
    words = ["table", tiny_run.config.data.spec, "--config", str(settings_file), "--out", str(out)]
    words += ["--methods", "bce,ccd", "--seeds", "0", "--show-only"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    table = read_table(out)
    rows = {row.method: row for row in table.rows}
    score = tiny_run.load_ap()["val"]["mAP"]
    assert rows["ccd"].over_seeds().mean == score and rows["bce"].over_seeds() is None
    assert f"{score:.1f}" in result.output
    assert "All labels (uses labels)" in " ".join(re.sub("[│┃]", "", result.output).split())
    assert str(tmp_path) not in (out / "table.json").read_text()
    examples = read_examples(out)
    assert examples.methods.tolist() == ["ccd"] and examples.val_scores.shape == (1, 16, 16)
    as_json = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(as_json.stdout)["kind"] == "table"


def test_csv_and_latex_have_every_row():
    table = make_table()
    lines = list(csv.DictReader(io.StringIO(table_csv(table))))
    assert len(lines) == sum(len(row.runs) for row in table.rows)
    assert lines[0]["mAP"] == "90.0" and lines[0]["AP cat"] == "90.0" and lines[0]["AP house"] == ""
    latex = table_latex(table)
    assert r"BCE & 90.5 $\pm$ 0.5 & 90.1" in latex and r"10 \% of the labels" in latex
    assert (
        "% Recipe common, preset demo, seeds 0, 1, 2" in latex and "% The epoch was chosen without" in latex
    )
    assert latex.count(r"3 x 3 tiles \\") == 1 and r"none \\" in latex
    assert classes_latex(table).count(r"\\") == len(table.classes) + 2


def test_settings_say_which_stages_two_runs_have_in_common(tiny_run):
    def common(changes):
        return common_stages(tiny_run, changed(tiny_run.config, changes))

    assert common({"labels.alpha": 0.1}) == ("global", "warm-up", "views")
    assert common({"training.beta": 0.0}) == ("global", "warm-up", "views")
    assert common({"views.cam_threshold": 0.5}) == ("global", "warm-up")
    assert common({"labels.update": False}) == ("global", "warm-up")
    assert common({"bias.mode": "none"}) == ("global",)
    assert common({"training.learning_rate": 0.1}) == ("global",)
    assert common({"clip.prompt": "a {}"}) == ()
    assert common({"seed": 1}) == ()


def test_a_point_that_shares_stages_ends_with_the_same_weights(tiny_run, tmp_path):
    points = value_points("labels.alpha", [0.4, 0.1], "demo")
    planned = sweep_runs(tiny_run.config, points, [0], tmp_path)
    shutil.copytree(tiny_run.path, planned[0].path)
    before = planned[0].path.joinpath("checkpoints", "warmup.safetensors").read_bytes()
    share_stages(planned[1])
    shared = run_ccd(planned[1].config, planned[1].path)
    assert not {"warm-up", "views"} & set(shared.state["seconds"])
    whole = run_ccd(planned[1].config, tmp_path / "whole")
    assert same_result(whole, shared)
    assert planned[0].path.joinpath("checkpoints", "warmup.safetensors").read_bytes() == before


def test_the_ablation_is_table_2_with_controls(base):
    points = ablation_points("voc2012")
    assert [point.published for point in points if not point.is_control] == [86.4, 88.7, 89.4, 88.8, 90.1]
    assert sum(point.is_control for point in points) == 3
    none = changed(base, points[0].changes)
    assert (none.labels.update, none.bias.mode, none.training.beta) == (False, "none", 0.0)


def test_the_sweep_command_shows_what_is_there(tiny_run, settings_file, tmp_path):
    out = tmp_path / "sweep"
    words = ["sweep", tiny_run.config.data.spec, "--config", str(settings_file), "--out", str(out)]
    words += ["--figure", "6b", "--values", "0.4,0.8", "--show-only"]
    [run, _] = sweep_runs(tiny_run.config, value_points("labels.alpha", [0.4, 0.8], "demo"), [0], out)
    shutil.copytree(tiny_run.path, run.path)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    sweep = read_sweep(out)
    assert [point.is_base for point in sweep.points] == [True, False]
    assert sweep.points[0].over_seeds().mean == tiny_run.load_ap()["val"]["mAP"]
    assert sweep.points[1].over_seeds() is None and sweep.figure == "6b"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--setting", "labels.alfa", "--values", "1"], "no setting labels.alfa"),
        (["--setting", "labels.alpha", "--values", "2"], "labels.alpha"),
        (["--setting", "labels.alpha"], "needs --values"),
        (["--figure", "5"], "no figure '5'"),
        ([], "one of --setting"),
        (["--ablation", "--figure", "7"], "one of --setting"),
    ],
)
def test_a_wrong_sweep_is_one_sentence(words, sentence, tiny_scenes, tmp_path):
    result = CliRunner().invoke(app, ["sweep", f"demo:{tiny_scenes}", "--out", str(tmp_path / "out"), *words])
    assert isinstance(result.exception, UserError) and sentence in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_run_says_that_it_uses_labels(tiny_scenes, tmp_path):
    words = ["run", "--dataset", f"demo:{tiny_scenes}", "--preset", "demo", "--method", "bce", "--check"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert "This run uses labels" in result.output and "all labels of the training images" in result.output
    assert with_method(["seed=1"], "cdul-patch", None) == ["method.name=cdul_patch", "seed=1"]
    wrong = CliRunner().invoke(app, [*words[:-3], "--method", "bcd"])
    assert isinstance(wrong.exception, UserError) and "the methods are bce" in str(wrong.exception)
