"""Images over HTTP: only what the app shows, by name, and kept by the browser."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.reading.asking import clip_queue
from app.routes import ROUTES, asked_url, image_url


@pytest.fixture
def client(tiny_run, monkeypatch):
    monkeypatch.setenv("CCD_RUNS", str(tiny_run.path.parent))
    with TestClient(Starlette(routes=ROUTES)) as opened:
        yield opened


def test_an_image_of_a_run_is_served_small_and_kept(client, tiny_run):
    image = str(tiny_run.load_labels()["ids"][0])
    answer = client.get(image_url("tiny", image, 160))
    picture = Image.open(io.BytesIO(answer.content))
    assert answer.status_code == 200 and picture.format == "JPEG" and max(picture.size) == 160
    assert "max-age" in answer.headers["cache-control"]
    again = client.get(image_url("tiny", image, 160), headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content


@pytest.mark.parametrize(
    "place",
    [
        "/thumb/tiny/nobody",
        "/thumb/nonsense/x",
        "/thumb/tiny/..%2F..%2F..%2Fetc%2Fpasswd",
        "/thumb/tiny//etc/passwd",
        "/thumb/..%2Ftiny/x",
    ],
)
def test_what_the_app_does_not_show_is_not_found(client, place):
    assert client.get(place).status_code == 404


def test_a_size_that_is_no_number_is_refused(client, tiny_run):
    image = str(tiny_run.load_labels()["ids"][0])
    assert client.get(f"/thumb/tiny/{image}?size=big").status_code == 400
    # No larger than the largest that is served.
    assert client.get(f"/thumb/tiny/{image}?size=99999").status_code == 200


def test_how_far_clip_was_asked_is_told_to_whom_the_page_belongs(client, monkeypatch):
    monkeypatch.setattr(clip_queue, "poll", {"mine": {"known": 3, "total": 9}}.get)
    answer = client.get(asked_url("mine"))
    assert answer.json() == {"known": 3, "total": 9} and answer.headers["cache-control"] == "no-store"
    assert client.get(asked_url("another's")).status_code == 404


def test_names_with_odd_characters_survive_the_address():
    assert image_url("a run", "sub dir/ü#1.jpg") == "/thumb/a%20run/sub%20dir/%C3%BC%231.jpg?size=240"
