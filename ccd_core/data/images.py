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

from ccd_core.data.formats import FORMATS, IMAGE_SUFFIXES
from ccd_core.errors import ImageError

__all__ = ["IMAGE_SUFFIXES", "image_size", "read_image", "resize"]

MAX_PIXELS = 200_000_000
MIN_SIDE = 2

# By default Pillow warns above 89 million pixels and refuses above 179 million. The limit can only be set for
# the whole process. With this value Pillow accepts every size that `read_image` accepts.
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

    With `at_least`, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides keep that many
    pixels. This is much faster if the image will be shrunk anyway. Raises ImageError if the file cannot be
    used.
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
    # Decoders raise nearly any exception on damaged files, and no damaged file may end a run.
    except Exception as error:
        raise ImageError(f"{path.name} {_what_is_wrong(error)}.") from error


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize uint8 [H, W, 3] to [height, width, 3], bilinear with antialiasing, without cropping.

    The aspect ratio changes if the new one differs.
    """
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
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
        raise ImageError(f"{path.name} is not an ordinary file.")
    if status.st_size == 0:
        raise ImageError(f"{path.name} is empty (0 bytes).")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{path.name} has {width}x{height} pixels; at most {MAX_PIXELS // 10**6} million pixels are read."
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
        transparent = image.convert("RGBA")
        white = Image.new("RGBA", transparent.size, "white")
        return Image.alpha_composite(white, transparent).convert("RGB")
    return image.convert("RGB")


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _to_byte_range(values: np.ndarray) -> np.ndarray:
    """Map values of unknown unit to 0-255.

    Fractions between 0 and 1 are multiplied by 255. Other values between 0 and 255 stay as they are. All else
    is stretched from its own minimum and maximum to 0-255.
    """
    finite = values[np.isfinite(values)]
    low = finite.min() if finite.size else 0.0
    high = finite.max() if finite.size else 0.0
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if low < 0 or high > 255:
        return (values - low) * (255 / max(high - low, 1e-12))
    is_fraction = high <= 1 and bool((finite % 1).any())
    return values * 255 if is_fraction else values


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
    try:
        with Image.open(path) as image:
            lies_on_its_side = image.getexif().get(ORIENTATION_TAG, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if lies_on_its_side else (image.width, image.height)
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{Path(path).name} is not an image that can be read: {error}.") from None
