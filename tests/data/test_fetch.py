"""Downloads from a server of our own: cut connections, wrong checksums, hostile archives, no network."""

from __future__ import annotations

import errno
import hashlib
import io
import shutil
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ccd_core.data import fetch as fetching
from ccd_core.data import open_dataset
from ccd_core.data.fetch import fetch
from ccd_core.data.sources import SOURCES, Archive
from ccd_core.errors import UserError
from tests.make_datasets import make_coco, make_voc


class Server(ThreadingHTTPServer):
    """Serves a folder; `cut` bytes into each of the first `cuts` answers the connection breaks."""

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.resumes, self.cuts, self.cut, self.asked = folder, True, 0, 0, []
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path, begin = self.server.folder / self.path.strip("/"), 0
        self.server.asked.append(self.headers.get("Range"))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        if self.headers.get("Range") and self.server.resumes:
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(content[begin : begin + self.server.cut])
        else:
            self.wfile.write(content[begin:])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetching.time, "sleep", lambda seconds: None)
    (tmp_path / "served").mkdir()
    one = Server(tmp_path / "served")
    threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


def offer(monkeypatch, kind: str, *archives: Path) -> None:
    """Make these files the archives of `kind`, with their true sizes and checksums."""
    known = tuple(
        Archive(
            path.name,
            path.stat().st_size,
            hashlib.md5(path.read_bytes()).hexdigest(),
            (f"http://127.0.0.1:9/{path.name}",),
        )
        for path in archives
    )
    monkeypatch.setitem(SOURCES, kind, replace(SOURCES[kind], archives=known))


@pytest.fixture
def voc(server, tmp_path, monkeypatch) -> Path:
    """A small VOC 2012 in the official archive, which the server has; returns the archive."""
    make_voc(tmp_path / "made", 2012, n=6)
    path = server.folder / "VOCtrainval_11-May-2012.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(tmp_path / "made" / "VOCdevkit", "VOCdevkit")
    offer(monkeypatch, "voc2012", path)
    return path


def test_voc_is_fetched_unpacked_and_not_fetched_twice(server, voc, tmp_path):
    seen = {}
    fetch(
        "voc2012",
        tmp_path / "data",
        server.address,
        report=lambda what, done, total: seen.update({what: done == total}),
    )
    assert len(open_dataset(f"voc2012:{tmp_path / 'data'}").splits["train"]) == 6
    assert (
        set(seen) == {f"{what} {voc.name}" for what in ("downloading", "checking", "unpacking")}
        and seen[f"downloading {voc.name}"]
    )
    assert not (tmp_path / "data" / voc.name).exists()
    fetch("voc2012", tmp_path / "data", server.address)
    assert server.asked == [None]


def test_coco_comes_in_three_archives(server, tmp_path, monkeypatch):
    made, archives = make_coco(tmp_path / "made"), []
    for folder, name in (
        ("annotations", "annotations_trainval2014.zip"),
        ("train2014", "train2014.zip"),
        ("val2014", "val2014.zip"),
    ):
        archives.append(server.folder / name)
        with zipfile.ZipFile(archives[-1], "w") as archive:
            for file in sorted((made / folder).iterdir()):
                archive.write(file, f"{folder}/{file.name}")
    offer(monkeypatch, "coco2014", *archives)
    fetch("coco2014", tmp_path / "data", server.address, keep=True)
    assert [len(images) for images in open_dataset(f"coco2014:{tmp_path / 'data'}").splits.values()] == [5, 4]
    assert all((tmp_path / "data" / path.name).is_file() for path in archives)


def test_a_cut_download_goes_on_where_it_was(server, voc, tmp_path):
    server.cuts, server.cut = 7, voc.stat().st_size // 9
    fetch("voc2012", tmp_path / "data", server.address)
    assert server.asked == [None, *(f"bytes={server.cut * number}-" for number in range(1, 8))]
    assert (tmp_path / "data" / "VOCdevkit").is_dir()


def test_a_second_command_goes_on_with_what_the_first_left(server, voc, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{voc.name}.partial").write_bytes(voc.read_bytes()[:1000])
    fetch("voc2012", tmp_path / "data", server.address)
    assert server.asked == ["bytes=1000-"]


def test_a_server_that_cannot_resume_sends_it_again(server, voc, tmp_path):
    server.resumes, server.cuts, server.cut = False, 2, 500
    fetch("voc2012", tmp_path / "data", server.address)
    assert (tmp_path / "data" / "VOCdevkit").is_dir()


def test_a_server_that_always_breaks_is_given_up(server, voc, tmp_path):
    server.resumes, server.cuts, server.cut = False, 99, 500
    with pytest.raises(
        UserError, match="another size; 0.5 kB of .* came.* Give the same command again to go on"
    ):
        fetch("voc2012", tmp_path / "data", server.address)
    assert (tmp_path / "data" / f"{voc.name}.partial").stat().st_size == 500 and len(server.asked) < 10


def test_a_wrong_checksum_is_set_aside(server, voc, tmp_path):
    content = bytearray(voc.read_bytes())
    content[700] ^= 1
    voc.write_bytes(content)
    with pytest.raises(UserError, match="not what it should be: its MD5 is .* set aside as .*tar.wrong"):
        fetch("voc2012", tmp_path / "data", server.address)
    assert not (tmp_path / "data" / "VOCdevkit").exists() and not list((tmp_path / "data").glob("*.partial"))


def test_without_a_network_one_sentence_says_what_to_get(voc, tmp_path):
    with pytest.raises(UserError) as error:
        fetch("voc2012", tmp_path / "data")  # port 9 answers nobody
    said = str(error.value)
    assert (
        said.count(voc.name) == 2
        and "127.0.0.1:9: not reached" in said
        and SOURCES["voc2012"].archives[0].md5 in said
        and "only unpacked" in said
    )
    shutil.copy(voc, tmp_path / "data")
    fetch("voc2012", tmp_path / "data")
    assert (tmp_path / "data" / "VOCdevkit").is_dir()


def test_a_file_the_server_does_not_have(server, voc, tmp_path):
    voc.unlink()
    with pytest.raises(UserError, match="the server says 404"):
        fetch("voc2012", tmp_path / "data", server.address)


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/tmp/outside-of-everything.txt", "VOCdevkit/../../outside.txt"]
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_nothing_is_written_outside_the_folder(tmp_path, name, kind):
    path = tmp_path / f"evil.{kind}"
    if kind == "tar":
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "")
    with pytest.raises(UserError, match="outside"):
        fetching.unpack(path, tmp_path / "data", lambda *_: None)
    assert not (tmp_path / "outside.txt").exists()


def test_links_in_an_archive_are_not_made(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        link = tarfile.TarInfo("VOCdevkit")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("VOCdevkit/a.txt"), io.BytesIO())
    fetching.unpack(tmp_path / "evil.tar", tmp_path / "data", lambda *_: None)
    assert not (tmp_path / "data" / "VOCdevkit").is_symlink() and not (tmp_path / "elsewhere").exists()


def test_a_disk_that_is_too_small_is_said_before(server, voc, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 10**6))
    with pytest.raises(UserError, match="1 MB free and .* are needed"):
        fetch("voc2012", tmp_path / "data", server.address)
    assert server.asked == []


def test_a_disk_that_fills_up_is_one_sentence(server, voc, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching.shutil, "copyfileobj", full)
    with pytest.raises(UserError, match="is full; make room and give the same command again"):
        fetch("voc2012", tmp_path / "data", server.address)
    monkeypatch.undo()


def test_nuswide_wants_a_person(tmp_path):
    with pytest.raises(
        UserError, match=r"Agreement and Disclaimer Form[\s\S]*Flickr.zip[\s\S]*ccd data check nuswide:"
    ):
        fetch("nuswide", tmp_path)
