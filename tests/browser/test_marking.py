"""Page Results: a person marks images with the keyboard, and the run is measured."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect

from ccd_core.evaluation import marked
from ccd_core.runs.run import Run
from tests.browser.conftest import served
from tests.browser.waiting import settled
from tests.support import wait_for

pytestmark = pytest.mark.browser


def test_images_are_marked_with_the_keyboard_and_measured(page, copied_run, tiny_scenes, tmp_path):
    """On a folder without labels, where marking is what Results shows first."""
    run = copied_run("runs/mine")
    photos = tmp_path / "photos"
    photos.mkdir()
    for image in [*run.load_scores("train")["ids"], *run.load_scores("val")["ids"]]:
        shutil.copy(tiny_scenes / "JPEGImages" / f"{image}.jpg", photos / f"{image}.jpg")
    (photos / "classes.txt").write_text("\n".join(run.classes))
    _make_folder_run(run, photos)
    order = marked.sample(run.load_scores("val")["ids"].tolist())

    def marks() -> list[list[int]]:
        return [one.nonzero()[0].tolist() for one in marked.load_marks(run).values()]

    with served(run.path.parent) as address:
        page.goto(f"{address}/results?run=mine")
        settled(page)
        box = page.locator(".marking")
        box.wait_for()
        expect(box).to_contain_text(f"Image 1 of {len(order)}")
        expect(box).to_contain_text(order[0])
        page.wait_for_function(_IMAGE_LOADED)
        box.focus()
        page.keyboard.press("1")
        page.keyboard.press("3")
        page.keyboard.press("1")  # off again
        page.keyboard.press("Enter")
        wait_for(lambda: marks() == [[2]])
        page.get_by_text("Image 2 of", exact=False).wait_for()
        page.keyboard.press("2")
        page.keyboard.press("n")
        page.get_by_text("Image 3 of", exact=False).wait_for()
        page.keyboard.press("u")  # back to the second, which is shown as it was marked
        page.get_by_text("Image 2 of", exact=False).wait_for()
        pressed = page.locator(".marking button[aria-pressed=true]")
        wait_for(lambda: pressed.inner_text().startswith(run.classes[1]))
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        wait_for(lambda: marks() == [[2], []])
        for image in order[2:9]:
            marked.save_mark(run, image, [0])
        page.reload()  # what is kept is gone on with
        page.get_by_text("Image 10 of", exact=False).wait_for()
        page.locator(".marking").focus()
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        page.get_by_text("Measured on 10 marked images").wait_for()
        page.get_by_text("30 more images", exact=False).wait_for()
    assert not page.locator("[data-testid=stException]").count()


_IMAGE_LOADED = """() => {
  const hosts = [...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean);
  const found = [document, ...hosts].map((root) => root.querySelector(".marking img")).find(Boolean);
  return found && found.complete && found.naturalWidth > 0;
}"""


def _make_folder_run(run: Run, photos) -> None:
    """Make the copied run one of a folder without labels, as if it had been trained on it."""
    import numpy as np
    import yaml

    path = run.file("config.yaml")
    settings = yaml.safe_load(path.read_text())
    settings["data"]["spec"] = f"folder:{photos}"
    path.write_text(yaml.safe_dump(settings))
    for name in ("scores/ap.json", "dataset.npz"):
        run.file(*name.split("/")).unlink(missing_ok=True)
    for split in ("train", "val"):
        file = run.file("scores", f"{split}.npz")
        arrays = dict(np.load(file))
        arrays["ids"] = np.array([f"{image}.jpg" for image in arrays["ids"]])
        np.savez(file, **arrays)
