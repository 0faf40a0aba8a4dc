"""Labelled sheets of pictures: rows and columns of images with a caption each, as one image."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from faceren.arrays import Rgb8
from faceren.errors import ConfigError

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
