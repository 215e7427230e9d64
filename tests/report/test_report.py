"""A report holds all that it needs, says what the run says, and shows names as they are."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ccd_core.errors import UserError
from ccd_core.report import charts, html_report
from ccd_core.report.markup import table, text
from ccd_core.runs.run import Run

EMPTY = {"meta", "link", "br", "img", "hr", "input"}  # elements without an end tag
LARGEST = 5_000_000  # bytes


class Page(HTMLParser):
    """The elements, addresses and text of a page; fails where elements are not nested well."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.titles: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open and self.open.pop() == tag, f"</{tag}> in {self.open}"

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.titles.append(data)


@pytest.fixture(scope="module")
def page(tiny_run) -> str:
    return html_report([tiny_run])


def test_a_report_has_every_part_of_a_run(page, tiny_run):
    read = Page(page)
    assert read.titles == [
        tiny_run.name,
        "Learning curves",
        "Labels, stage by stage",
        "Average precision by class",
        "CLIP bias",
        "Local views",
        "Wrongly predicted",
        "Missed",
        "Thresholds",
        "Settings",
    ]
    scores = tiny_run.load_scores_of("val")
    assert f"{scores['mAP']:.1f} %" in read.text
    for name, value in scores["AP"].items():
        assert name in read.text and (value is None or f"{value:.1f}" in read.text)
    assert page.count("data:image/jpeg") >= 12


def test_a_report_needs_nothing_from_outside_and_runs_nothing(page):
    read = Page(page)
    assert all(one.startswith(("data:image/jpeg;base64,", "#")) for one in read.addresses)
    assert "script" not in read.tags and "iframe" not in read.tags
    assert "default-src 'none'" in page and "@import" not in page and "url(" not in page
    assert len(page.encode()) < LARGEST


def test_a_report_tells_nothing_of_this_machine(page, tiny_run, tiny_scenes):
    assert tiny_run.recorded["host"] and "host:" not in page
    assert str(tiny_scenes) not in page and str(tiny_run.path.parent) not in page


def test_a_report_follows_the_readers_theme_and_prints(page):
    assert "prefers-color-scheme: dark" in page and "@media print" in page
    assert 'name="viewport"' in page and '<html lang="en">' in page


def test_every_chart_is_well_formed_and_says_what_it_shows(page):
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) > 10
    for one in drawn:
        root = ElementTree.fromstring(one)
        assert root.get("role") == "img" and root.get("aria-label")
        numbers = [float(value) for value in re.findall(r'(?:width|height|x1|x2|cx|cy|r)="(-?[\d.]+)"', one)]
        assert all(value >= 0 for value in numbers)


def test_several_runs_are_compared(tiny_run, copied_run):
    other = copied_run("runs/other")
    text_of = other.file("config.yaml").read_text()
    other.file("config.yaml").write_text(text_of.replace("seed: 0", "seed: 7", 1))
    report = json.loads(other.file("scores", "ap.json").read_text())
    report["val"]["mAP"] = 12.3
    other.file("scores", "ap.json").write_text(json.dumps(report))
    page = Page(html_report([tiny_run, Run.open(other.path)]))
    assert page.titles[:5] == [
        "2 runs compared",
        "Scores",
        "Learning curves",
        "Average precision by class",
        "Settings that differ",
    ]
    assert "12.3" in page.text and "seed" in page.text
    assert [title for title in page.titles if title in ("tiny", "other")] == ["tiny", "other"]
    assert page.addresses[:2] == ["#run0", "#run1"]


def test_runs_of_one_name_are_told_apart(tiny_run, copied_run):
    other = copied_run("elsewhere/tiny")
    titles = Page(html_report([tiny_run, other, other], pictures=False)).titles
    assert [title for title in titles if title.startswith("elsewhere")] == [
        "elsewhere/tiny",
        "elsewhere/tiny (2)",
    ]


ODD = "<img src=x onerror=alert(1)>\"'&amp;\x07\udce9"


def test_names_are_shown_and_never_markup(copied_run, tmp_path):
    """A run's folder, its classes and its images may have any name."""
    import yaml

    run = copied_run("runs/<b>bold & 'run'")
    file = run.file("config.yaml")
    settings = yaml.safe_load(file.read_text())
    first = settings["recorded"]["classes"][0]
    odd = ODD.replace("\x07", "").replace("\udce9", "")
    settings["recorded"]["classes"][0] = odd
    file.write_text(yaml.safe_dump(settings))
    for name in ("bias.json", "scores/ap.json"):
        path = run.file(*name.split("/"))
        path.write_text(path.read_text().replace(json.dumps(first), json.dumps(odd)))
    page = html_report([Run.open(run.path)])
    read = Page(page)
    assert "thresholds.json is damaged or of other classes" in read.text  # it names the class as it was
    assert read.titles[0] == "<b>bold & 'run'"
    assert "img" not in read.tags and odd in read.text


def test_text_is_escaped_and_can_be_encoded():
    assert text(ODD) == "&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;amp;\ufffd\ufffd"
    assert text(ODD).encode()
    assert "<b>" not in table(("<b>",), [("<b>",)])


def test_a_run_without_its_images_or_ground_truth_still_has_a_report(copied_run, tmp_path):
    run = copied_run()
    config = run.file("config.yaml")
    config.write_text(config.read_text().replace(run.config.data.spec, f"voc:{tmp_path / 'gone'}"))
    run.file("scores", "ap.json").unlink()
    page = Page(html_report([Run.open(run.path)]))
    assert "could not be opened" in page.text and "no ground truth" in page.text
    assert str(tmp_path) not in page.text


def test_marked_images_are_measured_in_report_and_model_card(copied_run):
    from ccd_core.evaluation import marked, thresholds
    from ccd_core.export import Export
    from ccd_core.export.models.model_card import model_card

    run = copied_run()
    images = run.load_scores(str(marked.split_to_mark(run)))["ids"].tolist()[: marked.FEWEST + 2]
    for number, image in enumerate(images):
        marked.save_mark(run, image, [number % 3])
    found = marked.measure_run(run, thresholds.in_use(run).array(run.classes))
    page = Page(html_report([run], pictures=False))
    assert "On marked images" in page.titles and found.measures["mAP"].in_words in page.text
    card = model_card(Export(run, thresholds.in_use(run)), 1)
    assert found.measures["mAP"].in_words in card


def test_a_run_that_has_only_begun_has_a_short_report(copied_run):
    import shutil

    run = copied_run()
    for name in ("global.npz", "labels.npz", "bias.json", "views.parquet", "metrics.csv"):
        run.file(name).unlink()
    shutil.rmtree(run.file("scores"))
    shutil.rmtree(run.file("checkpoints"))
    run.file("state.json").write_text('{"status": "stopped", "stage": "global"}')
    page = Page(html_report([Run.open(run.path)]))
    assert "stopped, in stage global" in page.text and page.titles[-1] == "Settings"


def test_pictures_that_may_not_be_shown_are_left_out(tiny_run):
    def refuse(run: Run, path: Path) -> Path:
        raise UserError(f"{path} is not open.")

    page = html_report([tiny_run], permitted=refuse)
    assert "data:image" not in page and "could be read" in page


def test_a_thousand_classes_are_drawn_in_part_and_listed_in_whole(copied_run):
    run = copied_run()
    path = run.file("scores", "ap.json")
    report = json.loads(path.read_text())
    report["val"]["AP"] = {f"class {number}": number / 10 for number in range(1000)}
    path.write_text(json.dumps(report))
    page = Page(html_report([Run.open(run.path)], pictures=False))
    assert "940 classes between the first and the last 30" in page.text
    assert page.text.count("class 500") == 1 and page.text.count("class 999") > 1


@pytest.mark.parametrize("values", [[50.0], [50.0, 50.0], [0.0, 100.0], [1e-7, 2e-7]])
def test_axes_hold_all_values(values):
    ticks = charts._ticks(min(values), max(values))
    assert ticks[0] <= min(values) and max(values) <= ticks[-1] and 2 <= len(ticks) <= 9
    line = charts.Line("one", "blue", list(enumerate(values)))
    ElementTree.fromstring(charts.lines([line], "x", "y", "Curve").partition("</p>")[2])
