"""The Inception network of 2015 whose features FID and KID compare, and the two ways to feed it.

Shape letters: N batch, H and W pixels.
"""

import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from faceren.assets import asset
from faceren.errors import ShapeError

SIDE = 299
"""Sides in pixels of what the network sees."""
FEATURES = 2048


@cache
def load_inception(device: torch.device) -> Any:
    """Return the TorchScript network: (N, 3, 299, 299) in [-1, 1] to features (N, 2048).

    It is loaded once a process, because its first passes are slow.

    Raises:
        MachineError: If the weights are missing or damaged.
    """
    with warnings.catch_warnings():
        # the only form in which the network of 2015 is published for torch
        warnings.filterwarnings("ignore", message=".*torch.jit.load.*", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*torch.jit.load.*", category=DeprecationWarning)
        load: Any = torch.jit.load  # has no types
        return load(str(asset("inception-2015")), map_location=device).eval()


def clean_input(image: Tensor) -> Tensor:
    """Return an image as clean-fid feeds it: cubic with antialiasing, channel by channel in float.

    Parmar et al., On Aliased Resizing and Surprising Subtleties in GAN Evaluation (CVPR 2022).

    Args:
        image: (1, 3, H, W), RGB in [0, 1].

    Returns:
        (1, 3, 299, 299), RGB, about [-1, 1).
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ShapeError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
    planes = [
        np.asarray(
            Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32
        )
        for plane in (image[0] * 255).cpu().numpy()
    ]
    return (torch.from_numpy(np.stack(planes)).clamp(0, 255)[None] - 128) / 128


def paper_input(image: Tensor) -> Tensor:
    """Return an image as the paper fed it: bilinear without antialiasing, in the order BGR.

    Args:
        image: (1, 3, H, W), RGB in [0, 1].

    Returns:
        (1, 3, 299, 299), BGR in [-1, 1].
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ShapeError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
    small = F.interpolate(image.flip(1), size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * small - 1
