"""How near an image is to its reference: PSNR, SSIM and MS-SSIM of pixels, FED and LLE of faces.

The former, of batches, are torch only, so that training can use them. FED and LLE: how far a
restored face is from the person it was, and its features from theirs.

Shape letters: N batch, C channels, H and W pixels.

Sources: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity (IEEE
TIP 13(4), 2004), with its 11-pixel Gaussian window of sigma 1.5, only where the window lies inside
the image; Wang et al., Multi-scale structural similarity for image quality assessment (Asilomar
2003).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from faceren.arrays import Float64, Rgb8
from faceren.errors import MachineError, ShapeError
from faceren.faces import dlib_networks

CEILING = 100.0
"""Decibels of identical images; two 512-pixel images that differ by one level have 107."""
PAPER_CEILING = 80.0
"""Decibels of identical images under the paper's Table 1, whose code floors the error at 1e-8."""
WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of MS-SSIM from the finest scale to the coarsest."""
LEAST_SIDE = WINDOW * 2 ** (len(WEIGHTS) - 1)
"""The window must fit into the coarsest scale."""


def check_pair(name: str, images: Tensor, references: Tensor, *, least: int = 1) -> None:
    """Raise ShapeError unless both are (N, C, H, W) of one shape, sides of ``least`` or more."""
    if images.shape != references.shape or images.ndim != 4:
        raise ShapeError(
            f"{name}: expected two (N, C, H, W) batches of one shape, "
            f"got {tuple(images.shape)} and {tuple(references.shape)}"
        )
    if min(images.shape[2:]) < least:
        raise ShapeError(
            f"{name}: expected images of at least {least}x{least} pixels, "
            f"got {images.shape[3]}x{images.shape[2]}"
        )


def psnr(images: Tensor, references: Tensor, *, ceiling: float = CEILING) -> Tensor:
    """Return ``10 log10(1 / MSE)`` of each pair in decibels, shape (N,); higher is better.

    The error is averaged over all channels and pixels of an image.

    Args:
        images: (N, C, H, W) in [0, 1].
        references: The same shape.
        ceiling: Decibels that no pair exceeds, so that identical images have a finite figure.

    Raises:
        ShapeError: If the shapes differ.
    """
    check_pair("psnr", images, references)
    error = (images - references).square().flatten(1).mean(1)  # (N,)
    return -10 * error.clamp_min(10 ** (-ceiling / 10)).log10()


def ssim_maps(images: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    """Return the similarity and its contrast-structure factor at each place.

    Args:
        images: (N, C, H, W) in [0, 1], sides of at least 11 pixels.
        references: The same shape.

    Returns:
        Two maps (N, C, H-10, W-10).

    Raises:
        ShapeError: If the shapes differ or are too small.
    """
    check_pair("ssim", images, references, least=WINDOW)
    x, y = images, references
    moments = torch.stack([x, y, x * x, y * y, x * y])  # (5, N, C, H, W)
    planes = moments.flatten(0, 2)
    count = len(planes)
    offsets = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * SIGMA**2))
    taps = (window / window.sum()).expand(count, 1, WINDOW)
    # as channels of one image: as images of one channel it takes seven times as long on a CPU
    down = F.conv2d(planes[None], taps[..., None], groups=count)
    means = F.conv2d(down, taps[:, :, None], groups=count)[0]  # (5NC, H-10, W-10)
    shape = (*moments.shape[:3], *means.shape[1:])  # (5, N, C, H-10, W-10)
    mx, my, xx, yy, xy = means.view(shape)
    spread = (xx - mx * mx).clamp_min(0) + (yy - my * my).clamp_min(0)
    contrast = (2 * (xy - mx * my) + C2) / (spread + C2)
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    return luminance * contrast, contrast


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """Return the mean similarity of each pair over places and channels, shape (N,); 1 is equal.

    Args:
        images: (N, C, H, W) in [0, 1], sides of at least 11 pixels.
        references: The same shape.

    Raises:
        ShapeError: If the shapes differ or are too small.
    """
    return ssim_maps(images, references)[0].flatten(1).mean(1)


def scale_terms(images: Tensor, references: Tensor) -> Tensor:
    """Return what each scale of MS-SSIM says of each pair, shape (N, 5), the finest first.

    The contrast factor of the four finer scales and the whole similarity of the coarsest, averaged
    over places and channels. Each scale is the one before, averaged over squares of two pixels.

    Args:
        images: (N, C, H, W) in [0, 1], sides of at least 176 pixels.
        references: The same shape.

    Raises:
        ShapeError: If the shapes differ or are too small.
    """
    check_pair("ms-ssim", images, references, least=LEAST_SIDE)
    terms = []
    for scale in range(len(WEIGHTS)):
        if scale > 0:
            images, references = F.avg_pool2d(images, 2), F.avg_pool2d(references, 2)
        similarity, contrast = ssim_maps(images, references)
        coarsest = scale == len(WEIGHTS) - 1
        terms.append((similarity if coarsest else contrast).flatten(1).mean(1))
    return torch.stack(terms, dim=1)


def ms_ssim(images: Tensor, references: Tensor, *, slip: bool = False) -> Tensor:
    """Return the multi-scale similarity of each pair, shape (N,); 1 is equal.

    The product of the scales' terms, cut off at 0, with WEIGHTS as exponents (eq. 7 of the
    source). Some codes add the terms with WEIGHTS instead, which is up to 0.5 % higher.

    Args:
        images: (N, C, H, W) in [0, 1], sides of at least 176 pixels.
        references: The same shape.
        slip: Take the coarsest similarity into the product once for each finer scale, four times
            in all, as the code behind the paper's Table 1 did; lower than the standard.

    Raises:
        ShapeError: If the shapes differ or are too small.
    """
    terms = scale_terms(images, references)
    exponents = terms.new_tensor(WEIGHTS)
    if slip:
        exponents = exponents * exponents.new_tensor([1, 1, 1, 1, len(WEIGHTS) - 1])
    powers: Tensor = terms.clamp_min(0) ** exponents  # (N, 5)
    return powers.prod(1)


LIP_CORNERS = (48, 54, 60, 64)
"""The outlines of upper and lower lip both have them, so each counts twice: 72 points."""
SIDE = 512
"""Pixels of the image side to which the landmark error refers."""


@dataclass(frozen=True)
class SeenFace:
    """The face of an image that dlib's detector is most certain of."""

    embedding: Float64
    """Whose face it is, (128,)."""
    landmarks: Float64
    """Where its features are, (68, 2), in pixels of the image."""
    side: int
    """Longer side of the image in pixels."""


def see_face(rgb: Rgb8) -> SeenFace | None:
    """Return what dlib sees in an image, or None if it finds no face.

    Args:
        rgb: (H, W, 3) uint8.
    """
    box = dlib_networks.first_face(rgb)
    if box is None:
        return None
    return SeenFace(
        dlib_networks.embedding(rgb, box), dlib_networks.landmarks68(rgb, box), max(rgb.shape[:2])
    )


def fed(face: SeenFace, reference: SeenFace) -> float:
    """Return the face embedding distance of two faces; lower is better, 0.6 is another person.

    HiFaceGAN, section 3.3: dlib's 128 numbers, not normalised.
    """
    return dlib_networks.distance(face.embedding, reference.embedding)


def lle(face: SeenFace, reference: SeenFace) -> float:
    """Return the landmark localisation error; lower is better.

    The mean distance of 72 landmarks in pixels of a 512-pixel image.

    Raises:
        ShapeError: If the images are of different sizes.
    """
    if face.side != reference.side:
        raise ShapeError(
            f"lle: expected images of one size, got sides of {face.side} and {reference.side}"
        )
    apart = np.linalg.norm(face.landmarks - reference.landmarks, axis=1)  # (68,)
    total = apart.sum() + apart[list(LIP_CORNERS)].sum()
    return float(total / (len(apart) + len(LIP_CORNERS)) * SIDE / face.side)


@dataclass(frozen=True)
class KnownFace:
    """The face of a clean image, for many images of the same face at the same place."""

    box: Any
    """Where the face is, as dlib's rectangle."""
    embedding: Float64
    """Whose face it is, (128,)."""

    def fed(self, rgb: Rgb8) -> float:
        """Return the FED of an image whose face is where the clean image has it.

        The detector is not asked again: quicker, and no image is left out however damaged.

        Args:
            rgb: (H, W, 3) uint8, of the clean image's size.
        """
        return dlib_networks.distance(dlib_networks.embedding(rgb, self.box), self.embedding)


def know_face(rgb: Rgb8) -> KnownFace | None:
    """Return the face of a clean image, (H, W, 3) uint8, or None if dlib finds none."""
    box = dlib_networks.first_face(rgb)
    return None if box is None else KnownFace(box, dlib_networks.embedding(rgb, box))


def why_no_fed() -> str:
    """Return why FED cannot be computed on this machine; empty if it can."""
    try:
        dlib_networks.check()
    except MachineError as error:
        return str(error)
    return ""
