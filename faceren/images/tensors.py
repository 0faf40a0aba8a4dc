"""T, the image form of every other module, made from and turned into 8-bit pixels."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # torch takes seconds to load; who only reads and writes files does without
    from torch import Tensor

from faceren.arrays import Rgb8
from faceren.errors import ShapeError


def to_tensor(rgb: Rgb8) -> "Tensor":
    """Return pixels as a tensor (1, 3, H, W), float32 in [0, 1].

    Args:
        rgb: (H, W, 3) uint8.

    Raises:
        ShapeError: If ``rgb`` has another shape or type.
    """
    import torch

    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ShapeError(f"expected (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])
    return torch.from_numpy(planes).float() / 255


def to_uint8(image: "Tensor") -> Rgb8:
    """Return one image as pixels (H, W, 3) uint8, rounded to the nearest level and clamped.

    Args:
        image: (1, 3, H, W) or (3, H, W), RGB in [0, 1].

    Raises:
        ShapeError: If ``image`` has another shape or holds NaN.
    """
    import torch

    planes = image[0] if image.ndim == 4 and image.shape[0] == 1 else image
    if planes.ndim != 3 or planes.shape[0] != 3:
        raise ShapeError(f"expected one RGB image, (1, 3, H, W), got {tuple(image.shape)}")
    planes = planes.detach().float().cpu()
    if bool(planes.isnan().any()):
        raise ShapeError("expected RGB in [0, 1], got NaN; the image cannot be written")
    levels = (planes.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())
