"""The app as a part of a site: below a path that it is told, or one that a proxy takes off."""

from __future__ import annotations

from urllib.parse import urljoin

import httpx
import pytest

from app.routes import PAGES
from tests.security.serving import app_on, proxy_to
from tests.support import ROOT

TOKEN = "a-token-for-this-test"


@pytest.fixture(scope="module", params=["told", "stripped"])
def site(request, tiny_run, tmp_path_factory):
    """The address of an app with a token, below /lab/ccd of a site."""
    stripped = request.param == "stripped"
    options = ["--token", TOKEN, *([] if stripped else ["--base-path", "/lab/ccd/"])]
    with (
        app_on(tiny_run.path.parent, *options, log=tmp_path_factory.mktemp(request.param) / "log.txt") as app,
        proxy_to(app.port, "/lab/ccd", stripped) as port,
    ):
        yield f"http://127.0.0.1:{port}/lab/ccd"


def test_the_token_and_the_pictures_keep_the_prefix(site, tiny_run):
    image = tiny_run.load_global()["ids"][0]
    for path in ("/", "/labels"):
        asked = f"{site}{path}?token={TOKEN}&run=tiny"
        told = httpx.get(asked)
        assert (
            told.status_code == 303 and urljoin(asked, told.headers["location"]) == f"{site}{path}?run=tiny"
        )
    with httpx.Client(follow_redirects=True) as visitor:
        assert visitor.get(f"{site}/?token={TOKEN}").status_code == 200
        picture = visitor.get(f"{site}/thumb/tiny/{image}?size=160")
        assert picture.status_code == 200 and picture.headers["content-type"] == "image/jpeg"
        assert visitor.get(f"{site}/asked/nobody").status_code == 404
    assert httpx.get(f"{site}/thumb/tiny/{image}").status_code == 401


@pytest.mark.browser
def test_pages_show_their_pictures(site, page):
    answers: list[tuple[str, int]] = []
    page.on("response", lambda answer: answers.append((answer.url, answer.status)))
    page.goto(f"{site}/labels?token={TOKEN}&run=tiny")
    page.get_by_role("heading", name="Labels").wait_for()
    page.get_by_role("link", name="CLIP bias").click()
    page.locator(".tile img").first.wait_for()
    page.get_by_role("link", name="Overview").click()
    page.locator(".strip button").first.wait_for()
    page.wait_for_timeout(1000)
    pictures = [(url, status) for url, status in answers if "/thumb/" in url]
    assert len({url.partition("/thumb/")[0] for url, _ in pictures}) == 1 and len(pictures) > 3
    assert {status for _, status in pictures} <= {200, 304}, pictures
    assert all(url.startswith(f"{site}/thumb/") for url, _ in pictures)


def test_the_pages_are_those_of_the_navigation():
    text = (ROOT / "app" / "navigation.py").read_text()
    assert all(f'"../pages/{name}.py"' in text for name in PAGES) and text.count("st.Page(") == len(PAGES) + 1
