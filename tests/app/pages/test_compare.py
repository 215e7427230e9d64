"""The page Compare without a browser: what a comparison's files say is what is shown, and nothing more."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from app.figures.compare import HEADING, MethodPoint, SweptPoint, class_heat, method_points, sweep_curve
from app.parts.compare.sweep import _point
from app.reading.comparing import comparisons
from app.reading.comparing.comparisons import run_folder, table_now
from app.reading.comparing.missing_runs import plan_missing
from ccd_core.baselines.tables import MeanAndDeviation, SeedResult, SweepPoint, write_sweep, write_table
from ccd_core.comparison.collect import collect_table
from ccd_core.comparison.plan import table_runs
from ccd_core.errors import UserError
from ccd_core.jobs import control
from ccd_core.runs.run import Run
from tests.baselines.make_comparison import make_sweep, make_table, write_comparison
from tests.support import NAVIGATION

PARTS = ["Methods", "Classes", "One image", "Runs", "Sweep", "Runs of the sweep"]


@pytest.fixture
def space(tmp_path, monkeypatch):
    """A workspace with the made-up comparison `example`."""
    write_comparison(tmp_path / "runs" / "example")
    monkeypatch.setattr(comparisons, "SHIPPED", tmp_path / "nothing")
    return tmp_path / "runs"


@pytest.fixture
def compare(space, monkeypatch):
    """`compare("Classes")`: that part of the page, opened by its link."""
    monkeypatch.setenv("CCD_RUNS", str(space))
    monkeypatch.delenv("CCD_OPEN_RUN", raising=False)
    config.set_option("server.address", "127.0.0.1")

    def opened(part: str = "Methods", **query):
        test = AppTest.from_file(NAVIGATION, default_timeout=120)
        for name, value in ({"run": "demo_run", "compare_part": part} | query).items():
            test.query_params[name] = value
        return test.switch_page("../pages/compare.py").run()

    return opened


@pytest.fixture
def real(space, tiny_run):
    """A comparison with one real run, CCD with seed 0, and five that are missing."""
    folder = space / "real"
    shutil.copytree(tiny_run.path, folder / "runs" / "ccd-0")
    planned = table_runs(tiny_run.config, ["ll_r", "an", "ccd"], [0, 1], "common", folder)
    write_table(folder, collect_table(planned, tiny_run.config, [0, 1], "common", folder))
    return folder


def said(test) -> str:
    return " ".join(text.value for text in [*test.caption, *test.info, *test.warning, *test.error])


def changed(folder, change) -> None:
    table = json.loads((folder / "table.json").read_text())
    change(table)
    (folder / "table.json").write_text(json.dumps(table))


@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens(compare, part):
    test = compare(part)
    assert not test.exception and not test.error and test.title[0].value == "Compare"


def test_the_table_has_means_deviations_and_the_papers_numbers(compare):
    rows = compare().dataframe[0].value.set_index("method")
    assert rows.loc["BCE", ["mean", "±", "paper", "against paper"]].tolist() == pytest.approx(
        [90.5, 0.5, 90.1, 0.4]
    )
    assert rows.loc["LL-R", "seeds"] == "2 of 3" and rows.loc["CCD", "supervision"] == "No labels"


def test_rows_that_used_labels_are_marked(compare):
    test = compare()
    assert "BCE, ASL (masked), LL-R" in test.warning[0].value and "CCD among them" in test.warning[0].value
    marked = test.dataframe[0].value.set_index("method")["supervision"].str.startswith("⚠")
    assert marked[marked].index.tolist() == ["BCE", "ASL (masked)", "LL-R"]


def test_the_demos_table_comes_before_its_sweep_whichever_file_is_newer(tmp_path, monkeypatch):
    monkeypatch.setenv("CCD_RUNS", str(tmp_path))
    shipped = comparisons.known_comparisons()
    assert list(shipped) == ["demo_table", "demo_alpha"]
    assert comparisons.has_table(shipped["demo_table"]) and comparisons.has_sweep(shipped["demo_alpha"])


def test_a_control_is_said_to_be_one_once():
    run = SeedResult(seed=0, run="runs/a", status="finished", mAP=50.0)
    points = [
        SweepPoint(label=label, value=None, changes={}, is_control=control, runs=(run,))
        for label, control in (("all: CCD", False), ("control: random boxes", True), ("flat", True))
    ]
    titles = [_point(point.label, point, "mAP").label for point in points]
    assert titles == ["all: CCD", "control: random boxes", "flat (control)"]


def test_another_measure_has_no_number_of_the_paper(compare):
    test = compare(measure="micro-AP", rows="by score")
    rows = test.dataframe[0].value
    assert "paper gives mAP only" in said(test) and rows["paper"].isna().all()
    assert rows.set_index("method").loc["BCE", "mean"] == pytest.approx(89.5)


def test_rows_stand_in_groups_below_their_headings():
    score = MeanAndDeviation(80.0, 1.0, 2)
    figure = method_points(
        [
            MethodPoint("free", "label_free", score, (79.0, 81.0), 85.0),
            MethodPoint("told", "full", score, (79.0, 81.0), None),
        ],
        "mAP",
    )
    assert list(figure.layout.yaxis.categoryarray) == [
        f"{HEADING}full",
        "told",
        f"{HEADING}label_free",
        "free",
    ]
    assert ["uses labels" in note.text for note in figure.layout.annotations[:2]] == [True, False]
    assert [note.text for note in figure.layout.annotations[2:]] == ["80.0 ± 1.0"] * 2
    paper = [trace for trace in figure.data if trace.name == "the paper"]
    assert len(paper) == 1 and list(paper[0].y) == ["free"]


def test_a_class_without_a_positive_is_an_empty_row_and_a_method_can_be_subtracted(compare):
    test = compare("Classes", against="CCD")
    assert not test.exception and "less that of CCD" in said(test) and "no validation image has" in said(test)
    figure = class_heat(np.array([[1.0, -2.0], [np.nan, np.nan]]), ["cat", "house"], ["BCE", "CCD"], "CCD")
    cells, numbers = figure.data
    assert cells.zmin == -cells.zmax and list(numbers.text) == ["+1", "-2"]


def test_a_sweep_has_its_base_the_papers_point_and_controls_as_level_lines():
    score = MeanAndDeviation(80.0, 1.0, 2)
    points = [
        SweptPoint("0.4", 0.4, score, (79.0, 81.0), 90.1, False, True),
        SweptPoint("0.0", 0.0, score, (79.0, 81.0), None, False, False),
        SweptPoint("random boxes", None, score, (), None, True, False),
        SweptPoint("no number", float("inf"), None, (), None, False, False),
    ]
    traces = {trace.name: trace for trace in sweep_curve(points, "labels.alpha", "mAP").data}
    assert list(traces["measured"].x) == [0.0, 0.4]
    assert list(traces["measured"].marker.symbol) == ["circle", "star"]
    assert (traces["the paper"].x, traces["the paper"].line.dash) == ((0.4,), "dot")
    assert traces["random boxes"].line.dash == "dash"


def test_an_ablation_is_shown_as_rows(compare, space):
    sweep = make_sweep()
    points = [point.model_copy(update={"value": None}) for point in sweep.points]
    write_sweep(space / "example", sweep.model_copy(update={"setting": None, "points": tuple(points)}))
    test = compare("Sweep")
    assert not test.exception and not test.error
    assert test.dataframe[0].value["value"].tolist() == ["0.0", "0.2", "0.4", "1.0"]


def test_one_image_says_which_methods_are_not_there(compare):
    test = compare("One image", split="training: labels", image="train_2")
    assert "CLIP zero-shot (it trains nothing)" in said(test) and test.query_params["image"] in (
        "train_2",
        ["train_2"],
    )
    assert "not on this machine" in said(test)  # the picture of a made-up data set


def test_one_image_is_read_from_the_runs_of_the_folder(compare, real, tiny_run):
    test = compare("One image", comparison="real")
    assert not test.exception and not test.error
    assert f"of {len(tiny_run.load_scores('val')['ids'])}" in " ".join(text.value for text in test.markdown)
    assert "Naive AN (its run has not started)" in said(test) and "not on this machine" not in said(test)


def test_what_a_run_has_done_since_the_table_was_written_is_shown(real, tiny_run):
    changed(real, lambda table: table["rows"][2]["runs"][0].update(mAP=None, AP={}, status="running"))
    row = table_now(real).rows[2]
    assert row.method == "ccd" and row.runs[0].mAP == pytest.approx(tiny_run.load_ap()["val"]["mAP"])


def test_missing_runs_go_to_the_queue_with_the_settings_of_the_comparison(compare, real, monkeypatch):
    started = []
    monkeypatch.setitem(control.LAUNCHERS, "local", lambda run: started.append(run.path.name))
    test = compare("Runs", comparison="real")
    test.button(key="start_missing").click().run()
    assert not test.exception and not test.error
    assert started == ["ll_r-0", "an-0", "ll_r-1", "an-1", "ccd-1"]
    base = Run.open(real / "runs" / "ccd-0").config
    for name in started:
        found = Run.open(real / "runs" / name).config
        method, _, seed = name.rpartition("-")
        assert found == base.with_method(method).changed(seed=int(seed), device="auto")


def test_nothing_is_missing_where_all_have_finished(compare):
    assert "Nothing is missing" in compare("Runs of the sweep").success[0].value


def test_a_comparison_without_its_runs_says_how_the_missing_ones_start(compare):
    test = compare("Runs")
    assert "the command that made it" in said(test) and "start_missing" not in [b.key for b in test.button]


def test_a_sweeps_missing_point_gets_the_base_settings_and_its_change(real):
    folder = real.parent / "swept"
    shutil.copytree(real / "runs" / "ccd-0", folder / "runs" / "base-0")
    points = []
    for point in make_sweep().points:
        name = "base" if point.is_base else point.label
        status = "finished" if point.is_base else "created"
        result = SeedResult(seed=0, run=f"runs/{name}-0", status=status, mAP=50.0 if point.is_base else None)
        points.append(point.model_copy(update={"runs": (result,)}))
    planned = plan_missing(folder, points)
    assert [one.config.labels.alpha for one in planned] == [0.0, 0.2, 1.0]
    assert planned[0].config.changed(labels={"alpha": 0.4}) == Run.open(folder / "runs" / "base-0").config


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("", "table.json is damaged"),
        ("[" * 100_000, "table.json is damaged"),
        ('{"version": 2}', "table.json is damaged"),
        ("\0\xff", "table.json is damaged"),
    ],
)
def test_a_damaged_table_is_one_sentence_and_the_sweep_still_opens(compare, space, damage, sentence):
    (space / "example" / "table.json").write_text(damage, encoding="latin-1")
    test = compare()
    assert not test.exception and len(test.error) == 1 and sentence in test.error[0].value
    assert not compare("Sweep").error


def test_damaged_examples_are_one_sentence(compare, space):
    (space / "example" / "examples.npz").write_bytes(b"PK no archive")
    test = compare("One image")
    assert not test.exception and "examples.npz is damaged" in test.error[0].value


def test_an_empty_table_is_shown(compare, space):
    empty = make_table().model_copy(update={"rows": (), "classes": (), "seeds": ()})
    write_table(space / "example", empty)
    for part in PARTS[:4]:
        test = compare(part)
        assert not test.exception and not test.error, part


def test_hostile_names_are_shown_as_they_are(compare, space):
    def hostile(table):
        table["dataset"] = "voc2012:![x](https://e.vil/x.png)"
        table["classes"][0] = "<b>$x$"
        table["rows"][0].update(title="![x](https://e.vil/x.png)", note=":red[x]", labels="=cmd()")
        table["rows"][1]["title"] = table["rows"][0]["title"]

    changed(space / "example", hostile)
    for part in PARTS[:4]:
        test = compare(part)
        assert not test.exception and not test.error, part
        assert "![x](" not in said(test) + " ".join(text.value for text in test.markdown), part


@pytest.mark.parametrize("place", ["../other/run", "/etc", "", "runs/../../x", "runs/a\0b"])
def test_a_run_outside_of_the_folder_is_not_looked_at(space, place):
    with pytest.raises(UserError, match="outside of its folder"):
        run_folder(space / "example", SeedResult(seed=0, run=place, status="created"))


def test_a_run_behind_a_link_out_of_the_folder_is_not_looked_at(space, tiny_run):
    (space / "example" / "runs").symlink_to(tiny_run.path.parent)
    with pytest.raises(UserError, match="outside of its folder"):
        run_folder(space / "example", SeedResult(seed=0, run="runs/tiny", status="finished"))


def test_settings_of_somebody_elses_comparison_are_not_opened_unasked(compare, real):
    path = real / "runs" / "ccd-0" / "config.yaml"
    text = path.read_text()
    spec = Run.open(real / "runs" / "ccd-0").config.data.spec
    path.write_text(text.replace(spec, "folder:/mnt/secret").replace("host: ", "host: x"))
    test = compare("Runs", comparison="real")
    assert "/mnt/secret" in test.warning[0].value and "start_missing" not in [b.key for b in test.button]


def test_without_any_comparison_the_page_says_which_command_makes_one(compare, space):
    shutil.rmtree(space / "example")
    test = compare()
    assert "ccd table demo --out" in " ".join(text.value for text in test.markdown)


def test_comparisons_beside_the_workspace_are_shown_unless_others_reach_the_app(space, monkeypatch):
    monkeypatch.setenv("CCD_RUNS", str(space))
    config.set_option("server.address", "127.0.0.1")
    write_comparison(space.parent / "comparisons" / "beside")
    assert set(comparisons.known_comparisons()) == {"example", "beside"}
    monkeypatch.setenv("CCD_SHARED", "1")
    assert set(comparisons.known_comparisons()) == {"example"}


def test_an_unknown_comparison_in_a_link_is_said(compare):
    test = compare(comparison="nonsense")
    assert "no comparison 'nonsense'" in test.error[0].value and not test.exception
    assert test.selectbox(key="comparison").value == "example"


@pytest.fixture
def told(app, copied_run, monkeypatch):
    """A run whose settings say that it was given one positive an image, and that never asked CLIP."""
    run = copied_run("runs/told")
    path = run.file("config.yaml")
    path.write_text(path.read_text().replace("name: ccd\n", "name: ll_r\n"))
    for name in ("global.npz", "bias.json", "views.parquet", "view_threshold.json"):
        run.file(name).unlink()
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    return lambda page, **query: app(page, run="told", **query)


@pytest.mark.parametrize("page", ["overview", "labels", "results", "predict", "clip_bias"])
def test_a_run_that_used_labels_says_so_on_its_pages(told, page):
    test = told(page)
    assert not test.exception and not test.error
    assert "one positive label of each training image" in test.warning[0].value
