"""Images of real formats, modes and orientations, and files that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ccd_core.data.images import image_size, read_image
from ccd_core.errors import ImageError
from tests.make_datasets import PICTURE, broken_files


def red_on_the_left(pixels: np.ndarray) -> bool:
    return pixels.shape == (40, 60, 3) and pixels[20, 5, 0] > 150 and pixels[20, 55, 0] < 90


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tiff", "a.gif"])
def test_formats(tmp_path, name):
    Image.fromarray(PICTURE).save(tmp_path / name)
    assert red_on_the_left(read_image(tmp_path / name))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA", "I;16"])
def test_modes(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image = Image.fromarray(PICTURE)
    if mode == "I;16":
        image = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16)) * 256)
    else:
        image = image.convert(mode)
    image.save(path)
    pixels = read_image(path)
    assert pixels.shape == (40, 60, 3) and pixels.dtype == np.uint8
    assert pixels[20, 5].mean() > pixels[20, 55].mean() + 20


def test_transparent_is_white(tmp_path):
    Image.fromarray(np.zeros((10, 10, 4), np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_come_upright(tmp_path, orientation):
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # what undoes the viewer's turn
    image = Image.fromarray(PICTURE)
    exif = Image.Exif()
    exif[0x0112] = orientation
    (image if turned is None else image.transpose(Image.Transpose(turned))).save(
        tmp_path / "a.jpg", exif=exif, quality=95
    )
    assert red_on_the_left(read_image(tmp_path / "a.jpg"))
    assert image_size(tmp_path / "a.jpg") == (60, 40)


def test_each_broken_file_is_one_sentence_that_names_it(tmp_path):
    files = broken_files(tmp_path)
    assert len(files) == 12
    for path in files:
        with pytest.raises(ImageError) as error:
            read_image(path)
        assert path.name in str(error.value) and "\n" not in str(error.value)
