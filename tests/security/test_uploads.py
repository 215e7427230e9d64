"""What people upload is theirs alone and of a bounded size; no link leads out of a folder that is open."""

from __future__ import annotations

import io
import os
import stat
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import config

from app import upload_quota
from app.parts.train.data import checked_dataset
from app.reading import uploads
from app.reading.asking.predictions import images_in
from app.reading.readable_folders import permitted, permitted_tree, refusals
from app.reading.uploads import store_uploads
from app.routes import ROUTES, image_url
from app.upload_quota import UploadQuota
from ccd_core.data.decoding.images import read_image
from ccd_core.data.decoding.pixel_budget import PixelBudget
from ccd_core.errors import UserError
from ccd_core.paths import private_folder
from ccd_core.runs.run import Run


def upload(name: str, content: bytes) -> SimpleNamespace:
    return SimpleNamespace(name=name, file_id=name, getvalue=lambda: content)


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def own_workspace(tmp_path, monkeypatch):
    """A workspace with an upload of somebody else."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("CCD_RUNS", str(folder))
    monkeypatch.setenv("CCD_DATA", "")
    monkeypatch.setenv("CCD_SHARED", "")
    config.set_option("server.address", "127.0.0.1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(st, "session_state", {})
    (stored,) = store_uploads([upload("theirs.png", png(8, 8))]).values()
    monkeypatch.setattr(st, "session_state", {})
    return SimpleNamespace(folder=folder, theirs=stored)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_uploads_and_caches_are_for_this_user_alone(own_workspace, tmp_path):
    assert mode(own_workspace.theirs.parent) == mode(own_workspace.folder / ".uploads") == 0o700
    made = private_folder(tmp_path / "cache" / "ccd" / "decoded")
    assert mode(made) == mode(made.parent) == mode(made.parent.parent) == 0o700
    (tmp_path / "shared").mkdir(mode=0o755)
    private_folder(tmp_path / "shared")
    assert mode(tmp_path / "shared") == 0o755  # what is there was made by somebody who knew why


def test_other_peoples_uploads_are_no_folder_to_read(own_workspace, tiny_run, monkeypatch):
    monkeypatch.setenv("CCD_SHARED", "1")
    (own_workspace.folder / "link").symlink_to(own_workspace.theirs.parent)
    for path in (own_workspace.theirs, own_workspace.theirs.parent, own_workspace.folder / ".uploads"):
        with pytest.raises(UserError, match="each for themselves"):
            permitted(path)
    with pytest.raises(UserError, match="each for themselves"):
        images_in(tiny_run, str(own_workspace.folder / "link"))
    with pytest.raises(UserError, match="There are no images"):
        images_in(tiny_run, str(own_workspace.folder))
    settings = tiny_run.config.changed(data={"spec": f"folder:{own_workspace.folder}"})
    assert "name a folder in it" in refusals(settings)["data.spec"]
    report = checked_dataset(f"folder:{own_workspace.folder}", None)
    assert report and not report.ok and "name a folder in it" in str(report.problem)


def test_links_lead_out_of_no_folder_where_others_reach_the_app(
    own_workspace, tmp_path, monkeypatch, tiny_run
):
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0")
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(data / "a.jpg")
    (data / "classes.txt").symlink_to(secret)
    monkeypatch.setenv("CCD_DATA", str(data))
    assert permitted_tree(data) == data  # the user of this machine may have links
    monkeypatch.setenv("CCD_SHARED", "1")
    for link in (data / "classes.txt", data / "deep" / "folder", data / "deep" / "b.jpg"):
        if not os.path.lexists(link):
            link.symlink_to(secret if link.suffix else tmp_path)
        st.cache_data.clear()
        with pytest.raises(UserError, match=rf"{link} is a link that leads out"):
            permitted_tree(data)
        settings = tiny_run.config.changed(data={"spec": f"folder:{data}"})
        assert str(link) in refusals(settings)["data.spec"]
        report = checked_dataset(f"folder:{data}", None)
        assert report and not report.ok and str(link) in str(report.problem)
        link.unlink()
    (data / "inside.jpg").symlink_to(data / "a.jpg")
    st.cache_data.clear()
    assert permitted_tree(data) == data


def test_a_thumbnail_of_a_link_that_leads_out_is_not_served(copied_run, tiny_scenes, tmp_path, monkeypatch):
    run = copied_run("runs/linked")
    private = tmp_path / "private.jpg"
    data = tmp_path / "data"
    Image.new("RGB", (64, 64)).save(private)
    data.mkdir()
    (data / "linked.jpg").symlink_to(private)
    Image.new("RGB", (64, 64)).save(data / "own.jpg")
    (data / "classes.txt").write_text("\n".join(run.classes))
    settings = run.file("config.yaml")
    settings.write_text(settings.read_text().replace(run.config.data.spec, f"folder:{data}"))
    monkeypatch.setenv("CCD_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CCD_DATA", str(data))

    def statuses() -> tuple[int, int]:
        with TestClient(Starlette(routes=ROUTES)) as client:
            first, second = (
                client.get(image_url("linked", name)).status_code for name in ("own.jpg", "linked.jpg")
            )
            return first, second

    assert Run.open(run.path).config.data.spec == f"folder:{data}"
    monkeypatch.setenv("CCD_SHARED", "1")
    assert statuses() == (200, 404)
    monkeypatch.setenv("CCD_DATA", os.pathsep.join([str(data), str(tmp_path)]))
    assert statuses() == (200, 200)


# -- sizes -----------------------------------------------------------------------------------------------


def test_an_upload_has_a_bounded_number_of_pixels(own_workspace):
    large = png(14_100, 14_100)
    assert len(large) < 30_000
    with pytest.raises(UserError, match=r"big\.png: an upload has at most 100 million pixels"):
        store_uploads([upload("small.png", png(9, 9)), upload("big.png", large)])
    with pytest.raises(UserError, match=r"0\.png, 1\.png, 2\.png and others: .* these 5 images"):
        store_uploads([upload(f"{number}.png", large) for number in range(5)])
    stored = store_uploads([upload("photo.png", png(9000, 9000)), upload("none.jpg", b"no image")])
    assert set(stored) == {"photo.png", "none.jpg"}


def test_uploads_of_all_people_together_have_a_limit(own_workspace, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_STORED", own_workspace.theirs.stat().st_size + 10)
    with pytest.raises(UserError, match="The uploads of this app take .* already"):
        store_uploads([upload("mine.png", png(64, 64))])


def test_what_the_app_holds_in_memory_has_a_limit(monkeypatch):
    monkeypatch.setattr(upload_quota, "held", lambda session: (900 if session == "full" else 0, 1500))
    pages = [
        Route("/_stcore/upload_file/{s}/{f}", lambda request: PlainTextResponse("taken"), methods=["PUT"])
    ]
    quota = Middleware(UploadQuota, most_of_one=1000, most_of_all=2000)
    client = TestClient(Starlette(routes=pages, middleware=[quota]))
    for session, size, status in (
        ("new", 400, 200),
        ("new", 501, 413),
        ("full", 101, 413),
        ("full", 100, 200),
    ):
        assert client.put(f"/_stcore/upload_file/{session}/f", content=b"x" * size).status_code == status
    assert client.put("/_stcore/upload_file/new/f", content=iter([b"x"])).status_code == 411
    assert client.get("/_stcore/other").status_code == 404


def test_threads_wait_for_room_and_a_large_image_is_decoded_alone():
    budget = PixelBudget(100)
    now: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def decode(pixels: int) -> None:
        with budget.room_for(pixels):
            with lock:
                now.append(pixels)
                most.append(sum(now))
            time.sleep(0.02)
            with lock:
                now.remove(pixels)

    threads = [
        threading.Thread(target=decode, args=(pixels,)) for pixels in [40, 60, 250, 40, 60, 250, 100] * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)
    assert max(total for total in most if total != 250) <= 100 and 250 in most
    with pytest.raises(RuntimeError), budget.room_for(100):
        raise RuntimeError
    with budget.room_for(100):  # the room of a failed decoder is free again
        pass


def test_large_images_are_decoded_one_after_the_other(tmp_path, monkeypatch):
    """Eight threads, each with an image as large as the budget, take the memory of one."""
    from ccd_core.data.decoding import images

    budget = PixelBudget(1_000_000)
    decoding: list[int] = []
    most: list[int] = []
    decode = images._decoded

    def watched(*arguments):
        decoding.append(1)
        most.append(len(decoding))
        time.sleep(0.01)
        decoding.pop()
        return decode(*arguments)

    monkeypatch.setattr(images, "DECODING", budget)
    monkeypatch.setattr(images, "_decoded", watched)
    noise = np.random.default_rng(0).integers(0, 255, (1000, 1000, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    threads = [threading.Thread(target=read_image, args=(tmp_path / "large.png",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert most == [1] * 8
