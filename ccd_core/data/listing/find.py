"""Find the images in a folder and below it, and list what looks like a picture and is not read.

Linked folders are followed. No folder is entered twice, so a link that leads back to a folder above does no
harm, and no file is counted twice.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ccd_core.data.decoding.formats import (
    FORMATS,
    IMAGE_SUFFIXES,
    NO_PICTURES,
    PACKAGES,
    SNIFFED_BYTES,
    SUFFIXES,
    WORD_OF,
    format_of,
    suffix_of,
    why_left_out,
)
from ccd_core.data.listing.names import as_text, count_of, some

TWICE = "it is a link to an image that the data set has already"
CLOSED = "this user may not enter the folder; change its permissions"


@dataclass
class FoundFiles:
    """Sorted file names relative to the folder, as `os` gives them, and what is left out.

    `left_out` is {name as text: why}.
    """

    images: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def notes(self) -> list[str]:
        """One sentence for each reason, with a count and the first three names."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.left_out.items():
            by_reason.setdefault(reason, []).append(name)
        return [
            f"Left out: {count_of(len(names), 'file')} ({some(names)}): {reason}."
            for reason, names in by_reason.items()
        ]


def find_images(root: Path, follow_links: bool = True) -> list[str]:
    """Sorted names, relative to `root`, of the images in it and below it. Hidden ones do not count."""
    return find_files(root, follow_links).images


def find_files(root: Path, follow_links: bool = True) -> FoundFiles:
    """Find the images in `root`, and what looks like a picture and cannot be read.

    A folder whose name has an image's suffix is listed among the images. It is then reported as unusable and
    not silently ignored. Without `follow_links`, linked folders are not entered.
    """
    search = _Search(os.fspath(root))
    images = list(search.walk(""))
    if follow_links:
        images += search.follow_links()
    images += search.files_behind_links(images)
    return FoundFiles(sorted(images), dict(sorted(search.left_out.items())))


def stream_files(root: Path, left_out: dict[str, str]) -> Iterator[str]:
    """The images that `find_files` finds, of any number: the names of one folder are in memory at a time.

    They come sorted, and after them those behind links. What is left out is added to `left_out`, {name as
    text: why}. Only where files are links, the paths that they lead to are kept in memory.
    """
    search = _Search(os.fspath(root), left_out)
    yield from search.walk("")
    yield from search.follow_links()
    if search.linked_files:
        yield from search.files_behind_links(_real_files(search.root))


def _real_files(root: str) -> Iterator[str]:
    search = _Search(root)
    yield from search.walk("")
    yield from search.follow_links()


class _Search:
    def __init__(self, root: str, left_out: dict[str, str] | None = None):
        self.root = root
        self.left_out = {} if left_out is None else left_out
        self.entered: set[tuple[int, int]] = set()  # device and inode of every folder
        self.linked_folders: list[str] = []
        self.linked_files: list[str] = []

    def walk(self, folder: str) -> Iterator[str]:
        """The images below `root`/`folder`, sorted. Links come later, so that real files count first."""
        open_folders = [self._entries(folder)] if self._enters(folder) else []
        while open_folders:
            entry = next(open_folders[-1], None)
            if entry is None:
                open_folders.pop()
            elif not entry.endswith("/"):
                yield entry
            elif self._enters(entry[:-1]):
                open_folders.append(self._entries(entry[:-1]))

    def _enters(self, folder: str) -> bool:
        try:
            status = os.stat(self._path(folder))
        except OSError:
            return False
        identity = (status.st_dev, status.st_ino)
        is_new = identity not in self.entered
        self.entered.add(identity)
        return is_new

    def _entries(self, folder: str) -> Iterator[str]:
        """Names of the images of one folder and of the folders in it, which end in /, sorted."""
        try:
            entries = list(os.scandir(self._path(folder)))
        except OSError:
            if folder:
                self.left_out[as_text(folder)] = CLOSED
            return
        found = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            is_image = suffix_of(entry.name) in IMAGE_SUFFIXES
            if entry.is_symlink():
                is_folder = _asks(entry.is_dir)
                (self.linked_folders if is_folder and not is_image else self.linked_files).append(name)
            elif is_image:
                found.append(name)
            elif entry.is_dir(follow_symlinks=False):
                found.append(name + "/")
            elif entry.is_file(follow_symlinks=False) and self._is_image(name):
                found.append(name)
        yield from sorted(found)

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name) if name else self.root

    def _is_image(self, name: str) -> bool:
        """Whether the content of a file without an image's suffix is an image. Lists it if it is left out."""
        suffix = suffix_of(name)
        if suffix in WORD_OF:
            self.left_out[as_text(name)] = why_left_out(WORD_OF[suffix])
            return False
        for kind, suffixes in SUFFIXES.items():
            if suffix in suffixes:
                self.left_out[as_text(name)] = why_left_out(kind)
                return False
        if suffix in NO_PICTURES:
            return False
        kind_of_content = _sniff(self._path(name))
        if kind_of_content in FORMATS and not PurePosixPath(name).suffix:
            return True
        if kind_of_content in FORMATS or kind_of_content in PACKAGES or kind_of_content in WORD_OF.values():
            self.left_out[as_text(name)] = why_left_out(str(kind_of_content))
        return False

    def follow_links(self) -> Iterator[str]:
        """The images in linked folders."""
        real_root = os.path.realpath(self.root)
        while self.linked_folders:
            links = sorted(self.linked_folders)
            self.linked_folders = []
            for name in links:
                target = os.path.realpath(self._path(name))
                leads_back = real_root == target or real_root.startswith(target.rstrip(os.sep) + os.sep)
                if not leads_back:
                    yield from self.walk(name)

    def files_behind_links(self, images: Iterable[str]) -> Iterator[str]:
        """Linked files whose target is not among `images`. Links to nothing are taken, too."""
        if not self.linked_files:
            return
        known = {os.path.realpath(self._path(name)) for name in images}
        for name in sorted(self.linked_files):
            target = os.path.realpath(self._path(name))
            has_suffix = suffix_of(name) in IMAGE_SUFFIXES
            if target in known:
                self.left_out[as_text(name)] = TWICE
            elif has_suffix:
                known.add(target)
                yield name
            elif os.path.isfile(target) and self._is_image(name):
                yield name


def _asks(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:
        return False


def _sniff(path: str) -> str | None:
    """The format of a file's first bytes, or None."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        try:
            return format_of(file.read(SNIFFED_BYTES))
        except OSError:
            return None
