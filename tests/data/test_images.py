"""Images of real formats, modes and orientations, and files that cannot be used."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image

from ccd_core.data import open_dataset
from ccd_core.data.decoding.formats import FORMATS, load_decoders
from ccd_core.data.decoding.images import image_size, read_image
from ccd_core.data.loading import read_batches
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


# Colours of the quadrants of a test picture of 64x48 pixels: the upper two, then the lower two.
QUADRANTS = [(220, 30, 30), (30, 200, 40), (30, 40, 210), (230, 220, 40)]


def quadrants(values) -> np.ndarray:
    """[48, 64, ...] with four values, one for each quadrant."""
    return np.repeat(np.repeat(np.array(values).reshape(2, 2, *np.shape(values[0])), 24, 0), 32, 1)


def seen(pixels: np.ndarray) -> list[tuple[int, ...]]:
    assert pixels.shape == (48, 64, 3) and pixels.dtype == np.uint8
    return [tuple(pixels[y, x].tolist()) for y in (12, 36) for x in (16, 48)]


def greys(path) -> list[int]:
    colours = seen(read_image(path))
    assert all(len(set(colour)) == 1 for colour in colours)
    return [colour[0] for colour in colours]


COLOURS = quadrants(QUADRANTS).astype(np.uint8)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiffs_come_upright_and_sizes_agree(tmp_path, orientation, compression):
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    image = Image.fromarray(COLOURS)
    stored = image if turned is None else image.transpose(Image.Transpose(turned))
    stored.save(tmp_path / "a.tif", tiffinfo={274: orientation}, compression=compression)
    assert seen(read_image(tmp_path / "a.tif")) == QUADRANTS
    assert image_size(tmp_path / "a.tif") == (64, 48)


@pytest.mark.parametrize(
    ("largest", "bits"),
    [(1, 1), (255, 8), (900, 10), (1023, 10), (3000, 12), (4095, 12), (16383, 14), (65535, 16)],
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_files_are_scaled_by_the_bits_in_use(tmp_path, largest, bits, suffix):
    values = quadrants([0, largest // 4, largest // 2, largest]).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    expected = [
        value * 255 if bits == 1 else (value << 16 >> bits >> 8)
        for value in values[::24, ::32].ravel().tolist()
    ]
    assert greys(tmp_path / f"a.{suffix}") == expected
    assert max(expected) > 180


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colours_of_12_bits_in_16(tmp_path, suffix):
    import cv2

    values = (COLOURS[..., ::-1].astype(np.uint16)) << 4
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), values)
    assert seen(read_image(tmp_path / f"a.{suffix}")) == QUADRANTS
    cv2.imwrite(str(tmp_path / f"b.{suffix}"), values << 4)
    assert seen(read_image(tmp_path / f"b.{suffix}")) == QUADRANTS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0, 1.02], [0, 127, 255, 255]),
        ([-0.02, 0.0, 0.5, 1.0], [0, 0, 127, 255]),
        ([0.0, 1.0, 1.0, 0.0], [0, 255, 255, 0]),
        ([0.0, 100.0, 200.0, 255.0], [0, 100, 200, 255]),
        ([-3.4e38, 0.0, 500.0, 1000.0], [0, 0, 127, 255]),
        ([1e30, 0.0, 500.0, 1000.0], [0, 0, 127, 255]),
        ([-9999.0, 0.0, 500.0, 1000.0], [0, 0, 127, 255]),
        ([np.nan, 0.0, 500.0, 1000.0], [0, 0, 127, 255]),
        ([np.inf, 0.0, 500.0, 1000.0], [255, 0, 127, 255]),
        ([-9999.0, -8000.0, -5000.0, 0.0], [0, 50, 127, 255]),  # here -9999 lies among the other values
        ([np.nan] * 4, [0, 0, 0, 0]),
    ],
)
def test_floating_point_numbers(tmp_path, values, expected):
    Image.fromarray(quadrants(values).astype(np.float32)).save(tmp_path / "a.tif")
    assert greys(tmp_path / "a.tif") == expected


def test_a_declared_value_for_no_data(tmp_path):
    image = Image.fromarray(quadrants([-50.0, 0.0, 500.0, 1000.0]).astype(np.float32))
    image.save(tmp_path / "a.tif", tiffinfo={42113: "-50"})
    assert greys(tmp_path / "a.tif") == [0, 0, 127, 255]


def test_whole_numbers_of_32_bits(tmp_path):
    Image.fromarray(quadrants([0, 1, 1, 0]).astype(np.int32)).save(tmp_path / "a.tif")
    assert greys(tmp_path / "a.tif") == [0, 255, 255, 0]
    Image.fromarray(quadrants([0, 1000, 2000, 4000]).astype(np.int32)).save(tmp_path / "b.tif")
    assert greys(tmp_path / "b.tif") == [0, 63, 127, 255]


def test_white_is_zero(tmp_path):
    Image.fromarray(quadrants([0, 16384, 49152, 65535]).astype(np.uint16)).save(
        tmp_path / "a.tif", tiffinfo={262: 0}
    )
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[262] == 0
    assert greys(tmp_path / "a.tif") == [255, 191, 63, 0]


def test_a_transparent_grey_value_is_white(tmp_path):
    values = quadrants([0, 16384, 49152, 65535]).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png", transparency=0)
    assert greys(tmp_path / "a.png") == [255, 64, 192, 255]


def test_colours_under_complete_transparency(tmp_path):
    pixels = np.concatenate([COLOURS, np.zeros((48, 64, 1), np.uint8)], axis=2)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert seen(read_image(tmp_path / "a.png")) == QUADRANTS
    pixels[:24, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "b.png")
    assert seen(read_image(tmp_path / "b.png")) == [*QUADRANTS[:2], (255, 255, 255), (255, 255, 255)]


@pytest.mark.parametrize("compression", [None, "jpeg", "tiff_lzw"])
def test_tiffs_of_brightness_and_colour(tmp_path, compression):
    Image.fromarray(COLOURS).convert("YCbCr").save(tmp_path / "a.tif", compression=compression)
    for colour, expected in zip(seen(read_image(tmp_path / "a.tif")), QUADRANTS, strict=True):
        assert np.abs(np.subtract(colour, expected)).max() < 12


def noise(height: int = 200, width: int = 300) -> np.ndarray:
    """A picture with detail everywhere, uint8 [H, W, 3]."""
    coarse = np.random.default_rng(0).integers(0, 255, (height // 10, width // 10, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"subsampling": 0}])
def test_a_jpeg_without_its_end_marker(tmp_path, options):
    Image.fromarray(noise()).save(tmp_path / "a.jpg", quality=90, **options)
    content = (tmp_path / "a.jpg").read_bytes()
    whole = read_image(tmp_path / "a.jpg")
    for missing in (1, 2):
        (tmp_path / "b.jpg").write_bytes(content[:-missing])
        np.testing.assert_array_equal(read_image(tmp_path / "b.jpg"), whole)
    for missing in (20, len(content) // 3, len(content) // 2):
        (tmp_path / "b.jpg").write_bytes(content[:-missing])
        with pytest.raises(ImageError, match="cut off"):
            read_image(tmp_path / "b.jpg")


@pytest.mark.parametrize("begin", [0.3, 0.6, 0.9])
def test_a_jpeg_with_a_hole(tmp_path, begin):
    Image.fromarray(noise()).save(tmp_path / "a.jpg", quality=90)
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    place = int(begin * len(content))
    content[place : place + 500] = bytes(500)
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.jpg has a hole"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("colour", [0, 90, 255])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"subsampling": 0}])
def test_zeros_of_a_jpeg_of_one_colour_are_no_hole(tmp_path, colour, options):
    pixels = np.full((900, 1200, 3), colour, np.uint8)
    pixels[:60, :90] = noise(60, 90)
    for name, image in (("rgb", Image.fromarray(pixels)), ("grey", Image.fromarray(pixels).convert("L"))):
        image.save(tmp_path / f"{name}.jpg", quality=90, **options)
        assert abs(int(read_image(tmp_path / f"{name}.jpg")[800, 1000, 0]) - colour) < 3


def test_zeros_beside_the_coded_data_are_no_hole(tmp_path):
    exif = Image.Exif()
    exif[0x9286] = bytes(5000)
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg", quality=95, exif=exif)
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + bytes(5000))
    assert len(seen(read_image(tmp_path / "a.jpg"))) == 4


def test_a_small_file_of_many_pixels_is_refused(tmp_path):
    Image.new("L", (14_000, 14_000)).save(tmp_path / "a.png", compress_level=9)
    with pytest.raises(ImageError, match=r"14000x14000 pixels in only .* make it smaller"):
        read_image(tmp_path / "a.png")
    Image.new("1", (8_000, 8_000), 1).save(tmp_path / "fax.tif", compression="group4")
    assert read_image(tmp_path / "fax.tif").shape == (8_000, 8_000, 3)


@pytest.mark.parametrize("suffix", ["avif", "heic", "jxl"])
def test_formats_of_phones(tmp_path, suffix):
    kind = {"avif": "AVIF", "heic": "HEIF", "jxl": "JXL"}[suffix]
    if kind not in FORMATS:
        pytest.skip(f"the decoder of {kind} is not installed")
    load_decoders()
    Image.fromarray(COLOURS).save(tmp_path / f"a.{suffix}", quality=95)
    for name in (f"a.{suffix}", "b.jpg"):  # also under another name, as phones send them
        (tmp_path / name).write_bytes((tmp_path / f"a.{suffix}").read_bytes())
        for colour, expected in zip(seen(read_image(tmp_path / name)), QUADRANTS, strict=True):
            assert np.abs(np.subtract(colour, expected)).max() < 12
        assert image_size(tmp_path / name) == (64, 48)


def test_a_format_that_is_not_read_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%PDF-1.7\n")
    with pytest.raises(ImageError, match=r"a\.jpg is not read: PDF is not read; convert it"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_the_pictures_of_a_data_set_are_scaled_alike(tmp_path, suffix, caplog):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "labels.csv").write_text(f"file,labels,split\nbright.{suffix},cat,val\n")
    for name, largest in (("dark", 500), ("bright", 4000)):
        values = quadrants([0, largest // 4, largest // 2, largest]).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / f"{name}.{suffix}")
    Image.fromarray(COLOURS).save(tmp_path / f"colours.{suffix}")
    dataset = open_dataset(f"folder:{tmp_path}")
    with caplog.at_level(logging.INFO, "ccd"):
        assert [images.bits for images in dataset.splits.values()] == [12, 12]
    assert "16 bits a channel, of which 12 are used" in caplog.text
    dark = read_image(tmp_path / f"dark.{suffix}", bits=12)
    assert [colour[0] for colour in seen(dark)] == [0, 125 >> 4, 250 >> 4, 500 >> 4]
    train = dataset.splits["train"].without([f"dark.{suffix}"])
    assert train.bits == 12  # also when some images are left out
    ((_, pixels, _),) = read_batches(dataset.splits["train"], 32, 8, workers=0)
    assert pixels[1].max() == 500 >> 4


def test_photographs_have_no_depth(tmp_path):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg")
    assert open_dataset(f"folder:{tmp_path}").splits["train"].bits is None
