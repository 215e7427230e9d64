"""Who has the token is let in, by link and by cookie, whatever letters it has; answers say what they are."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.access import TokenAccess, cookie_name
from app.routes import ROUTES
from ccd_core.cli.verbs import app as app_command
from ccd_core.machine import users


def client(token: str, monkeypatch) -> TestClient:
    monkeypatch.setenv("CCD_TOKEN", token)
    pages = [Route(path, lambda request: PlainTextResponse("the page")) for path in ("/", "/labels")]
    app = Starlette(routes=pages, middleware=[Middleware(TokenAccess, token=token)])
    return TestClient(app, follow_redirects=False)


@pytest.mark.parametrize(
    "token", ["a-token-of-16-letters", "ключ-от-двери-дома", "ein schlüssel; a=b, %41", "密钥" * 8]
)
def test_any_token_signs_in_once_and_for_all(token, monkeypatch):
    visitor = client(token, monkeypatch)
    assert visitor.get("/").status_code == 401
    assert visitor.head(f"/?token={quote(token)}").status_code == 200
    answer = visitor.get(f"/labels?token={quote(token)}&run=a%20b&run=c")
    assert answer.status_code == 303 and answer.headers["location"] == "./labels?run=a+b&run=c"
    assert answer.headers["set-cookie"].isascii() and "HttpOnly" in answer.headers["set-cookie"]
    assert visitor.get("/labels").text == "the page"  # by the cookie
    assert visitor.head("/").status_code == 200


def test_wrong_tokens_are_refused_without_an_error(monkeypatch):
    visitor = client("ключ-от-двери-дома", monkeypatch)
    for said in ("", "wrong", "%ff%fe", "ключ", "%00", "a" * 5000):
        assert visitor.get(f"/?token={said}").status_code == 401
        assert visitor.head(f"/?token={said}").status_code == 401
        assert visitor.get("/", headers={"cookie": f"{cookie_name()}={quote(said)}"}).status_code == 401
    assert visitor.get("/", headers={"cookie": cookie_name().encode() + b"=\xff%ff"}).status_code == 401
    refused = visitor.get("/")
    assert "asks for a token" in refused.text and refused.headers["content-type"].startswith("text/plain")
    assert visitor.post("/?token=" + quote("ключ-от-двери-дома")).status_code == 401


def test_a_redirect_never_leaves_the_site(monkeypatch):
    visitor = client("a-token-of-16-letters", monkeypatch)
    for path in ("//evil.example/", "//evil.example", "/\\evil.example", "/http:evil"):
        visitor.cookies.clear()
        answer = visitor.get(f"http://testserver{path}?token=a-token-of-16-letters")
        assert answer.headers["location"].startswith("./") and "//" not in answer.headers["location"]


def test_what_is_not_found_is_plain_text_that_no_browser_takes_for_a_page(tiny_run, monkeypatch):
    monkeypatch.setenv("CCD_RUNS", str(tiny_run.path.parent))
    with TestClient(Starlette(routes=ROUTES)) as visitor:
        for path in ("/thumb/tiny/<script>", "/thumb/<b>/x", "/asked/<i>", "/thumb/tiny/x?size=<u>"):
            answer = visitor.get(path)
            assert answer.status_code in (400, 404)
            assert answer.headers["content-type"].startswith("text/plain")
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--allowed-host", "*"], "'*' is no name of a host"),
        (["--allowed-host", "http://"], "is no name of a host"),
        (["--base-path", "../x"], "--base-path takes a path such as /ccd"),
        (["--base-path", "a b"], "--base-path takes a path such as /ccd"),
        (["--address", "not a host", "--token", "auto"], "is no name of a host"),
        (["--token", "sixteen-letters\n!"], "A token has letters, digits and signs only"),
    ],
)
def test_options_that_cannot_be_right_are_one_sentence(ccd, options, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = ccd("app", "--no-browser", *options)
    assert result.code == 2 and sentence in " ".join(result.err.split())


@pytest.fixture
def start(monkeypatch, capsys, tmp_path):
    """`start("--token", "auto")`: the words of the command that `ccd app` becomes, and what it prints."""
    for name in ("CCD_TOKEN", "CCD_SHARED", "CCD_ALLOWED_HOSTS", "CCD_DATA", "CCD_RUNS"):
        monkeypatch.setenv(name, "")
    became: list[list[str]] = []
    monkeypatch.setattr(app_command.os, "chdir", lambda place: None)
    monkeypatch.setattr(app_command.os, "execv", lambda program, words: became.append(words))
    monkeypatch.setattr(app_command, "other_people", lambda: [])

    def run(**options) -> tuple[list[str], str]:
        became.clear()
        capsys.readouterr()
        app_command.browser_app(workspace=tmp_path, open_browser=False, **{"data": None} | options)
        return became[0], " ".join(capsys.readouterr().out.split())

    return run


def test_the_app_of_one_user_says_nothing_and_answers_to_loopback_names(start):
    words, said = start(run_path=None, port=8501, address="127.0.0.1", token=None, base_path="")
    assert said == "" and app_command.os.environ["CCD_SHARED"] == ""
    assert {word for word in words if "allowedHosts" in word} == {
        "--server.allowedHosts=localhost",
        "--server.allowedHosts=127.0.0.1",
        "--server.allowedHosts=::1",
    }


def test_who_shares_the_machine_is_told_at_the_start(start, monkeypatch):
    monkeypatch.setattr(app_command, "other_people", lambda: ["anna", "ben"])
    _, said = start(run_path=None, port=8501, address="127.0.0.1", token=None, base_path="")
    assert "Other people have accounts on this machine (anna, ben)" in said and "--token auto" in said
    _, said = start(run_path=None, port=8501, address="127.0.0.1", token="auto", base_path="")
    assert "anna" not in said and "Open http://127.0.0.1:8501/?token=" in said


def test_a_proxys_name_opens_the_app_to_others(start):
    words, said = start(
        run_path=None,
        port=8501,
        address="127.0.0.1",
        token=None,
        base_path="/lab/ccd/",
        allowed_host=["https://ccd.example.org/"],
    )
    assert "Whoever reaches ccd.example.org can start" in said
    assert app_command.os.environ["CCD_SHARED"] == "1"  # some folders only
    assert app_command.os.environ["CCD_ALLOWED_HOSTS"] == "ccd.example.org"
    assert "--server.baseUrlPath=lab/ccd" in words and "--server.allowedHosts=ccd.example.org" in words


def test_people_are_those_with_a_shell(monkeypatch):
    pwd = pytest.importorskip("pwd")
    entries = [
        ("me", 1000, "/bin/bash"),
        ("anna", 1001, "/bin/zsh"),
        ("daemon", 1, "/bin/sh"),
        ("bot", 1002, "/sbin/nologin"),
        ("nobody", 65534, "/bin/sh"),
        ("ben", 1003, ""),
    ]
    made = [pwd.struct_passwd((name, "x", uid, uid, "", "/", shell)) for name, uid, shell in entries]
    monkeypatch.setattr(pwd, "getpwall", lambda: made)
    monkeypatch.setattr(users.os, "getuid", lambda: 1000)
    logins = [type("Login", (), {"name": name})() for name in ("me", "root", "carla")]
    monkeypatch.setattr(users.psutil, "users", lambda: logins)
    assert users.other_people() == ["anna", "carla"]
