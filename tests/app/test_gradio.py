"""The Gradio predictor as its API's users meet it: laid out as on a Hugging Face Space, asked through gradio_client."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def client(tiny_run, tiny_scenes, tmp_path_factory):
    """The files that the README says to copy, and nothing else, run as a Space runs them."""
    space = tmp_path_factory.mktemp("space")
    shutil.copytree(ROOT / "ccd_core", space / "ccd_core", ignore=shutil.ignore_patterns("__pycache__"))
    (space / "app").mkdir()
    shutil.copy(ROOT / "app" / "gradio_app.py", space / "app")
    for name in ("config.yaml", "state.json", "checkpoints/best.safetensors", "checkpoints/best.json"):
        (space / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_run.path / name, space / "run" / name)
    (space / "run" / "examples").mkdir()
    shutil.copy(min((tiny_scenes / "JPEGImages").glob("val*.jpg")), space / "run" / "examples" / "one.jpg")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CCD_RUN")}
    environment |= {"GRADIO_SERVER_PORT": str(port), "CCD_DEVICE": "cpu", "GRADIO_TEMP_DIR": str(space / "uploads")}
    process = subprocess.Popen([sys.executable, "app/gradio_app.py"], cwd=space, env=environment, start_new_session=True)
    until = time.time() + 120
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None and time.time() < until, "the server did not start"
        time.sleep(0.2)
    yield Client(f"http://127.0.0.1:{port}", verbose=False)
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def photo(tiny_scenes):
    return min((tiny_scenes / "JPEGImages").glob("val*.jpg"))


def test_the_api_answers_with_labels_scores_and_boxes_in_pixels(client, tiny_run, photo):
    confidences, overlays, details = client.predict(handle_file(photo), 0.05, False, api_name="/predict")
    width, height = Image.open(photo).size
    stored = tiny_run.load_scores("val")
    expected = dict(zip(tiny_run.classes, stored["scores"][stored["ids"].tolist().index(photo.stem)], strict=True))
    assert details["scores"] == pytest.approx(expected, abs=1e-4) and details["size"] == [width, height]
    assert {row["label"] for row in details["labels"]} == {name for name, score in expected.items() if score >= 0.05}
    assert [row["score"] for row in details["labels"]] == sorted((row["score"] for row in details["labels"]), reverse=True)
    for row in details["labels"]:
        x0, y0, x1, y1 = row["box"]
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
    assert len(overlays) == min(12, len(details["labels"])) and Image.open(overlays[0]["image"]).size[0] <= 640
    assert confidences["label"] == max(expected, key=expected.get)


def test_bad_input_is_one_sentence_and_the_server_goes_on(client, photo, tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    with pytest.raises(AppError, match=r"broken\.jpg is not an image"):
        client.predict(handle_file(tmp_path / "broken.jpg"), 0.5, False, api_name="/predict")
    with pytest.raises(AppError, match="Choose an image"):
        client.predict(None, 0.5, False, api_name="/predict")
    assert client.predict(handle_file(photo), 1.0, False, api_name="/predict")[2]["labels"] == []


def test_only_prediction_is_public(client):
    assert set(client.view_api(return_format="dict", print_info=False)["named_endpoints"]) == {"/predict"}
