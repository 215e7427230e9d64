"""Toy scenes: the same for the same seed, and as varied as the demo needs."""

from __future__ import annotations

from ccd_core.toy.scenes import CLASSES, draw_scene, write_dataset


def test_same_seed_same_scenes(tmp_path):
    for name in ("one", "two"):
        write_dataset(tmp_path / name, {"train": 3, "val": 2})
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 12
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_drawing_goes_on_where_it_was_interrupted(tmp_path):
    write_dataset(tmp_path, {"train": 4})
    (tmp_path / "ImageSets/Main/train.txt").unlink()
    kept = (tmp_path / "JPEGImages/train_000002.jpg").stat().st_mtime_ns
    write_dataset(tmp_path, {"train": 4})
    assert (tmp_path / "JPEGImages/train_000002.jpg").stat().st_mtime_ns == kept


def test_scenes_have_the_promised_variety():
    scenes = [draw_scene(3, index, 0.1) for index in range(400)]
    counts = [len({name for name, _ in scene.objects}) for scene in scenes]
    frequency = {name: sum(name in {n for n, _ in scene.objects} for scene in scenes) for name in CLASSES}
    assert len(CLASSES) >= 14 and set(range(6)) >= set(counts) >= set(range(5))
    assert 0.02 < counts.count(0) / 400 < 0.09
    assert min(frequency.values()) > 5 and max(frequency.values()) > 3 * min(frequency.values())


def test_boxes_hold_their_objects():
    """A box lies in the image and is as large as the objects are drawn."""
    for index in range(30):
        scene = draw_scene(5, index)
        height, width = scene.image.shape[:2]
        for _, (x0, y0, x1, y1) in scene.objects:
            assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
            assert 0.04 * min(width, height) < max(x1 - x0, y1 - y0) < 0.62 * max(width, height)
