"""Restore a little of a photo, and ask other programs what came out."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from faceren.images import Restoration, enlarged, read_photo, write_photo

NOTE = Restoration("base", "ab" * 32)


def box_of(page):
    """A box in the middle of a page, upright."""
    height, width = page.upright_shape
    return (width // 3, height // 2, width // 3 + width // 4, height // 2 + height // 4)


def change_in(page, amount=0.15):
    """What is added in that box: nothing along its edges."""
    x0, y0, x1, y1 = box_of(page)
    add = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
    add[1:-1, 1:-1] = amount
    return add


def restored(path, target=None, *, scale=1, **options):
    """Restore the middle of every photo in a file; return the output's path and what was said."""
    target = target or path.parent / "out" / path.name
    photo = enlarged(read_photo(path), scale)
    for number, page in enumerate(photo.pages):
        photo = photo.merged([(box_of(page), change_in(page))], number)
    said = write_photo(target, photo, note=NOTE, **options)
    return target, said


def exiftool(*arguments):
    """Return the lines that exiftool prints."""
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    said = subprocess.run([tool, *map(str, arguments)], capture_output=True, check=False)
    return said.stdout.decode(errors="replace").splitlines()


def exiftool_bytes(*arguments):
    """Return what exiftool extracts."""
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    return subprocess.run([tool, "-b", *map(str, arguments)], capture_output=True).stdout


def tags(path):
    """Return all that exiftool finds, by group and name; of equal names the last."""
    lines = "\n".join(exiftool("-j", "-G1", "-a", "-n", path))
    return json.loads(lines)[0]
