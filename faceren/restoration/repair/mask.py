"""Masks of marks as files: gray PNG, black stays as it is, every other level is a kind of mark."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceren.config import Mark
from faceren.errors import ImageError, told
from faceren.files import atomic_path
from faceren.images.decode import opened
from faceren.restoration.repair.gates import Component

LEVEL = 51
"""Step between the levels of two kinds: bright dust is 51, a loss 255."""
Kinds = NDArray[np.uint8]
"""(H, W): a ``Mark`` for each pixel."""


def mask_of(components: Sequence[Component], shape: tuple[int, int]) -> Kinds:
    """Return the kinds of marks of a page, (H, W); each is as much wider as its rim says.

    Args:
        components: Those that are to be in it.
        shape: H and W.
    """
    mask = np.zeros(shape, np.uint8)
    for part in components:
        (x0, y0, x1, y1), pixels, rim = part.box, part.pixels.astype(np.uint8), part.rim
        top, left = min(rim, y0), min(rim, x0)
        bottom, right = min(rim, shape[0] - y1), min(rim, shape[1] - x1)
        wide = np.pad(pixels, ((top, bottom), (left, right)))
        wide = cv2.dilate(wide, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))
        there = mask[y0 - top : y1 + bottom, x0 - left : x1 + right]
        there[wide > 0] = np.uint8(part.mark)
    return mask


def write_mask(path: Path, kinds: Kinds) -> None:
    """Write a mask, whole or not at all.

    Args:
        path: The file; its folder is made if needed.
        kinds: (H, W).

    Raises:
        MachineError: If the disk is full or the folder cannot be written.
    """
    with atomic_path(path) as temporary:
        Image.fromarray(kinds * np.uint8(LEVEL)).save(temporary, format="PNG", compress_level=4)


def read_mask(path: Path, shape: tuple[int, int]) -> Kinds:
    """Return the kinds of marks that a mask file says, (H, W); what is not black is a mark.

    Args:
        path: A PNG of 8 bits, gray or colours, of any size; opacity is not looked at.
        shape: H and W that it must have.

    Raises:
        ImageError: If it is no picture, has another size or more than 8 bits.
    """
    wanted = f"{shape[1]}×{shape[0]} pixels"
    try:
        with opened(path.read_bytes(), "png") as file:
            if (file.height, file.width) != shape:
                raise ImageError(
                    f"{path}: expected a mask of {wanted}, as its photo is seen, got "
                    f"{file.width}×{file.height}"
                )
            if file.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
                raise ImageError(f"{path}: expected a mask of 8 bits, got mode {file.mode}")
            gray = np.asarray(file.convert("RGB")).max(-1)
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"{path}: expected a mask, a PNG of {wanted}: {told(error)}") from error
    kinds = np.minimum(np.rint(gray / LEVEL), Mark.LOSS).astype(np.uint8)
    return np.asarray(np.where(gray > 0, np.maximum(kinds, 1), 0), np.uint8)
