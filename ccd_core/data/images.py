"""What a file's picture looks like as RGB pixels, and why it cannot be used if it cannot.

People's folders hold phone photos lying on their side, transparent logos, scans of 16 bits and files that
were cut off on the way. All of them come out of `read_image` as upright uint8 RGB, or as one sentence.
Safe to call from several threads.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ccd_core.errors import ImageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
# The content decides, not the suffix; naming the formats keeps Pillow's rarer decoders (EPS runs Ghostscript)
# away from files that come from strangers. MPO, what some phones call a JPEG, is a kind of JPEG to Pillow.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
MAX_PIXELS = 200_000_000
MIN_SIDE = 2

# Pillow warns at 89 and refuses at 179 million pixels unless told otherwise, and can only be told for the whole
# process. Set once, here: it then stays silent about every size that `read_image` accepts.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

ORIENTATION_TAG = 0x0112
TURN_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | Path, at_least: int | None = None) -> np.ndarray:
    """The first frame of an image file, upright, on white: uint8 [H, W, 3] RGB.

    `at_least` lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, as long as both sides keep that many
    pixels: much faster where the picture is going to be shrunk anyway. Raises ImageError, one sentence, for
    whatever cannot be used.
    """
    path = Path(path)
    _check_file(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check_size(path, *image.size)
            if at_least:
                image.draft(None, (at_least, at_least))  # does nothing for formats other than JPEG
            image.load()
            return np.array(_upright(_as_rgb(image), image))
    except ImageError:
        raise
    except (
        Exception
    ) as error:  # decoders raise nearly anything on damaged files, and none of it may end a run
        raise ImageError(f"{path.name} {_what_is_wrong(error)}.") from error


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [H, W, 3] -> [height, width, 3]: bilinear, antialiased, nothing cropped, aspect not kept."""
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _check_file(path: Path) -> None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        problem = "is a link to a file that is gone" if path.is_symlink() else "does not exist"
        raise ImageError(f"{path} {problem}.") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{path.name} is a folder, not an image.")
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, for ever
        raise ImageError(f"{path.name} is not an ordinary file.")
    if status.st_size == 0:
        raise ImageError(f"{path.name} is empty (0 bytes).")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{path.name} has {width}x{height} pixels, more than the {MAX_PIXELS // 10**6} million that are read."
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{path.name} has {width}x{height} pixels; both sides need at least {MIN_SIDE}.")


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
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


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image) >> 8)
    if image.mode in ("I", "F"):
        return _grey(_to_byte_range(np.asarray(image, np.float64)))
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return image.convert("RGB")


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _to_byte_range(values: np.ndarray) -> np.ndarray:
    """Numbers of unknown unit: 0 to 255 stay, fractions of 0 to 1 are of full white, all else is stretched to fit."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if low < 0 or high > 255:
        return (values - low) * (255 / max(high - low, 1e-12))
    is_fraction = high <= 1 and bool((finite % 1).any())
    return values * 255 if is_fraction else values


def _upright(picture: Image.Image, source: Image.Image) -> Image.Image:
    """Turn as the camera says. A TIFF has been turned by Pillow while it was loaded, and then says nothing."""
    try:
        turn = TURN_UPRIGHT.get(source.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # a damaged EXIF block is no reason to lose the picture
        return picture
    return picture.transpose(turn) if turn is not None else picture


def image_size(path: str | Path) -> tuple[int, int]:
    """Width and height as `read_image` gives them, from the header alone. Raises ImageError where it is no image."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else (image.width, image.height)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{Path(path).name} is not an image that can be read: {error}.") from None
