"""The picture at the top of the README: every face of one photograph, before and after.

``python -m tests.before_after`` makes it anew.
"""

import tempfile
from pathlib import Path

from faceren import FolderOptions, RunOptions, restore_folder
from faceren.arrays import Rgb8
from faceren.assets import samples_dir
from faceren.images import read_rgb
from faceren.pages.page import jpeg
from faceren.pages.pictures import Cell, contact_sheet

PHOTO = "group_of_seven.jpg"
PICTURE = Path(__file__).parents[1] / "docs" / "before-after.jpg"
SIDE, QUALITY = 168, 86
"""Pixels of a face, and of the JPEG."""


def before_after() -> Rgb8:
    """Return the sheet: a row of the faces as they are, and a row as ``restore`` makes them."""
    with tempfile.TemporaryDirectory() as made:
        how, folder = RunOptions(device="cpu"), FolderOptions(save_faces=True)
        list(restore_folder(samples_dir() / PHOTO, made, how=how, folder=folder))
        rows = []
        for name in ("before", "after"):
            faces = [read_rgb(path) for path in sorted(Path(made).glob(f"faces/*_{name}.png"))]
            rows.append([Cell(face, name if not n else "") for n, face in enumerate(faces)])
    return contact_sheet(rows, side=SIDE)


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(jpeg(before_after(), QUALITY))
