"""NIQE, naturalness without a reference: as its authors compute it, and as the paper did.

Source: Mittal et al., Making a "Completely Blind" Image Quality Analyzer (IEEE SPL 20(3), 2013).
The two kinds differ in luminance, borders, resizing, details of the fit, and in the statistics of
undamaged images that they compare with. ``niqe`` follows the authors' MATLAB code. ``niqe_legacy``
is the port that the paper's Table 1 was made with, whose figures are not comparable: it reads
lightness from an image with red and blue swapped, takes black beyond the borders, halves without
antialiasing, and repeats a parameter. Real faces have about 8 there where the authors' code gives 3
to 5.

Shape letters: H and W pixels, P patches, n pixels of a patch.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma

from faceren.arrays import Float64, Rgb8
from faceren.assets import asset
from faceren.errors import ImageError, ShapeError

GRAY = np.array([0.298936, 0.587043, 0.114021])
"""MATLAB's ``rgb2gray``; other codes take Y of YCbCr, which moves the figure by some percent."""
PATCH = 96
"""Side of a patch at full size in pixels; half of it at half size."""
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Neighbours, as (rows, columns), whose products with a pixel are measured."""
FLAT = 1e-6
"""Normalised values below are those of flat places; one level in one corner of the window is 1e-4.
In images that JPEG has flattened, the rounding of one library or another moves NIQE by 4 %."""
ALPHAS = np.arange(0.2, 10.001, 0.001)
"""Shapes of the asymmetric generalised Gaussian that the fit tries."""
_RATIOS = gamma(2 / ALPHAS) ** 2 / (gamma(1 / ALPHAS) * gamma(3 / ALPHAS))  # rises with alpha


@dataclass(frozen=True)
class Pristine:
    """Statistics of the features of undamaged images."""

    mean: Float64
    """Mean of the features, (36,)."""
    covariance: Float64
    """Covariance of the features, (36, 36)."""


@cache
def load_pristine(name: str) -> Pristine:
    """Return the numbers of an asset, ``niqe-matlab`` or ``niqe-legacy``."""
    with np.load(asset(name)) as arrays:
        return Pristine(arrays["mean"], arrays["covariance"])


def crop_to_patches(luminance: Float64) -> Float64:
    """Return the part, from the top left, that whole patches cover.

    Raises:
        ShapeError: If fewer than two patches fit.
    """
    rows, columns = (side // PATCH for side in luminance.shape)
    if rows * columns < 2:
        raise ShapeError(
            f"niqe: expected an image that holds two patches of {PATCH}x{PATCH} pixels, "
            f"got {luminance.shape[1]}x{luminance.shape[0]}"
        )
    return luminance[: rows * PATCH, : columns * PATCH]


def _local_mean(image: Float64, *, legacy: bool) -> Float64:
    """Return the Gaussian mean over 7 pixels; ``legacy``: black, not repeated, beyond the border.

    The one is a filter in two dimensions, the other two in one, as in the codes they repeat: in the
    legacy code the sign of the rounding error counts where an image is flat.
    """
    taps = np.exp(-np.square(np.arange(-3, 4)) / (2 * (7 / 6) ** 2))
    taps = taps / taps.sum()
    if legacy:
        mean = cv2.sepFilter2D(image, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_CONSTANT)
    else:
        window = np.outer(taps, taps)
        mean = cv2.filter2D(
            image, cv2.CV_64F, window / window.sum(), borderType=cv2.BORDER_REPLICATE
        )
    return np.asarray(mean)


def normalise(luminance: Float64, *, legacy: bool) -> Float64:
    """Return the local mean subtracted, divided by the local deviation plus one.

    Args:
        luminance: (H, W) in [0, 255].
        legacy: With the old port's borders.
    """
    mean = _local_mean(luminance, legacy=legacy)
    variance = np.abs(_local_mean(luminance**2, legacy=legacy) - mean**2)
    normalised = (luminance - mean) / (np.sqrt(variance) + 1)
    if not legacy:
        normalised[np.abs(normalised) < FLAT] = 0  # or the sign of a rounding error would count
    return np.asarray(normalised)


def patches(image: Float64, side: int) -> Float64:
    """Return the (P, side, side) patches of an image whose sides are multiples of ``side``."""
    rows, columns = (length // side for length in image.shape)
    grid = image.reshape(rows, side, columns, side).swapaxes(1, 2)
    return grid.reshape(rows * columns, side, side)


def _root_mean_square(values: Float64, mask: NDArray[np.bool_]) -> Float64:
    with np.errstate(invalid="ignore"):  # NaN where the mask is empty
        return np.sqrt((values**2 * mask).sum(1) / mask.sum(1))


def fit(values: Float64, *, zeros_right: bool) -> tuple[Float64, Float64, Float64]:
    """Fit asymmetric generalised Gaussians by moments (paper, eq. 7).

    Args:
        values: (P, n), one distribution a row.
        zeros_right: Count exact zeros as values of the right side.

    Returns:
        Shape alpha and the left and right scales beta, each (P,); NaN where a side is empty.
    """
    left = _root_mean_square(values, values < 0)
    right = _root_mean_square(values, values >= 0 if zeros_right else values > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        skew = left / right
        ratio = np.abs(values).mean(1) ** 2 / (values**2).mean(1)
        ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    above = np.clip(np.searchsorted(_RATIOS, ratio), 1, len(ALPHAS) - 1)
    below_is_nearer = ratio - _RATIOS[above - 1] < _RATIOS[above] - ratio
    alpha = ALPHAS[above - below_is_nearer]
    scale = np.sqrt(gamma(1 / alpha) / gamma(3 / alpha))
    return alpha, left * scale, right * scale


def patch_features(normalised: Float64, side: int, *, legacy: bool) -> Float64:
    """Return the 18 features of each patch, (P, 18).

    Args:
        normalised: (H, W), multiples of ``side``.
        side: Side of a patch.
        legacy: As the old port: zeros to the right, the left scale twice on the diagonals.
    """
    blocks = patches(normalised, side)
    alpha, left, right = fit(blocks.reshape(len(blocks), -1), zeros_right=legacy)
    columns = [alpha, (left + right) / 2]
    for shift in SHIFTS:
        products = blocks * np.roll(blocks, shift, axis=(1, 2))
        alpha, left, right = fit(products.reshape(len(blocks), -1), zeros_right=legacy)
        mean = (right - left) * gamma(2 / alpha) / gamma(1 / alpha)
        diagonal = 0 not in shift
        columns += [alpha, mean, left, left if legacy and diagonal else right]
    return np.stack(columns, axis=1)


def distance(features: Float64, pristine: Pristine) -> float:
    """Return the distance of two Gaussians (paper, eq. 10); lower is more natural.

    Args:
        features: (P, 36); patches with NaN (without texture) do not count.
        pristine: What to compare with.

    Raises:
        ImageError: If fewer than two patches have texture.
    """
    textured = features[~np.isnan(features).any(1)]
    if len(textured) < 2:
        raise ImageError(
            f"niqe: expected two patches with texture, got {len(textured)} of {len(features)}; "
            f"the image is blank"
        )
    difference = pristine.mean - np.nanmean(features, axis=0)
    covariance = (pristine.covariance + np.cov(textured, rowvar=False)) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(covariance) @ difference))


def halve(image: Float64) -> Float64:
    """Return the image at half size, as MATLAB's antialiased bicubic ``imresize``.

    Args:
        image: (H, W), even sides.
    """
    x = np.abs(np.arange(-3.5, 4)) / 2  # cubic (a = -0.5), stretched to twice
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    taps = np.where(x <= 1, near, far)
    taps = taps / taps.sum()
    # the 8 taps of output i begin 3 pixels before input 2i; BORDER_REFLECT mirrors with the edge
    padded = cv2.copyMakeBorder(image, 3, 4, 3, 4, cv2.BORDER_REFLECT)
    rows, columns = image.shape
    down = sum(tap * padded[k : k + rows : 2] for k, tap in enumerate(taps))
    return np.asarray(sum(tap * down[:, k : k + columns : 2] for k, tap in enumerate(taps)))


def niqe(rgb: Rgb8) -> float:
    """Return the NIQE of an image; lower is more natural, photographs have 2 to 5.

    Args:
        rgb: (H, W, 3) uint8, with room for two patches of 96 pixels.

    Raises:
        ShapeError: If it is smaller.
        ImageError: If it is blank.
        MachineError: If the statistics of undamaged images are missing.
    """
    luminance = crop_to_patches(np.round(rgb @ GRAY))
    scales = (luminance, PATCH), (halve(luminance), PATCH // 2)
    features = [
        patch_features(normalise(image, legacy=False), side, legacy=False) for image, side in scales
    ]
    return distance(np.hstack(features), load_pristine("niqe-matlab"))


def niqe_legacy(rgb: Rgb8) -> float:
    """Return the NIQE of the paper's Table 1; lower is more natural.

    Args:
        rgb: (H, W, 3) uint8, with room for two patches of 96 pixels.

    Raises:
        ShapeError: If it is smaller.
        ImageError: If it is blank.
        MachineError: If the statistics of undamaged images are missing.
    """
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    lightness = cv2.cvtColor(bgr, cv2.COLOR_RGB2LAB)[:, :, 0]  # taken for RGB: so it was done
    full = crop_to_patches(lightness.astype(np.float64))
    half: Float64 = cv2.resize(full, (full.shape[1] // 2, full.shape[0] // 2))
    features = [
        patch_features(normalise(image, legacy=True), side, legacy=True)
        for image, side in ((full, PATCH), (half, PATCH // 2))
    ]
    return distance(np.hstack(features), load_pristine("niqe-legacy"))
