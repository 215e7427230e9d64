"""Which files are images that can be read, which only look like pictures, and how a file's first bytes tell.

JPEG, PNG, WebP, BMP, TIFF and GIF are always read. AVIF is read where Pillow was built with it. HEIC, the
format of iPhones, needs the package pillow-heif, and JPEG XL the package pillow-jxl-plugin.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import PurePosixPath

READ_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".jfif", ".jpe", ".jif", ".dib",
)  # fmt: skip
SUFFIXES = {"AVIF": (".avif",), "HEIF": (".heic", ".heif", ".hif"), "JXL": (".jxl",)}
PACKAGES = {"AVIF": "pillow-avif-plugin", "HEIF": "pillow-heif", "JXL": "pillow-jxl-plugin"}
# A file's content decides its format, not its suffix. The list keeps files of strangers away from Pillow's
# rarer decoders (the one for EPS runs Ghostscript). Pillow treats MPO, which some phones write, as JPEG.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")

# What looks like a picture and is not read: a word for it, and its suffixes.
OTHERS = {
    "camera RAW": (
        "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "gpr", "iiq", "k25", "kdc", "mef",
        "mos", "mrw", "nef", "nrw", "orf", "pef", "ptx", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw",
        "x3f",
    ),
    "vector graphics": ("ai", "cdr", "emf", "eps", "ps", "svg", "svgz", "wmf"),
    "PDF": ("pdf",),
    "video": (
        "3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "webm", "wmv",
    ),
    "drawings with layers": ("afphoto", "clip", "kra", "procreate", "psb", "psd", "xcf"),
    "medical or scientific images": (
        "czi", "dcm", "dicom", "fit", "fits", "ims", "lif", "lsm", "mha", "mhd", "mrc", "nd2", "ndpi", "nii",
        "nrrd", "oib", "oif", "stk", "svs", "vsi",
    ),
    "pictures of rarer formats": (
        "apng", "bpg", "cur", "dds", "exr", "flif", "hdr", "icns", "ico", "j2c", "j2k", "jng", "jp2", "jpf",
        "jpm", "jpx", "jxr", "mng", "mpo", "pam", "pbm", "pcx", "pfm", "pgm", "pict", "pnm", "ppm", "qoi",
        "ras", "sgi", "tga", "wdp", "xbm", "xpm",
    ),
}  # fmt: skip
WORD_OF = {f".{suffix}": word for word, suffixes in OTHERS.items() for suffix in suffixes}
# Files of these kinds are not opened to see whether they are pictures under another name.
NO_PICTURES = frozenset(
    f".{suffix}"
    for suffix in [
        "aac",
        "csv",
        "db",
        "doc",
        "docx",
        "exe",
        "flac",
        "gz",
        "h5",
        "hdf5",
        "html",
        "ini",
        "ipynb",
        "jsonl",
        "json",
        "lock",
        "log",
        "m3u",
        "m4a",
        "mat",
        "md",
        "mp3",
        "npy",
        "npz",
        "odt",
        "ogg",
        "parquet",
        "pickle",
        "pkl",
        "pptx",
        "pt",
        "pth",
        "py",
        "rar",
        "rst",
        "safetensors",
        "sh",
        "sqlite",
        "tar",
        "tgz",
        "toml",
        "tsv",
        "txt",
        "url",
        "wav",
        "xls",
        "xlsx",
        "xml",
        "yaml",
        "yml",
        "zip",
        "7z",
    ]
)
SNIFFED_BYTES = 132


@functools.cache
def available() -> tuple[str, ...]:
    """The formats of `SUFFIXES` that can be read here, without loading their packages."""
    from PIL import features

    found = []
    if features.check("avif") or importlib.util.find_spec("pillow_avif"):
        found.append("AVIF")
    if importlib.util.find_spec("pillow_heif"):
        found.append("HEIF")
    if importlib.util.find_spec("pillow_jxl"):
        found.append("JXL")
    return tuple(found)


def image_suffixes() -> tuple[str, ...]:
    """The suffixes of images that can be read here."""
    return (*READ_SUFFIXES, *(suffix for name in available() for suffix in SUFFIXES[name]))


IMAGE_SUFFIXES = image_suffixes()
FORMATS = (*READ_FORMATS, *available())


@functools.cache
def load_decoders() -> None:
    """Load the packages that add formats to Pillow."""
    if "HEIF" in FORMATS:
        import pillow_heif

        pillow_heif.register_heif_opener()
    if "JXL" in FORMATS:
        import pillow_jxl  # noqa: F401 - the import registers the decoder
    if "AVIF" in FORMATS and importlib.util.find_spec("pillow_avif"):
        import pillow_avif  # noqa: F401


def format_of(content: bytes) -> str | None:
    """The format that a file's first bytes belong to: a name of Pillow, another word, or None if unknown."""
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    if content.startswith(b"BM") and content[14:18] in (
        b"\x0c\0\0\0",
        b"\x28\0\0\0",
        b"\x6c\0\0\0",
        b"\x7c\0\0\0",
    ):
        return "BMP"
    if content[4:8] == b"ftyp":
        return _format_of_box(content)
    if content.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
        return "JXL"
    return _other_format(content)


def _format_of_box(content: bytes) -> str:
    """The format of a file of ISO boxes, which its brands tell."""
    length = min(int.from_bytes(content[:4], "big"), len(content))
    brands = {content[8:12], *(content[at : at + 4] for at in range(16, length - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}:
        return "HEIF"
    return "camera RAW" if content[8:12] == b"crx " else "video"


def _other_format(content: bytes) -> str | None:
    if content[128:132] == b"DICM" or content.startswith(b"SIMPLE  ="):
        return "medical or scientific images"
    if content.startswith(b"%PDF-"):
        return "PDF"
    if content.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        return "vector graphics"
    if content.startswith(b"8BPS"):
        return "drawings with layers"
    if content.startswith(
        (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"\x76\x2f\x31\x01", b"DDS ", b"qoif")
    ):
        return "pictures of rarer formats"
    if content.startswith((b"\x1a\x45\xdf\xa3", b"FLV\x01")) or content[8:12] == b"AVI ":
        return "video"
    return None


def suffix_of(name: str) -> str:
    """The suffix of a file name in small letters, such as .jpg."""
    return PurePosixPath(name).suffix.lower()


def why_left_out(kind: str) -> str:
    """Why files of a format are left out, and what can be done."""
    if kind in FORMATS:
        return "its name has another suffix than a picture's; rename it"
    if kind in PACKAGES:
        return f"reading {'HEIC' if kind == 'HEIF' else kind} needs the package {PACKAGES[kind]}; install it"
    return (
        f"{kind} are not read; convert it to JPEG or PNG"
        if kind.endswith("s")
        else (f"{kind} is not read; convert it to JPEG or PNG")
    )
