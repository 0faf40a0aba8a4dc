"""The marks on a print as the page shows them: coloured over the photo, and as a list.

What is shown follows from the manifest's line and the mask in ``OUT/masks``, so that a page can be
made again long after the run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from faceren.arrays import Rgb8
from faceren.checks import Json
from faceren.config import Mark
from faceren.images import shown
from faceren.images.decode import opened
from faceren.pages.pictures import digest
from faceren.runs.folder import MASKS_DIR, inside, mask_key

COLOURS = {
    Mark.BRIGHT_DUST: (255, 221, 51),
    Mark.DARK_DUST: (64, 196, 255),
    Mark.LINE: (255, 64, 64),
    Mark.CREASE: (255, 128, 0),
    Mark.LOSS: (224, 64, 251),
}
LISTED = 200
"""Marks that the page lists of a photo, the largest."""
KEPT = "kept"
"""How the manifest's reason begins of a mark that a person wants to stay."""


def marks_key(line: Json) -> str:
    """Return the name of the picture of a photo's marks, nothing if it has none to show.

    Args:
        line: Of the manifest.
    """
    pages = line.get("repair") or []
    page = pages[0] if pages and isinstance(pages[0], Mapping) else None
    if page is None or page.get("given") or not page.get("components"):
        return ""
    return digest(line.get("input_sha256"), "marks", page.get("share"), _parts_of(line))


def mask_place(line: Json, output: Path) -> Path:
    """Return where the mask of a photo's first page lies, if there is one.

    Args:
        line: Of the manifest.
        output: The folder of the outputs.
    """
    return inside(output / MASKS_DIR, mask_key(str(line.get("key"))))


def marks_picture(line: Json, output: Path, overview: Rgb8) -> Rgb8 | None:
    """Return a small picture with the first page's mask over it, a colour for each kind of mark.

    Args:
        line: Of the manifest.
        output: The folder of the outputs; its mask is read.
        overview: The photo before, (h, w, 3).

    Returns:
        (h, w, 3), None if the mask is gone or is none.
    """
    try:
        with opened(mask_place(line, output).read_bytes(), "png") as file:
            levels = np.asarray(file.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    marked, size = overview.copy(), overview.shape[1::-1]
    for mark, colour in COLOURS.items():
        there = (levels == mark * 255 // Mark.LOSS).astype(np.uint8) * 255
        # any pixel of it is seen, however much smaller the picture is
        small = cv2.resize(there, size, interpolation=cv2.INTER_AREA) > 0
        marked[small] = colour
    return marked


def marks_of(line: Json) -> dict[str, Any] | None:
    """Return what the page's script needs to know of the marks of a photo; None without any.

    Args:
        line: Of the manifest.
    """
    pages = [page for page in line.get("repair") or [] if isinstance(page, Mapping)]
    found = [page for page in pages if not page.get("given")]
    if not found:
        return None
    parts = [
        {
            "index": index,
            "page": number + 1,
            "box": part["box"],
            "mark": str(part.get("mark")).replace("_", " "),
            "pixels": part.get("pixels"),
            "width": part.get("width"),
            "kept": str(part.get("left")).startswith(KEPT),
        }
        for index, (number, part) in enumerate(_parts_of(line))
        if not part.get("left") or str(part.get("left")).startswith(KEPT)
    ]
    count = sum(sum((page.get("marks") or {}).values()) for page in found)
    kept = sum(part["kept"] for part in parts)
    return {
        "filled": any(page.get("filled") for page in found),
        "parts": sorted(parts, key=lambda part: -(part["pixels"] or 0))[:LISTED],
        "count": count + kept,
        "left": sum(int(page.get("left") or 0) for page in found) - kept,
        "share": sum(float(page.get("share") or 0) for page in found) / len(found),
        "note": shown("; ".join(str(page["note"]) for page in found if page.get("note"))),
    }


def kept_marks(line: Json) -> set[int]:
    """Return the numbers of a photo's marks that a person wants to stay, see ``mark_at``.

    Args:
        line: Of the manifest.
    """
    return {
        index
        for index, (_, part) in enumerate(_parts_of(line))
        if str(part.get("left")).startswith(KEPT)
    }


def mark_at(line: Json, index: int) -> tuple[int, list[int]] | None:
    """Return the page, from 0, and the box of a mark; None if there is no such mark.

    Args:
        line: Of the manifest.
        index: Number of the mark, over all pages.
    """
    parts = _parts_of(line)
    if not 0 <= index < len(parts):
        return None
    number, part = parts[index]
    return number, [int(edge) for edge in part["box"]]


def _parts_of(line: Json) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the components of all pages, each with the number of its page."""
    return [
        (number, part)
        for number, page in enumerate(line.get("repair") or [])
        for part in page.get("components") or []
        if isinstance(part, Mapping) and len(part.get("box") or ()) == 4
    ]
