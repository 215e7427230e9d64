"""Lists of class names as people and programs write them."""

from __future__ import annotations

import os
import time

import pytest

from ccd_core.data.listing.class_names import read_class_list, read_classes
from ccd_core.errors import UserError

THREE = ("dog", "big cat", "person")


@pytest.mark.parametrize(
    "content",
    [
        b"dog\nbig cat\nperson\n",
        b"dog\r\nbig cat\r\nperson",
        b"dog\rbig cat\rperson\r",
        b"\xef\xbb\xbf# classes\n dog \n\nbig cat\n# more\nperson",
        b"dog, big cat, person\n",
        b"dog;big cat;person",
        b"dog\tbig cat\tperson",
        b"dog,\nbig cat,\nperson,\n",
        b'"dog"\n"big cat"\n"person"\n',
        b"'dog',\n'big cat',\n'person'\n",
        "“dog”\n“big cat”\n“person”\n".encode(),
        b'"dog", "big cat", "person"\n',
        b"0 dog\n1 big cat\n2 person\n",
        b"0: dog\n1: big cat\n2: person\n",
        b"names:\n  0: dog\n  1: big cat\n  2: person\n",
        b"1. dog\n2. big cat\n3. person\n",
        b"2,person\n0,dog\n1,big cat\n",
        b"- dog\n- big cat\n- person\n",
        b"dog\t120\nbig cat\t80\nperson\t7\n",
        b"name\tcount\ndog\t120\nbig cat\t80\nperson\t7\n",
        b"dog,120\nbig cat,80\nperson,7\n",
        b"n02084071\tdog\nn02121620\tbig cat\nn00007846\tperson\n",
        b'["dog", "big cat", "person"]',
        b"['dog', 'big cat', 'person']",
        b'[\n  "dog",\n  "big cat",\n  "person"\n]\n',
        b'{"1": "big cat", "0": "dog", "2": "person"}',
        b'{"big cat": 1, "dog": 0, "person": 2}',
        b'[{"id": 5, "name": "person"}, {"id": 1, "name": "dog"}, {"id": 2, "name": "big cat"}]',
        "dog\nbig cat\nperson\n".encode("utf-16"),
        "dog\nbig cat\nperson\n".encode("utf-16-le"),
        "dog\nbig cat\nperson\n".encode("utf-16-be"),
        "dog\nbig cat\nperson\n".encode("utf-32"),
        "\u200bdog\nbig\u00a0cat\nper\u00adson\u200b\n".encode(),
        "dog\nbig\u2028cat\nperson".encode(),
        b"dog\nbig\x0bcat\nperson",
    ],
)
def test_every_way_to_write_three_names(tmp_path, content):
    (tmp_path / "classes.txt").write_bytes(content)
    assert read_classes(tmp_path / "classes.txt") == THREE


def test_what_was_understood_is_said(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes(b"dog\ncat\n")
    assert read_class_list(path)[1] == []
    path.write_bytes(b"0 dog\n1 cat\n")
    (note,) = read_class_list(path)[1]
    assert "classes.txt was read as numbered names: 2 classes, such as 'dog' and 'cat'" in note
    path.write_bytes("crème\ncafé\n".encode("latin-1"))
    names, (note,) = read_class_list(path)
    assert names == ("crème", "café") and "Windows-1252" in note


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"1 euro\n2 euro\n", ("1 euro", "2 euro")),  # the numbers are what tells them apart
        (b"7 up\ncola\n", ("7 up", "cola")),
        (
            b"tench, Tinca tinca\ngoldfish, Carassius auratus\n",
            ("tench, Tinca tinca", "goldfish, Carassius auratus"),
        ),
        (b"dog\n[/b]old dog\n", ("dog", "[/b]old dog")),
        (b"[bold]\n[b]\n", ("[bold]", "[b]")),
        (b"chair;table\nchair\ntable\n", ("chair;table", "chair", "table")),
        ("cafe\u0301\ncat\n".encode(), ("café", "cat")),
        ("می\u200cخواهم\nسگ\n".encode(), ("می\u200cخواهم", "سگ")),  # this joiner belongs to the word
        ("👩\u200d🍳\ncat\n".encode(), ("👩\u200d🍳", "cat")),
        (b"rock 'n' roll\nthe dogs'\n", ("rock 'n' roll", "the dogs'")),
    ],
)
def test_names_that_only_look_like_something_else_stay(tmp_path, content, names):
    (tmp_path / "classes.txt").write_bytes(content)
    assert read_classes(tmp_path / "classes.txt") == names


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no class names; write one a line"),
        (b"# dog\n,\n", "has no class names"),
        (b"[]", "neither a list of names"),
        (b'["dog", 5]', "neither a list of names"),
        (b'["dog", "cat"', "looks like a list in JSON"),
        (b"[dog, cat]", "cannot be read as one; write one name a line"),
        (b"dog\ncat\ndog\n", "names dog more than once"),
        ("café\ncafe\u0301\n".encode(), "names café more than once"),
        (b"Dog\ndog\ncat\n", "differ in capital letters only: 'Dog' and 'dog'"),
        (b"dog\tanimal\nfern\tplant\n", "lines of several columns, such as 'dog\\\\tanimal'"),
        ("собака\nкошка\n".encode("cp1251"), "save it as text in UTF-8"),
        ("犬\n猫\n".encode("shift-jis"), "save it as text in UTF-8"),
        (bytes(range(256)), "save it as text in UTF-8"),
        (b"\xff\xfed", "save it as text in UTF-8"),
    ],
)
def test_what_could_mean_two_things_is_refused(tmp_path, content, sentence):
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(UserError, match=sentence) as error:
        read_classes(tmp_path / "classes.txt")
    assert "classes.txt" in str(error.value) and "\n" not in str(error.value)


def test_a_list_that_is_no_file(tmp_path):
    with pytest.raises(UserError, match="no list of class names"):
        read_classes(tmp_path / "classes.txt")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not an ordinary file"):
        read_classes(tmp_path / "pipe")
    with pytest.raises(UserError, match="is a folder"):
        read_classes(tmp_path)


def test_many_names_take_no_time(tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(f"class {number}" for number in range(22_000)))
    began = time.process_time()
    assert len(read_classes(tmp_path / "classes.txt")) == 22_000
    assert time.process_time() - began < 2
