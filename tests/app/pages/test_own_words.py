"""A picture that the run knows nothing about is asked about in words typed in place."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.parts import own_words


@pytest.fixture
def part(monkeypatch):
    """The part on a page of its own. Returns the test, and what the teacher was asked."""
    asked = []

    def answer(preset, path, words):
        asked.append((preset, str(path), words))
        return [1 / len(words)] * len(words)

    monkeypatch.setattr(own_words, "ask_about_picture", answer)

    def show(known):
        monkeypatch.setattr(own_words, "known_teachers", lambda: known)

        def page():
            from pathlib import Path

            from app.parts.own_words import own_words_part

            own_words_part(Path("/photos/a.jpg"), "a.jpg")

        return AppTest.from_function(page).run(), asked

    return show


def test_words_are_asked_of_the_teacher_that_is_chosen(part):
    test, asked = part(["laptop", "offline"])
    test.text_input(key="own_words").set_value("dog, cat, dog,").run()
    test.selectbox(key="own_teacher").set_value("offline").run()
    test.button(key="ask_own_words").click().run()
    assert not test.exception and asked == [("offline", "/photos/a.jpg", ["dog", "cat"])]
    assert test.dataframe[0].value["word"].tolist() == ["dog", "cat"]
    assert any("not CLIP" in caption.value for caption in test.caption)


def test_one_word_and_no_teacher_are_sentences(part):
    test, asked = part(["offline"])
    test.text_input(key="own_words").set_value("dog").run()
    assert any("two words or more" in caption.value for caption in test.caption)
    test, _ = part([])
    assert any("pip install" in caption.value for caption in test.caption) and not asked
