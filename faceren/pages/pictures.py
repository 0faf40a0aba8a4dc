"""Pictures of a page: small files named by what they show, and labelled sheets of several.

A file's name is a digest of the pixels' origin and the size, so that an unchanged photo keeps its
pictures from run to run, a changed one gets new ones, and the page knows the sizes unopened.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from faceren.arrays import Rgb8
from faceren.errors import ConfigError
from faceren.files import atomic_write
from faceren.pages.page import jpeg

NAME = re.compile(r"([0-9a-f]{24})_([0-9]+)x([0-9]+)\.jpg")


@dataclass(frozen=True)
class Picture:
    """A file in the folder of pictures."""

    name: str
    width: int
    height: int


def digest(*parts: object) -> str:
    """Return the name of a picture that is made from these hashes and numbers, 24 digits."""
    text = "|".join(map(str, parts))  # a forged hash may be no text
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]


class Pictures:
    """The folder of pictures beside a page. Threads may share it.

    Args:
        folder: Made when the first picture is added.
        names: Of the files that are there, though not on the disk; None looks into the folder.
    """

    def __init__(self, folder: Path, names: Iterable[str] | None = None) -> None:
        self.folder = folder
        self._known: dict[str, Picture] = {}
        if names is None:
            found = folder.iterdir() if folder.is_dir() else ()
            # empty: the power went before it was on the disk
            names = (p.name for p in found if NAME.fullmatch(p.name) and p.stat().st_size)
        for match in filter(None, map(NAME.fullmatch, names)):
            self._known[match[1]] = Picture(match[0], int(match[2]), int(match[3]))

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def get(self, key: str) -> Picture | None:
        """Return a picture that is there."""
        return self._known.get(key)

    def add(self, key: str, rgb: Rgb8) -> None:
        """Write a picture, unless it is there.

        Args:
            key: From ``digest``.
            rgb: (H, W, 3).

        Raises:
            MachineError: If the disk is full.
        """
        if key not in self._known:
            height, width = rgb.shape[:2]
            picture = Picture(f"{key}_{width}x{height}.jpg", width, height)
            atomic_write(self.folder / picture.name, jpeg(rgb), sync=False)
            self._known[key] = picture

    def keep_only(self, keys: Collection[str], protected: Collection[str] = ()) -> None:
        """Remove the other pictures.

        Args:
            keys: Of the pictures to keep.
            protected: Names of files that are no pictures, whatever they look like.
        """
        for key in set(self._known) - set(keys):
            picture = self._known.pop(key)
            if picture.name not in protected:
                with suppress(OSError):  # it does no harm, and the next page tries again
                    (self.folder / picture.name).unlink(missing_ok=True)


def shrunk(rgb: Rgb8, side: int) -> Rgb8:
    """Return an image, (H, W, 3), with its longer side at most ``side`` pixels."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


GAP = 8
"""Pixels between cells and around the sheet."""
TEXT = 14
"""Height of the letters in pixels."""
PAPER, INK = (255, 255, 255), (32, 32, 32)


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet."""

    image: Rgb8 | None
    """(H, W, 3) uint8 of any size; None leaves the place empty."""
    caption: str = ""


def fitted(image: Rgb8, side: int) -> Rgb8:
    """Return the image scaled to fit a square.

    Args:
        image: (H, W, 3).
        side: Of the square in pixels.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)


def contact_sheet(
    rows: Sequence[Sequence[Cell]], *, side: int = 256, headers: Sequence[str] = ()
) -> Rgb8:
    """Return a sheet of captioned pictures, (H, W, 3) uint8.

    Args:
        rows: The cells; rows may be of different lengths.
        side: Of each picture in pixels; a picture keeps its proportions and is centred.
        headers: Titles of the columns.

    Raises:
        ConfigError: If there is no cell.
    """
    columns = max((len(row) for row in rows), default=0)
    if columns == 0:
        raise ConfigError("a sheet needs at least one picture, got none")
    font = ImageFont.load_default(TEXT)
    line = TEXT + GAP
    top = GAP + (line if headers else 0)
    width = GAP + columns * (side + GAP)
    sheet = Image.new("RGB", (width, top + len(rows) * (side + line + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(headers[:columns]):
        draw.text((GAP + column * (side + GAP), GAP), shortened(title, side, font), INK, font)
    for index, row in enumerate(rows):
        for column, cell in enumerate(row):
            x, y = GAP + column * (side + GAP), top + index * (side + line + GAP)
            if cell.image is not None:
                picture = Image.fromarray(fitted(cell.image, side))
                left, above = (side - picture.width) // 2, (side - picture.height) // 2
                sheet.paste(picture, (x + left, y + above))
            draw.text((x, y + side + GAP // 4), shortened(cell.caption, side, font), INK, font)
    return np.asarray(sheet, np.uint8)


def shortened(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Return the text on one line, its beginning cut off with an ellipsis if it is too wide."""
    line = " ".join("".join(c if c.isprintable() else "?" for c in text).split())
    if font.getlength(line) <= width:
        return line
    while line and font.getlength("…" + line) > width:
        line = line[1:]
    return "…" + line
