"""Read an image file as RGB pixels, or say in one sentence why the file cannot be used.

Real folders hold phone photos that lie on their side, transparent logos, 16-bit scans and truncated files.
`read_image` returns each of them as upright uint8 RGB, or raises an ImageError with one sentence. Its
functions may be called from several threads.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ccd_core.data.decoding.depth import (
    bits_used,
    grey_of_16_bits,
    grey_of_numbers,
    has_16_bits,
    no_data_value,
    rawmode,
)
from ccd_core.data.decoding.formats import (
    FORMATS,
    IMAGE_SUFFIXES,
    SNIFFED_BYTES,
    format_of,
    load_decoders,
    why_left_out,
)
from ccd_core.data.decoding.jpeg import has_hole, without_end_marker
from ccd_core.data.decoding.pixel_budget import DECODING
from ccd_core.data.listing.names import shown
from ccd_core.errors import ImageError

__all__ = ["IMAGE_SUFFIXES", "image_size", "largest_value", "read_image", "resize"]

MAX_PIXELS = 200_000_000
MIN_SIDE = 2
BOMB_BYTES = 150_000_000  # a picture that unpacks to fewer bytes is read however small its file is
BOMB_RATIO = 500  # of unpacked to packed bytes; a JPEG of one colour has 200
PIXELS_AT_ONCE = 4_000_000  # that are put on white

# By default Pillow warns above 89 million pixels and refuses above 179 million. The limit can only be set for
# the whole process. With this value Pillow accepts every size that `read_image` accepts.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

ORIENTATION_TAG = 0x0112
SIZE_TAGS = (256, 257)  # of TIFF: width and height
PHOTOMETRIC_TAG = 262
WHITE_IS_ZERO = 0
YCBCR = 6
TURN_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | Path, at_least: int | None = None, bits: int | None = None) -> np.ndarray:
    """The first frame of an image file, upright, on white: uint8 [H, W, 3] RGB.

    With `at_least`, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides keep that many
    pixels. This is much faster if the image will be shrunk anyway. `bits` are those that the pictures with 16
    bits of a data set use (`Depth.bits`); without it, a picture's own values tell. Raises ImageError if the
    file cannot be used.
    """
    path = Path(path)
    size = _check_file(path)
    load_decoders()
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check_size(path, image, size)
            if at_least:
                image.draft(None, (at_least, at_least))  # does nothing for formats other than JPEG
            with DECODING.room_for(image.width * image.height):
                return _decoded(path, image, bits)
    except ImageError:
        raise
    # Decoders raise nearly any exception on damaged files, and no damaged file may end a run.
    except Exception as error:
        raise ImageError(f"{shown(path.name)} {_what_is_wrong(error, path)}.") from error


def _decoded(path: Path, image: Image.Image, bits: int | None) -> np.ndarray:
    deep = _colours_of_16_bits(path, image, bits)
    if deep is not None:
        return deep
    decoded = _loaded(path, image)
    return np.array(_upright(_as_rgb(decoded, bits), image))


def largest_value(path: Path) -> int | None:
    """The largest value of a picture with 16 bits a channel. None for other pictures and damaged ones."""
    try:
        size = _check_file(path)
        with Image.open(path, formats=FORMATS) as image:
            _check_size(path, image, size)
            if not has_16_bits(image):
                return None
            if image.mode.startswith("I;16"):
                return int(np.asarray(image).max())
            values = _with_opencv(path)
            return None if values is None else int(values[..., :3].max())
    except Exception:  # the picture is reported where it is decoded
        return None


def _loaded(path: Path, image: Image.Image) -> Image.Image:
    """The decoded image. What Pillow refuses and can be used all the same is decoded in another way."""
    if image.format == "JPEG" and has_hole(path.read_bytes()):
        raise ImageError(
            f"{shown(path.name)} has a hole: zeros lie where a part of the picture should be, as after a "
            "download that was cut off; get it again."
        )
    try:
        image.load()
        return image
    except OSError:
        whole = None
        if image.format in ("JPEG", "MPO"):
            whole = without_end_marker(path.read_bytes())
        elif image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC_TAG) == YCBCR:  # type: ignore[attr-defined]
            pixels = _with_opencv(path)
            if pixels is not None and pixels.shape[:2] == (image.height, image.width):
                whole = Image.fromarray(np.ascontiguousarray(pixels[..., 2::-1].astype(np.uint8)))
        if whole is None:
            raise
        return whole


def _with_opencv(path: Path) -> np.ndarray | None:
    """The pixels of a PNG or TIFF as stored, [H, W] or [H, W, C] in the order BGR(A).

    None if they cannot be read.
    """
    import cv2

    content = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        return cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _colours_of_16_bits(path: Path, image: Image.Image, bits: int | None) -> np.ndarray | None:
    """A colour picture of 16 bits a channel that uses fewer bits, uint8 [H, W, 3]. None for all others.

    Pillow keeps the upper 8 bits of each value, which are nearly all zero in such a picture.
    """
    is_deep = image.format in ("PNG", "TIFF") and rawmode(image).startswith(("RGB;16", "RGBA;16", "RGBX;16"))
    is_turned = image.getexif().get(ORIENTATION_TAG, 1) != 1 if is_deep else False
    if not is_deep or is_turned or (bits or 0) == 16:
        return None
    values = _with_opencv(path)
    if values is None or values.dtype != np.uint16 or values.shape[:2] != (image.height, image.width):
        return None
    if values.ndim != 3 or bits_used(int(values[..., :3].max())) == 16:
        return None
    colours = grey_of_16_bits(values[..., 2::-1], bits, white_is_zero=False)
    if values.shape[2] == 4:
        alpha = (values[..., 3:] >> 8).astype(np.uint8)
        return np.array(_on_white(Image.fromarray(np.concatenate([colours, alpha], axis=2))))
    return np.ascontiguousarray(colours)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize uint8 [H, W, 3] to [height, width, 3], bilinear with antialiasing, without cropping.

    The aspect ratio changes if the new one differs.
    """
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _check_file(path: Path) -> int:
    """The size in bytes of an ordinary file. Raises ImageError if it is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        problem = "is a link to a file that is gone" if path.is_symlink() else "does not exist"
        raise ImageError(f"{shown(path)} {problem}.") from None
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{shown(path)} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from None
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{shown(path.name)} is a folder, not an image.")
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
        raise ImageError(f"{shown(path.name)} is not an ordinary file.")
    if status.st_size == 0:
        raise ImageError(f"{shown(path.name)} is empty (0 bytes).")
    return status.st_size


def _check_size(path: Path, image: Image.Image, file_bytes: int) -> None:
    """Raise ImageError for pictures that are too large or too small, and for those that unpack to a bomb."""
    width, height = image.size
    name = shown(path.name)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width}x{height} pixels; at most {MAX_PIXELS // 10**6} million pixels are read."
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{name} has {width}x{height} pixels; both sides need at least {MIN_SIDE}.")
    unpacked = width * height * sum(_bytes_of(image.mode, band) for band in image.getbands())
    if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * file_bytes:
        raise ImageError(
            f"{name} has {width}x{height} pixels in only {file_bytes / 1e3:,.0f} kB, as files have that are "
            "made to use up a computer's memory; make it smaller if it is a real picture."
        )


def _bytes_of(mode: str, band: str) -> float:
    if mode == "1":
        return 1 / 8
    if mode in ("I", "F"):
        return 4
    return 2 if mode.startswith("I;16") else 1


def _what_is_wrong(error: Exception, path: Path) -> str:
    if isinstance(error, UnidentifiedImageError):
        kind = format_of(path.read_bytes()[:SNIFFED_BYTES])
        if kind is not None and kind not in FORMATS:
            return f"is not read: {why_left_out(kind)}"
        if kind is not None:
            return f"begins as {kind} does, but is damaged and cannot be decoded"
        return f"is not an image, or its first bytes are damaged (read are {', '.join(FORMATS)})"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"has more than the {MAX_PIXELS // 10**6} million pixels that are read"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be read: {error.strerror}"
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return "is cut off: the file ends before the picture does"
    return f"is damaged and cannot be decoded ({' '.join(str(error).split()) or type(error).__name__})"


def _as_rgb(image: Image.Image, bits: int | None) -> Image.Image:
    if image.mode.startswith("I;16"):
        white_is_zero = getattr(image, "tag_v2", {}).get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO
        values = np.asarray(image)
        grey = grey_of_16_bits(values, bits, white_is_zero)
        transparent = image.info.get("transparency")
        if isinstance(transparent, int) and (values != transparent).any():
            grey[values == transparent] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(grey_of_numbers(np.asarray(image), no_data_value(image))).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """The image on white. If all of it is transparent, the colours under the transparency are meant."""
    transparent = image.convert("RGBA")
    if transparent.getchannel("A").getextrema() == (0, 0):
        colours = transparent.convert("RGB")
        if colours.getcolors(1) is None:  # there is more than one colour
            return colours
    whole = Image.new("RGB", transparent.size)
    step = max(1, PIXELS_AT_ONCE // transparent.width)
    for top in range(0, transparent.height, step):
        strip = transparent.crop((0, top, transparent.width, min(top + step, transparent.height)))
        white = Image.new("RGBA", strip.size, "white")
        whole.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return whole


def _upright(image: Image.Image, source: Image.Image) -> Image.Image:
    """Turn `image` as the EXIF orientation of `source`, the file it was decoded from, says.

    Pillow turns a TIFF while it loads it and then removes the orientation, so a TIFF is not turned twice.
    """
    try:
        turn = TURN_UPRIGHT.get(source.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # an image with damaged EXIF data can still be used
        return image
    return image.transpose(turn) if turn is not None else image


def image_size(path: str | Path) -> tuple[int, int]:
    """(width, height) in pixels as `read_image` returns the image, read from the file's header only.

    Raises ImageError if the file is not an image that can be read.
    """
    path = Path(path)
    _check_file(path)
    load_decoders()
    try:
        with Image.open(path, formats=FORMATS) as image:
            lies_on_its_side = image.getexif().get(ORIENTATION_TAG, 1) in (5, 6, 7, 8)
            width, height = image.size
            if image.format == "TIFF":  # whether Pillow has turned the size already depends on its version
                width, height = (int(image.tag_v2[tag]) for tag in SIZE_TAGS)  # type: ignore[attr-defined]
            return (height, width) if lies_on_its_side else (width, height)
    except Exception as error:
        raise ImageError(f"{shown(path.name)} {_what_is_wrong(error, path)}.") from None
