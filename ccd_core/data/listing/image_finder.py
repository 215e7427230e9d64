"""Finds the images that a table names: by paths of any machine, by names alone, without suffix."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterable
from pathlib import PurePosixPath

from ccd_core.data.decoding.formats import IMAGE_SUFFIXES
from ccd_core.data.listing.names import as_name
from ccd_core.data.listing.text_files import clean


def plain_path(cell: str) -> str:
    return os.path.normpath(cell.replace("\\", "/")) if cell else ""


class ImageFinder:
    """Finds images by what tables call them: paths of any machine, names alone, names without suffix."""

    def __init__(self, ids: Iterable[str]):
        self.ids = set(ids)
        self._tiers: list[dict[str, list[str]]] | None = None

    def __call__(self, cell: str) -> str | list[str] | None:
        """The image, None if there is none, or several images between which the cell does not decide."""
        if cell in self.ids:
            return cell
        path = plain_path(cell)
        if path in self.ids:
            return path
        for form in dict.fromkeys((cell, path, path_of_address(path), clean(path))):
            found = self._similar(form)
            if found:
                return found[0] if len(found) == 1 else found
        return None

    def _similar(self, path: str) -> list[str]:
        """The images whose path ends like `path`, without regard to case; the longest common end counts."""
        if self._tiers is None:
            self._tiers = self._make_tiers()
        parts = [part for part in clean(path).casefold().split("/") if part not in ("", ".")]
        with_suffix, without = self._tiers
        for tier in (with_suffix, without):
            for begin in range(len(parts)):
                found = tier.get("/".join(parts[begin:]), [])
                if found:
                    return found
        suffix = PurePosixPath(parts[-1]).suffix if parts else ""
        if suffix not in IMAGE_SUFFIXES:
            return []
        parts[-1] = parts[-1].removesuffix(suffix)  # the images may have been converted since
        for begin in range(len(parts)):
            found = without.get("/".join(parts[begin:]), [])
            if found:
                return found
        return []

    def _make_tiers(self) -> list[dict[str, list[str]]]:
        with_suffix: dict[str, list[str]] = {}
        without: dict[str, list[str]] = {}
        for image in sorted(self.ids):
            for form in dict.fromkeys((image, _windows_form(image))):
                parts = clean(form).casefold().split("/")
                for begin in range(len(parts)):
                    end = "/".join(parts[begin:])
                    _append(with_suffix, end, image)
                    _append(
                        without, str(PurePosixPath(end).with_suffix("")) if end.strip(".") else end, image
                    )
        return [with_suffix, without]


def _append(table: dict[str, list[str]], key: str, image: str) -> None:
    entries = table.setdefault(key, [])
    if image not in entries[-1:]:
        entries.append(image)


def _windows_form(image: str) -> str:
    """A name with odd bytes as Windows reads it: caf\\xe9.jpg becomes café.jpg."""
    return os.fsencode(as_name(image)).decode("cp1252", "replace") if "\\x" in image else image


def path_of_address(path: str) -> str:
    """The path of a web address: https:/host/a%20b.jpg?w=5 gives host/a b.jpg."""
    if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:/+[^/]", path):
        return path
    address = urllib.parse.urlsplit(path)
    return urllib.parse.unquote(f"{address.netloc}{address.path}").lstrip("/")
