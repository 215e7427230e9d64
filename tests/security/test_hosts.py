"""Web pages of another name cannot drive the app: it answers to its own names only."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.hosts import HostCheck
from ccd_core.errors import UserError
from ccd_core.machine.host_names import LOOPBACK, given_name, given_names, own_names
from tests.security.serving import Served, app_on

TOKEN = "a-token-for-this-test"


@pytest.fixture(scope="module")
def open_app(tiny_run, tmp_path_factory):
    """The app as `ccd app` starts it."""
    with app_on(tiny_run.path.parent, log=tmp_path_factory.mktemp("open") / "log.txt") as served:
        yield served


@pytest.fixture(scope="module")
def proxied_app(tiny_run, tmp_path_factory):
    """An app with a token, behind a proxy that is called ccd.example.org."""
    options = ("--token", TOKEN, "--allowed-host", "https://ccd.example.org/")
    log = tmp_path_factory.mktemp("proxied") / "log.txt"
    with app_on(tiny_run.path.parent, *options, log=log) as served:
        yield served


def paths(run) -> list[str]:
    image = run.load_global()["ids"][0]
    return ["/", "/train", f"/thumb/tiny/{image}", "/asked/x", "/_stcore/health", "/_stcore/host-config"]


@pytest.mark.parametrize("host", ["localhost:{}", "127.0.0.1:{}", "[::1]:{}", "localhost", "LOCALHOST.:{}"])
def test_own_names_are_answered(open_app, tiny_run, host):
    name = host.format(open_app.port)
    assert open_app.status(paths(tiny_run)[2], Host=name) == 200
    assert open_app.handshake(Host=name, Origin=f"http://{name}") == 101


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{}",
        "evil.example",
        "localhost.evil.example:{}",
        "127.0.0.1.evil.example:{}",
        "evil.example#localhost",
        "evil@localhost:{}",
        "203.0.113.5:{}",
        "0x7f000001:{}",
        "",
    ],
)
def test_a_request_under_another_name_is_refused_everywhere(open_app, tiny_run, host):
    name = host.format(open_app.port)
    for path in paths(tiny_run):
        assert open_app.status(path, Host=name) in (400, 403), path
    assert open_app.status("/_stcore/upload_file/x/y", "PUT", Host=name) in (400, 403)
    assert open_app.handshake(Host=name, Origin=f"http://{name}") in (400, 403)
    assert open_app.handshake(Host=name) in (400, 403)  # a websocket need not tell its origin


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost.evil.example", "null", "file://"]
)
def test_a_page_of_another_name_is_refused(open_app, tiny_run, origin):
    own = f"localhost:{open_app.port}"
    assert open_app.handshake(Host=own, Origin=origin) == 403
    for path in paths(tiny_run):
        assert open_app.status(path, Host=own, Origin=origin) == 403, path


def test_the_refusal_says_how_a_proxy_is_named(open_app):
    _, told = open_app.answer("/", Host="ccd.example.org")
    assert "ccd app --allowed-host ccd.example.org" in told and "content-type: text/plain" in told.lower()
    assert "Traceback" not in open_app.log.read_text()


def test_a_token_does_not_open_the_app_under_another_name(proxied_app: Served):
    own = f"127.0.0.1:{proxied_app.port}"
    signed_in = {"Cookie": sign_in(proxied_app, own)}
    assert proxied_app.handshake(Host=own, Origin=f"http://{own}", **signed_in) == 101
    assert proxied_app.handshake(Host="evil.example", Origin="http://evil.example", **signed_in) == 403
    assert proxied_app.handshake(Host=own, Origin="http://evil.example", **signed_in) == 403
    assert proxied_app.status(f"/?token={TOKEN}", Host="evil.example") == 403


def test_a_named_proxy_is_let_in_whether_or_not_it_passes_the_name_on(proxied_app: Served):
    own = f"127.0.0.1:{proxied_app.port}"
    signed_in = {"Cookie": sign_in(proxied_app, "ccd.example.org")}
    page = "https://ccd.example.org"
    for host in ("ccd.example.org", "ccd.example.org:8443", own):
        assert proxied_app.status("/", Host=host, **signed_in) == 200
        assert proxied_app.handshake(Host=host, Origin=page, **signed_in) == 101


def test_cookies_do_not_tell_ports_apart_but_the_app_does(proxied_app: Served, open_app: Served):
    """A page of another server on this machine comes with the cookie of the app."""
    own = f"127.0.0.1:{proxied_app.port}"
    signed_in = {"Cookie": sign_in(proxied_app, own)}
    assert proxied_app.handshake(Host=own, Origin="http://127.0.0.1:1", **signed_in) == 403
    assert open_app.handshake(Host=f"127.0.0.1:{open_app.port}", Origin="http://127.0.0.1:1") == 101


def sign_in(app: Served, host: str) -> str:
    """The cookie that the link with the token gives."""
    status, told = app.answer(f"/?token={TOKEN}", Host=host)
    assert status == 303
    (cookie,) = (line for line in told.splitlines() if line.lower().startswith("set-cookie:"))
    return cookie.partition(":")[2].partition(";")[0].strip()


# -- names ---------------------------------------------------------------------------------------------


def client(**names) -> TestClient:
    page = Route("/", lambda request: PlainTextResponse("the page"))
    return TestClient(Starlette(routes=[page], middleware=[Middleware(HostCheck, **names)]))


def test_an_app_for_others_answers_to_the_machines_names_and_to_where_it_was_called(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Bench")
    monkeypatch.setattr("socket.getfqdn", lambda: "bench.lab.example")
    names = own_names("0.0.0.0")
    assert names == LOOPBACK | {"bench", "bench.local", "bench.lab.example"}
    app = client(own=names)
    for host, status in (
        ("bench:8501", 200),
        ("bench.lab.example", 200),
        ("testserver", 403),
        ("10.9.8.7:8501", 403),
    ):
        assert app.get("/", headers={"Host": host}).status_code == status, host
    arrived = TestClient(app.app, base_url="http://10.9.8.7:8501")  # "server" of its scope is this address
    assert arrived.get("/").status_code == 200
    assert arrived.get("/", headers={"Host": "10.9.8.6:8501"}).status_code == 403
    assert own_names("10.1.1.1") >= {"10.1.1.1", "bench"} and own_names("127.0.0.1") == LOOPBACK


def test_two_hosts_or_two_origins_are_refused():
    app = client(own=LOOPBACK)
    good = [("Host", "localhost")]
    assert app.get("/", headers=good).status_code == 200
    assert app.get("/", headers=[*good, ("Host", "localhost")]).status_code == 403
    origin = ("Origin", "http://localhost")
    assert app.get("/", headers=[*good, origin]).status_code == 200
    assert app.get("/", headers=[*good, origin, ("Origin", "http://evil.example")]).status_code == 403


def test_names_may_be_given_as_people_have_them(monkeypatch):
    for text, name in (
        ("ccd.example.org", "ccd.example.org"),
        ("CCD.Example.org.", "ccd.example.org"),
        ("https://ccd.example.org:8443/ccd/", "ccd.example.org"),
        ("ccd.example.org:80", "ccd.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("10.0.0.1", "10.0.0.1"),
        ("[FE80::1]", "fe80::1"),
    ):
        assert given_name(text) == name
    for text in ("*", "*.example.org", "", "a b", "http://", "a/b"):
        with pytest.raises(UserError, match="is no name of a host"):
            given_name(text)
    monkeypatch.setenv("CCD_ALLOWED_HOSTS", "one.example, two.example")
    assert given_names() == ["one.example", "two.example"]
