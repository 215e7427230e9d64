"""The Gradio predictor, on what `ccd space` writes, with the packages that it names, asked over its API."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import yaml
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from typer.testing import CliRunner

from ccd_core.cli.commands import app
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.runs.run import Run
from tests.support import free_port, wait_for, wait_for_server


def link_packages(required: list[str], folder: Path) -> None:
    """What pip would install for `required`: these packages and all that they require, and no others."""
    waiting, seen = list(required), set()
    while waiting:
        name = re.match(r"[\w.-]+", waiting.pop())[0].lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform
            continue
        waiting += [line for line in package.requires or [] if "extra ==" not in line]
        for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(package.locate_file(top))


@contextmanager
def served(space: Path, packages: Path) -> Iterator[SimpleNamespace]:
    """The folder as a Space runs it: its `app_file`, without what else is installed here."""
    port = free_port()
    uploads = space.parent / "uploads"
    environment = {name: value for name, value in os.environ.items() if name != "CCD_RUN"}
    environment |= {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(uploads),
        "SPACE_ID": "me/space",
        "CCD_DEVICE": "cpu",
    }
    environment |= {"PYTHONPATH": str(packages), "HOME": str(packages.parent)}
    with open(space.parent / "server.txt", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", "app/gradio_app.py"], cwd=space, env=environment, stdout=log, stderr=log
        )
    wait_for_server(port, process, space.parent / "server.txt")
    url = f"http://127.0.0.1:{port}"
    try:
        client = Client(url, verbose=False, download_files=space.parent / "downloads")
        yield SimpleNamespace(
            client=client, url=url, run=Run.open(space / "run"), uploads=uploads, process=process
        )
    finally:
        process.kill()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def space(tiny_run, tiny_scenes, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gradio")
    shutil.copytree(tiny_run.path, folder / "tiny")
    thresholds.save(Run.open(folder / "tiny"), Thresholds.same(tiny_run.classes, 0.05))
    (folder / "tiny" / "examples").mkdir()
    shutil.copy(min((tiny_scenes / "JPEGImages").glob("val*.jpg")), folder / "tiny" / "examples" / "one.jpg")
    answer = CliRunner().invoke(app, ["space", str(folder / "tiny"), str(folder / "space")])
    assert answer.exit_code == 0, answer.output
    return folder / "space"


@pytest.fixture(scope="module")
def server(space, tmp_path_factory):
    packages = tmp_path_factory.mktemp("home") / "packages"
    packages.mkdir()
    link_packages(["gradio", *(space / "requirements.txt").read_text().splitlines()], packages)
    with served(space, packages) as running:
        yield running


@pytest.fixture(scope="module")
def photos(tiny_scenes) -> list[Path]:
    return sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:3]


def expected_of(run: Run, photo: Path) -> dict[str, float]:
    stored = run.load_scores("val")
    return dict(
        zip(run.classes, map(float, stored["scores"][stored["ids"].tolist().index(photo.stem)]), strict=True)
    )


def ask(server: SimpleNamespace, photo: Path, threshold: float = 0.5, use_saved: bool = False) -> dict:
    return server.client.predict(handle_file(photo), threshold, use_saved, api_name="/predict")[2]


def test_a_space_says_what_it_is_and_holds_nothing_else_of_the_run(space, tiny_run):
    head = yaml.safe_load((space / "README.md").read_text().split("---")[1])
    assert (
        head["sdk"] == "gradio"
        and head["sdk_version"] == metadata.version("gradio")
        and (space / head["app_file"]).is_file()
    )
    found = {
        path.relative_to(space / "run").as_posix() for path in (space / "run").rglob("*") if path.is_file()
    }
    assert found == {
        "config.yaml",
        "thresholds.json",
        "checkpoints/best.safetensors",
        "checkpoints/best.json",
        "examples/one.jpg",
    }
    assert not list(space.rglob("__pycache__"))
    # The machine's name stays at home.
    assert "host" in tiny_run.recorded and "host" not in Run.open(space / "run").recorded


def test_a_space_is_refused_where_it_would_overwrite_or_lack_something(space, tiny_run, tmp_path):
    Run.create(tmp_path / "young", tiny_run.config, tiny_run.classes)
    for asked, sentence in (
        ([tiny_run.path, space], "is not empty"),
        ([tmp_path / "young", tmp_path / "new"], "no trained classifier yet"),
        ([tmp_path, tmp_path / "new"], "is not a run"),
    ):
        assert sentence in str(CliRunner().invoke(app, ["space", *map(str, asked)]).exception)
    assert not (tmp_path / "new").exists()
    # A page for everybody: no token is promised.
    assert CliRunner().invoke(app, ["gradio", str(tiny_run.path), "--token", "auto"]).exit_code == 2


def test_the_api_answers_with_labels_scores_and_boxes_in_pixels(server, tiny_run, photos):
    confidences, overlays, details = server.client.predict(
        handle_file(photos[0]), 0.05, False, api_name="/predict"
    )
    width, height = Image.open(photos[0]).size
    expected = expected_of(tiny_run, photos[0])
    assert details["scores"] == pytest.approx(expected, abs=1e-4) and details["size"] == [width, height]
    assert {row["label"] for row in details["labels"]} == {
        name for name, score in expected.items() if score >= 0.05
    }
    assert [row["score"] for row in details["labels"]] == sorted(
        (row["score"] for row in details["labels"]), reverse=True
    )
    for row in details["labels"]:
        x0, y0, x1, y1 = row["box"]
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
    assert confidences["label"] == max(expected, key=expected.get)
    assert len(overlays) == min(12, len(details["labels"]))
    first = details["labels"][0]
    assert overlays[0]["caption"] == f"{first['label']} {first['score']:.2f}"
    seen, plain = np.array(Image.open(overlays[0]["image"]), int), np.array(Image.open(photos[0]), int)
    # Heat and frame over the picture itself.
    assert seen.shape == plain.shape and np.abs(seen - plain).max() > 100


def test_several_at_once_are_answered_each_with_its_own(server, tiny_run, photos):
    jobs = [server.client.submit(handle_file(photo), 0.05, False, api_name="/predict") for photo in photos]
    for photo, job in zip(photos, jobs, strict=True):
        assert job.result(timeout=60)[2]["scores"] == pytest.approx(expected_of(tiny_run, photo), abs=1e-4)


def test_saved_thresholds_are_read_whenever_asked(server, tiny_run, photos):
    scores = expected_of(tiny_run, photos[0])
    # The run's own, one for all classes.
    by_default = server.client.predict(handle_file(photos[0]), api_name="/predict")[2]
    assert {row["label"] for row in by_default["labels"]} == {
        name for name, score in scores.items() if score >= 0.05
    }
    assert {row["threshold"] for row in by_default["labels"]} == {0.05}

    names = sorted(scores, key=scores.get)
    limits = dict.fromkeys(names, 1.0) | {names[0]: scores[names[0]] / 2, names[-1]: scores[names[-1]] / 2}
    thresholds.save(server.run, Thresholds(limits, per_class=True))  # while the server runs
    labels = ask(server, photos[0], 0.9, use_saved=True)["labels"]
    assert {row["label"]: row["threshold"] for row in labels} == pytest.approx(
        {name: limits[name] for name in (names[0], names[-1])}, abs=1e-5
    )
    # The argument counts where the saved ones are not wanted.
    assert len(ask(server, photos[0], 0.0)["labels"]) == len(names)

    server.run.file("thresholds.json").write_text("{")
    with pytest.raises(AppError, match=r"thresholds\.json must be one that the page Results saved"):
        ask(server, photos[0], 0.0, use_saved=True)
    server.run.file("thresholds.json").unlink()
    assert len(ask(server, photos[0], 0.0, use_saved=True)["labels"]) == len(names)  # none is saved


def test_bad_input_is_one_sentence_and_the_server_goes_on(server, photos, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(photos[0].read_bytes()[:2000])
    for name, sentence in (("broken.jpg", "is not an image"), ("empty.jpg", "is empty"), ("cut.jpg", "cut")):
        with pytest.raises(AppError, match=f"^{re.escape(name)}.*{sentence}") as error:
            ask(server, tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(AppError, match="Choose an image"):
        server.client.predict(None, 0.5, False, api_name="/predict")
    with pytest.raises(AppError, match="greater than maximum value 1"):
        ask(server, photos[0], 7)
    assert ask(server, photos[0], 1.0)["labels"] == []


def test_an_upload_of_more_than_20_mb_is_refused(server, tmp_path):
    (tmp_path / "large.jpg").write_bytes(bytes(20 * 2**20 + 1))
    with pytest.raises(ValueError, match=r"large\.jpg exceeds the maximum file size"):
        ask(server, tmp_path / "large.jpg")
    with open(tmp_path / "large.jpg", "rb") as file:  # whoever does not ask before
        answer = httpx.post(f"{server.url}/gradio_api/upload", files={"files": file})
    assert answer.status_code == 413 and "exceeded maximum allowed size" in answer.text


def told(server: SimpleNamespace, *data: object) -> str:
    """What the API streams to somebody who sends exactly these values."""
    sent = httpx.post(f"{server.url}/gradio_api/call/predict", json={"data": list(data)})
    event = sent.json()["event_id"]
    return httpx.get(f"{server.url}/gradio_api/call/predict/{event}", timeout=60).text


def test_nothing_else_of_the_machine_is_served(server):
    for path in (server.run.file("config.yaml"), "run/config.yaml", "/etc/hostname"):
        assert httpx.get(f"{server.url}/gradio_api/file={path}").status_code == 403
    image = {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}
    assert "was not uploaded by a user" in told(server, image, 0.5, False)


def test_an_image_of_the_machine_is_not_labelled_however_it_is_named(server, photos, tmp_path):
    """The answer is the same whether or not there is such a file."""
    link = server.uploads / "link.jpg"
    link.symlink_to(photos[0])
    within = server.uploads / ".." / ".." / photos[0].relative_to("/")
    answers = set()
    for path in (photos[0], tmp_path / "nobody.jpg", tmp_path, link, within, "x\0y", "~/x.jpg", "a" * 5000):
        for more in ({}, {"meta": {}}, {"meta": {"_type": "other"}}, {"url": "data:,", "orig_name": "a.svg"}):
            answers.add(told(server, {"path": str(path)} | more, 0.0, False))
    link.unlink()
    answers |= {told(server, image, 0.0, False) for image in (str(photos[0]), [str(photos[0])], 7)}
    answers.add(told(server, {"url": "http://127.0.0.1:1/x.png"}, 0.0, False))
    assert len(answers) == 1, [one[:300] for one in answers]
    (answer,) = answers
    assert "reads only images that were uploaded to it" in answer and "event: error" in answer


def test_an_upload_and_an_address_that_holds_the_image_are_labelled(server, photos):
    with open(photos[0], "rb") as file:
        (path,) = httpx.post(f"{server.url}/gradio_api/upload", files={"files": file}).json()
    held = "data:image/jpeg;base64," + base64.b64encode(photos[0].read_bytes()).decode()
    for image in ({"path": path}, {"path": path, "meta": {"_type": "gradio.FileData"}}, {"url": held}):
        assert "event: complete" in told(server, image, 0.5, False)
    assert "data: address is damaged" in told(server, {"url": "data:image/jpeg;base64,%%%"}, 0.5, False)


def test_values_may_be_text_as_scripts_send_them(server, photos):
    held = {"url": "data:image/jpeg;base64," + base64.b64encode(photos[0].read_bytes()).decode()}
    assert told(server, held, "0.25", "false") == told(server, held, 0.25, False)
    for threshold in ("much", None, [], True):
        assert "The threshold is a number from 0 to 1." in told(server, held, threshold, False)
    assert "saved thresholds is true or false" in told(server, held, 0.5, "perhaps")


def test_only_prediction_is_public(server):
    assert set(server.client.view_api(return_format="dict", print_info=False)["named_endpoints"]) == {
        "/predict"
    }


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_uploads_go_when_the_server_is_stopped(server, photos):  # the last to ask this server
    ask(server, photos[0], 0.0)
    assert files_in(server.uploads) >= {photos[0].name, "image.jpeg"}
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=30)
    assert files_in(server.uploads) == {"one.jpg"}  # the example, which everybody is shown


def test_uploads_and_overlays_go_after_their_time(tiny_run, tmp_path, monkeypatch):
    from app import gradio_app

    Image.new("RGB", (64, 64)).save(tmp_path / "mine.png")
    uploads = tmp_path / "uploads"
    monkeypatch.setattr(gradio_app, "HOUR", 1)  # second
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    page = gradio_app.build(gradio_app.Answers(tiny_run.path, "cpu"))
    examples = files_in(uploads)
    try:
        _, url, _ = page.launch(server_port=free_port(), prevent_thread_lock=True, quiet=True)
        answer = Client(url, verbose=False, download_files=False).predict(
            handle_file(tmp_path / "mine.png"), 0.0, False, api_name="/predict"
        )
        assert len(answer[1]) == 12
        wait_for(lambda: files_in(uploads) == examples, 30)
        assert files_in(uploads) == examples and len(examples) == 6
    finally:
        page.close(verbose=False)
