"""Files that leave a run's folder are ordinary files of the folder, never what a link leads to."""

from __future__ import annotations

import pytest

from ccd_core.errors import UserError
from ccd_core.runs.files.shared_files import (
    is_own_file,
    links_among_examples,
    require_own_file,
    shipped_examples,
)
from tests.make_datasets import picture


@pytest.fixture
def run(tmp_path):
    """A folder with two examples, one of which is a link to a secret outside."""
    secret = picture(tmp_path / "outside" / "secret.jpg")
    folder = tmp_path / "run"
    picture(folder / "examples" / "one.jpg")
    (folder / "examples" / "two.jpg").symlink_to(secret)
    (folder / "more").symlink_to(secret.parent)
    return folder


def test_a_link_is_no_own_file_wherever_it_stands_on_the_way(run):
    assert is_own_file(run, "examples/one.jpg")
    assert not is_own_file(run, "examples/two.jpg") and not is_own_file(run, "more/secret.jpg")
    assert not is_own_file(run, "examples") and not is_own_file(run, "nothing.jpg")
    assert require_own_file(run, "examples/one.jpg") == run / "examples" / "one.jpg"
    with pytest.raises(UserError, match="two.jpg is a link.* is not copied"):
        require_own_file(run, "examples/two.jpg")


def test_examples_are_shipped_without_links(run, tmp_path):
    assert shipped_examples(run) == [run / "examples" / "one.jpg"] and links_among_examples(run) == 1
    assert shipped_examples(tmp_path) is None and links_among_examples(tmp_path) == 0


def test_examples_that_are_a_link_themselves_are_not_shipped(run, tmp_path):
    (tmp_path / "examples").symlink_to(run / "examples")
    assert shipped_examples(tmp_path) == [] and links_among_examples(tmp_path) == 1
