"""Which files of a folder are images: odd names, links, and what only looks like a picture."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from ccd_core.data import open_dataset
from ccd_core.data.decoding.formats import FORMATS, format_of
from ccd_core.data.decoding.images import image_size, read_image
from ccd_core.data.listing.find import find_files, find_images, stream_files
from ccd_core.data.listing.names import as_name, as_text, shown, some
from ccd_core.errors import ImageError, UserError
from tests.make_datasets import PICTURE, photos

ODD = os.fsdecode(b"caf\xe9.jpg")


@pytest.mark.parametrize(
    "name",
    [
        b"a.jpg", b"caf\xe9.jpg", "café.jpg".encode(), b"a\\b.jpg", b"caf\\xe9.jpg", b"\\x5c.jpg",
        b"\\x5cxe9\xe9.jpg", b"\\\\xe9.jpg", b"two\nlines.jpg", b"\xff\xfe\\x", "\U0001f408.jpg".encode(),
        bytes(range(1, 256)).replace(b"/", b""),
    ],
)  # fmt: skip
def test_every_name_has_a_text_that_gives_it_back(name):
    text = as_text(os.fsdecode(name))
    assert os.fsencode(as_name(text)) == name
    assert text.encode().decode() == text and json.loads(json.dumps(text)) == text
    assert pa.array([text])[0].as_py() == text and np.array([text])[0] == text
    assert shown(os.fsdecode(name)).encode().decode().isprintable()


def test_two_names_never_have_one_text():
    names = [
        b"caf\xe9.jpg",
        b"caf\\xe9.jpg",
        b"caf\\x5cxe9.jpg",
        "café.jpg".encode(),
        "cafe\u0301.jpg".encode(),
    ]
    assert len({as_text(os.fsdecode(name)) for name in names}) == len(names)
    assert as_text(ODD) == "caf\\xe9.jpg"


def test_names_in_a_sentence():
    assert some(["a"]) == "'a'" and some(["a", "b"]) == "'a' and 'b'"
    assert some(["a\nb", "b", "c", "d", "e"]) == "'a\\nb', 'b', 'c' and 2 more"
    assert len(shown("a" * 1000 + ".jpg")) == 120 and shown("a" * 1000 + ".jpg").endswith("aaa.jpg")


@pytest.fixture
def folder(tmp_path):
    photos(tmp_path, "a.jpg", "deep/b.jpg")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    return tmp_path


def test_odd_names_are_used(folder):
    os.rename(folder / "a.jpg", os.fsencode(folder) + b"/caf\xe9.jpg")
    for name in ("two\nlines.jpg", "-dash.jpg", "q\"uo'te;semi,comma.jpg", " blank.jpg", "[b].jpg"):
        photos(folder, name)
    dataset = open_dataset(f"folder:{folder}")
    images = dataset.splits["train"]
    assert set(images.ids) == {
        "caf\\xe9.jpg", "deep/b.jpg", "two\nlines.jpg", "-dash.jpg", "q\"uo'te;semi,comma.jpg", " blank.jpg",
        "[b].jpg",
    }  # fmt: skip
    assert all(read_image(path).shape == (40, 60, 3) for path in images.paths)
    assert images.path("caf\\xe9.jpg") == folder / ODD and dataset.notes == ()
    assert len(images.without(["deep/b.jpg"]).paths) == 6 and all(
        path.is_file() for path in images.without(["deep/b.jpg"]).paths
    )
    with open(folder / ODD, "wb") as file:
        file.write(b"no picture")
    with pytest.raises(ImageError, match=r"caf\\xe9.jpg is not an image") as error:
        read_image(folder / ODD)
    assert str(error.value).encode()


def test_linked_folders_are_followed_and_each_file_counts_once(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    photos(elsewhere, "x.jpg", "in/y.jpg")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "linked_again").symlink_to(elsewhere)
    (folder / "into").symlink_to(elsewhere / "in")
    (folder / "loop").symlink_to(folder)
    (folder / "deep" / "up").symlink_to("..")
    (folder / "top").symlink_to("/")
    (elsewhere / "back").symlink_to(folder)
    (folder / "also_a.jpg").symlink_to("a.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    found = find_files(folder)
    assert found.images == ["a.jpg", "deep/b.jpg", "gone.jpg", "into/y.jpg", "linked/x.jpg"]
    assert list(found.left_out) == ["also_a.jpg"]
    assert find_images(folder, follow_links=False) == ["a.jpg", "deep/b.jpg", "gone.jpg"]
    left_out: dict[str, str] = {}
    names = ["a.jpg", "deep/b.jpg", "into/y.jpg", "linked/x.jpg", "gone.jpg"]  # links to files come last
    assert list(stream_files(folder, left_out)) == names and left_out == found.left_out


def test_any_number_of_images_is_listed_in_the_order_of_their_names(folder):
    photos(folder, "a/1.jpg", "a-b.jpg", "a/z/2.jpg", "a/b.jpg", "ab/3.jpg")
    names = list(stream_files(folder, {}))
    assert names == sorted(names) == find_images(folder)


def test_images_without_a_suffix(folder):
    for name, kind in (
        ("IMG_0001", "JPEG"),
        ("scan", "TIFF"),
        ("screen", "PNG"),
        ("w", "WEBP"),
        ("b", "BMP"),
    ):
        Image.fromarray(PICTURE).save(folder / name, format=kind)
    Image.fromarray(PICTURE).save(folder / "windows.jfif", format="JPEG")
    (folder / "README").write_text("nothing to see")
    (folder / "empty").write_bytes(b"")
    os.mkfifo(folder / "pipe")
    images = open_dataset(f"folder:{folder}").splits["train"]
    assert images.ids == ("IMG_0001", "a.jpg", "b", "deep/b.jpg", "scan", "screen", "w", "windows.jfif")
    assert all(image_size(path) == (60, 40) for path in images.paths)


def test_what_looks_like_a_picture_is_listed(folder):
    Image.fromarray(PICTURE).save(folder / "photo.jpg_large", format="JPEG")
    contents = {
        "raw.CR2": b"II*\0" * 50, "logo.svg": b"<svg/>", "page.pdf": b"%PDF-1.7",
        "film.MOV": b"\0\0\0\x14ftypqt  ",
        "xray.dcm": bytes(128) + b"DICM", "IM0001": bytes(128) + b"DICM", "art.psd": b"8BPS",
        "sat.jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
        "notes.md": b"# notes", "list.xml": b"<a/>", "clip": b"\0\0\0\x18ftypmp42",
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    dataset = open_dataset(f"folder:{folder}")
    assert dataset.splits["train"].ids == ("a.jpg", "deep/b.jpg")
    assert set(dataset.left_out) == {*contents, "photo.jpg_large"} - {"notes.md", "list.xml"}
    notes = " ".join(dataset.notes)
    assert "1 file ('raw.CR2'): camera RAW is not read; convert it to JPEG or PNG." in notes
    assert "2 files ('clip' and 'film.MOV'): video is not read" in notes
    assert "('photo.jpg_large'): its name has another suffix than a picture's; rename it" in notes


def test_a_format_whose_decoder_is_missing_is_listed_with_its_package(folder, monkeypatch):
    from ccd_core.data.decoding import formats
    from ccd_core.data.listing import find

    monkeypatch.setattr(formats, "FORMATS", ("JPEG", "PNG"))
    monkeypatch.setattr(find, "IMAGE_SUFFIXES", (".jpg", ".png"))
    monkeypatch.setattr(find, "FORMATS", ("JPEG", "PNG"))
    (folder / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 200)
    found = find_files(folder)
    assert found.images == ["a.jpg", "deep/b.jpg"]
    assert "package pillow-heif" in found.left_out["IMG_1.HEIC"] and len(found.notes()) == 1


def test_a_damaged_heic_is_one_sentence(folder):
    if "HEIF" not in FORMATS:
        pytest.skip("pillow-heif is not installed")
    (folder / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 200)
    with pytest.raises(ImageError, match=r"IMG_1\.HEIC "):
        read_image(folder / "IMG_1.HEIC")


def test_a_folder_of_nothing_but_other_pictures_says_so(tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "raw.nef").write_bytes(b"II*\0")
    with pytest.raises(
        UserError, match=r"no images in .*Left out: 1 file \('raw.nef'\): camera RAW is not read"
    ):
        open_dataset(f"folder:{tmp_path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_closed_folder_is_listed(folder):
    (folder / "deep").chmod(0)
    try:
        assert "may not enter the folder" in find_files(folder).left_out["deep"]
    finally:
        (folder / "deep").chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_named(folder, monkeypatch):
    scandir = os.scandir

    def closed(path):
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = find_files(folder)
    assert found.images == ["a.jpg"] and "may not enter the folder" in found.left_out["deep"]


def test_formats_by_their_first_bytes(tmp_path):
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
        Image.fromarray(PICTURE).save(tmp_path / "a", format=kind)
        assert format_of((tmp_path / "a").read_bytes()[:132]) == kind
    for content in (b"", b"BM", b"hello world" * 20, b"RIFF1234WAVE", bytes(200)):
        assert format_of(content) is None
