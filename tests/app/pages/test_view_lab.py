"""View lab without a browser: what CLIP is asked when, and a CLIP that is slow or cannot be asked."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from app import state
from app.figures.view_lab import place_maps, sweep_curves
from app.reading.asking import clip_queue, predictor
from app.reading.asking.clip_queue import known_probabilities, poll, query_about, query_clip
from app.reading.images import image_path
from ccd_core.errors import UserError
from ccd_core.explore.view_sweeps import grid
from ccd_core.predict.server import PredictorClient

BOXES = grid(0.4, 5).reshape(-1, 4)


class Clip:
    """A predictor that answers when `open` is set and remembers what it was asked."""

    def __init__(self, real: PredictorClient, classes: int):
        self.real = real
        self.p = (np.arange(classes) / classes).tolist()
        self.questions: list[tuple[str, list[tuple[float, ...]]]] = []
        self.error = ""
        self.open = threading.Event()
        self.open.set()

    def ask(self, question: str, **arguments) -> dict:
        if question != "clip_views":
            return self.real.ask(question, **arguments)
        self.questions.append((arguments["path"], [tuple(box) for box in arguments["boxes"]]))
        self.open.wait(20)
        if self.error:
            raise UserError(self.error)
        return {"p": [self.p] * len(arguments["boxes"])}


@pytest.fixture
def clip(tiny_run, monkeypatch):
    clip = Clip(predictor.client(tiny_run), len(tiny_run.classes))
    monkeypatch.setattr(predictor, "client", lambda run: clip)
    for cache in (clip_queue.query_about, clip_queue._throughput):
        cache.clear()
    yield clip
    clip.open.set()
    clip_queue._line().submit(int).result()  # what was on its way belongs to this test
    clip_queue.query_about.clear()


@pytest.fixture
def image(tiny_run):
    return lambda number: image_path(tiny_run, f"train_{number:06d}")


def browser_polls(test) -> dict:
    """What a browser that shows the page hears next; CLIP is asked on."""
    return poll(test.session_state[state.CLIP_TOKEN])


def finished(test) -> bool:
    return any(caption.value.startswith("CLIP was asked about") for caption in test.caption)


def test_nobody_waits_for_a_slow_clip_and_what_is_on_its_way_is_not_lost(tiny_run, clip, image):
    clip.open.clear()
    began = time.monotonic()
    for _ in range(3):  # as often as the page looks
        query_clip(tiny_run, image(0), BOXES, patience=0.05)
    assert time.monotonic() - began < 2 and np.isnan(known_probabilities(tiny_run, image(0), BOXES)).all()
    clip.open.set()
    query_clip(tiny_run, image(0), BOXES, patience=20)
    np.testing.assert_allclose(
        known_probabilities(tiny_run, image(0), BOXES), np.tile(np.float32(clip.p), (25, 1))
    )
    asked = [box for _, boxes in clip.questions for box in boxes]
    assert len(asked) == len(set(asked)) == 25 and asked[0] == tuple(BOXES[0])  # each once, the first first
    assert len(clip.questions[0][1]) < 25  # others get in between


def test_another_image_does_not_wait_for_those_that_were_turned_over(tiny_run, clip, image):
    clip.open.clear()
    for number in range(4):
        query_clip(tiny_run, image(number), BOXES[:2], patience=0.02)
    clip.open.set()
    query_clip(tiny_run, image(3), BOXES[:2], patience=20)
    # The one already put, then the one looked at.
    assert [path for path, _ in clip.questions] == [
        str(image(0)),
        str(image(3)),
    ]
    assert not np.isnan(known_probabilities(tiny_run, image(0), BOXES[:2])).any()  # and that answer is kept


def test_a_question_that_fails_is_not_repeated_until_somebody_asks_again(tiny_run, clip, image):
    clip.error = "CLIP's weights are gone."
    for _ in range(3):
        query_clip(tiny_run, image(0), BOXES, patience=20)
    assert len(clip.questions) == 1 and query_about(tiny_run, image(0)).error == clip.error
    clip.error = query_about(tiny_run, image(0)).error = ""
    query_clip(tiny_run, image(0), BOXES, patience=20)
    assert not np.isnan(known_probabilities(tiny_run, image(0), BOXES)).any()


def test_the_image_is_there_while_clip_has_not_answered_and_the_rest_fills_in(app, tiny_run, clip):
    clip.open.clear()
    test = app("view_lab")
    assert not test.exception and not test.error
    # No class before CLIP has said one.
    assert [box.disabled for box in test.selectbox if box.label == "Class"] == [True]
    assert any("Where would CLIP see a class" in text.value for text in test.markdown)
    assert browser_polls(test).items() >= {"known": 0, "stages": 0, "waking": True, "failed": False}.items()
    clip.open.set()
    heard = []
    for _ in range(50):
        heard.append(browser_polls(test))
        if heard[-1]["stages"] == 4:
            break
    assert [now["known"] for now in heard] == sorted(now["known"] for now in heard) and heard[-1][
        "known"
    ] == heard[-1]["total"] > 100
    test.run()
    assert finished(test)
    # What this CLIP sees most of.
    assert test.selectbox(key="class").proto.placeholder.startswith(tiny_run.classes[-1])
    assert any(f"Where would CLIP see {tiny_run.classes[-1]}" in text.value for text in test.markdown)
    assert len({path for path, _ in clip.questions}) == 1


def test_what_fails_while_the_browser_looks_on_is_told_and_asked_no_more(app, tiny_run, clip):
    test = app("view_lab")
    assert not test.error
    clip.error = "The process that asks CLIP is gone."
    told = browser_polls(test)
    assert told["failed"] and told["known"] < told["total"]
    asked = len(clip.questions)
    assert browser_polls(test)["failed"] and len(clip.questions) == asked
    assert [error.value for error in test.run().error] == [clip.error]
    assert poll("nobody's token") is None


def test_without_clip_there_is_a_sentence_and_a_way_on(app, clip):
    clip.error = "The CLIP weights are not on this machine; run `ccd doctor`."
    test = app("view_lab")
    assert [error.value for error in test.error] == [clip.error] and not test.exception
    clip.error = ""
    next(button for button in test.button if button.label == "Try again").click().run()
    assert not test.error and not test.exception


def test_a_class_that_a_person_chose_stays_and_one_nobody_chose_follows_the_image(app, tiny_run, clip):
    test = app("view_lab")
    clip.p = clip.p[::-1]
    next(button for button in test.button if button.label == "Next").click().run()
    assert test.selectbox(key="class").value is None and test.selectbox(
        key="class"
    ).proto.placeholder.startswith(tiny_run.classes[0])
    test.selectbox(key="class").set_value(tiny_run.classes[3]).run()
    next(button for button in test.button if button.label == "Next").click().run()
    assert test.selectbox(key="class").value == tiny_run.classes[3]
    clip.open.clear()
    next(button for button in test.button if button.label == "Next").click().run()
    assert [(box.disabled, box.value) for box in test.selectbox if box.label == "Class"] == [
        (True, tiny_run.classes[3])
    ]
    clip.open.set()
    clip_queue._line().submit(int).result()
    test.run()
    assert test.selectbox(key="class").value == tiny_run.classes[3]


def test_figures_show_what_is_known_so_far():
    curve = np.array([0.1, np.nan, 0.3])
    figure = sweep_curves(
        np.array([0, 50, 100]), {"cat": curve}, {"cat": "#000"}, "size", "cat", [(0.0, "data:,")]
    )
    assert figure.data[0].connectgaps and len(figure.layout.images) == 1
    maps = place_maps([0.4, 0.8], [np.eye(3), None], "cat", "data:,", 1.5)
    assert maps.data[0].x[0] == 0 and maps.data[0].x[-1] == 1  # up to the image's edges
    assert np.isnan(np.array(maps.data[1].z, float)).all() and len(maps.layout.images) == 2


def test_an_upload_is_kept_once_in_the_workspace_and_nowhere_else(
    app, tiny_run, clip, image, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = image(0).read_bytes()
    test = app("view_lab", source="Upload")
    test.file_uploader[0].set_value([("mine.png", content, "image/png")]).run()
    for _ in range(2):
        test.run()
    assert not test.exception and not list(tmp_path.iterdir())
    (kept,) = {path for path, _ in clip.questions}
    assert Path(kept).read_bytes() == content and Path(kept).is_relative_to(tiny_run.path.parent / ".uploads")
    assert len(list(Path(kept).parent.iterdir())) == 1
