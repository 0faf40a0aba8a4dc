"""Public test pictures of other libraries, decoded as a reference reader decodes them or refused.

Nothing of them is here: FACEREN_PICTURES names folders (of a checkout of Pillow, libtiff, libvips).
``python -m tests.images.test_public_pictures FOLDER…`` prints what became of each of their files.
In November 2026, of the pictures of kinds that we read:

=======  =====  =====  =======  =================  =========
of       files  alike  refused  read by us alone   different
=======  =====  =====  =======  =================  =========
Pillow     779    637      140                  2          0
libvips     62     49       12                  0          1
libtiff     55     44       10                  0          1
=======  =====  =====  =======  =================  =========

In both that differ the other reader is wrong: ``issue412.jp2`` says (cdef) that its channels are
green, blue and red, which Pillow passes over; of ``minisblack-2c-8b-alpha.tiff`` libtiff has our
very samples, libvips others.
"""

import collections
import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from faceren.errors import FacerenError
from faceren.images import find_images, read_photo

FOLDERS = [Path(name) for name in os.environ.get("FACEREN_PICTURES", "").split(":") if name]
LIKELY = 3
"""Mean difference, of 255 levels, that the rounding of other decoders explains."""


def ours(path):
    """The picture as it is seen, without its profile, which few readers apply."""
    page = replace(read_photo(path, max_pixels=30_000_000).pages[0], icc=b"")
    rgb, alpha = page.upright_uint8(), page.alpha
    return rgb if alpha is None else np.where(alpha[..., None] > 0.5, rgb, 0)


def by_pillow(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format in ("GIF", "WEBP", "PNG"):
                raise ValueError("an animation")
            image.load()
            turned = ImageOps.exif_transpose(image)
        if turned.mode.startswith("I;16"):
            return np.asarray(np.rint(np.asarray(turned) / 257), np.uint8)[..., None].repeat(3, 2)
        clear = np.asarray(turned.convert("RGBA"))
    return np.where(clear[..., 3:] > 127, clear[..., :3], 0)


def by_vips(path):
    import pyvips

    image = pyvips.Image.new_from_file(str(path)).autorot()
    if image.interpretation == "cmyk":
        raise ValueError("libvips needs a profile for inks")
    if image.format == "ushort":
        image = (
            (image / 257)
            .rint()
            .cast("uchar")
            .copy(interpretation="srgb" if image.bands > 2 else "b-w")
        )
    values = image.colourspace("srgb").numpy()
    rgb = values[..., :3] if values.shape[2] > 2 else values[..., :1].repeat(3, 2)
    return np.where(values[..., 3:4] > 127, rgb, 0) if values.shape[2] == 4 else rgb


def outcome(path):
    """What became of a file, in a word, and why."""
    try:
        mine = ours(path)
    except FacerenError as error:
        return ("refused" if "\n" not in str(error) else "different"), str(error)
    reasons = []
    for reader in (by_pillow, by_vips):
        try:
            theirs = reader(path)
        except Exception as error:  # whatever it does not read
            reasons.append(f"{reader.__name__}: {' '.join(str(error).split())[:60]}")
            continue
        if theirs.shape != mine.shape:
            reasons.append(f"{reader.__name__}: {theirs.shape}, ours {mine.shape}")
        elif np.abs(theirs.astype(int) - mine).mean() <= LIKELY:
            return "alike", ""
        else:
            reasons.append(f"{reader.__name__}: {np.abs(theirs.astype(int) - mine).mean():.1f}")
    both = all("ours" not in reason and not reason[-1].isdigit() for reason in reasons)
    return ("read by us alone" if both else "different"), "; ".join(reasons)


@pytest.mark.skipif(not FOLDERS, reason="FACEREN_PICTURES names no folder")
@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_public_pictures_are_decoded_alike_or_refused(folder):
    counts = collections.Counter(outcome(found.path)[0] for found in find_images([folder]))
    assert counts["alike"] > 0
    assert counts["different"] <= 0.02 * counts.total()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        every = {found.path: outcome(found.path) for found in find_images([Path(name)])}
        for path, (word, why) in every.items():
            if word != "alike":
                sys.stdout.write(f"{word}: {path.name}: {why}\n")
        sys.stdout.write(f"{name}: {dict(collections.Counter(w for w, _ in every.values()))}\n")
