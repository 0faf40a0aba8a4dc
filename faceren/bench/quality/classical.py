"""Restoration without learning: filters of kept libraries, as a floor under the networks.

They know nothing of the damage but its kind, as the networks do. Pixels are (H, W, 3) uint8 RGB.
"""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

import faceren
from faceren.arrays import Float64, Rgb8
from faceren.bench.quality.methods import Filter
from faceren.bench.request import LeftOut
from faceren.degradation import resize
from faceren.degradation.resolution import Jpeg

MOSAIC = 16
"""Side of the blocks of the hallucination task, pixels."""
BLUR_SIGMA = 3.0
"""Sigma in pixels of the Gaussian that stands in for the unknown blur: the least of the task, which
draws 3 to 8, or motion."""
LUCY_STEPS = 5
"""Iterations of Richardson-Lucy; more sharpen the noise of a kernel that is only assumed."""
JPEG_QUALITY, JPEG_STEP = 40, 2
"""Quality of the repeated compression, and the pixels between its shifts."""


def noise_level(image: Rgb8) -> float:
    """Return the standard deviation of white noise, estimated from the finest diagonal wavelets.

    Source: Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage (Biometrika 1994).
    """
    height, width = (n // 2 * 2 for n in image.shape[:2])
    pixels = image[:height, :width].astype(np.float32)
    a, b = pixels[::2, ::2], pixels[::2, 1::2]
    c, d = pixels[1::2, ::2], pixels[1::2, 1::2]
    return float(np.median(np.abs(a - b - c + d)) / 2 / 0.6745)


def enlarged(image: Rgb8, factor: int, interpolation: int) -> Rgb8:
    """Return the image shrunk by area averaging and enlarged back.

    Args:
        image: (H, W, 3).
        factor: By which to shrink; of a mosaic, its block: then nothing is lost.
        interpolation: OpenCV's number of what enlarges it.
    """
    height, width = image.shape[:2]
    small = resize(image, height=max(1, height // factor), width=max(1, width // factor), by="area")
    return np.asarray(cv2.resize(small, (width, height), interpolation=interpolation), np.uint8)


def quarter_lanczos(image: Rgb8) -> Rgb8:
    """Return a face of a quarter of the side, enlarged by Lanczos interpolation."""
    return enlarged(image, 4, cv2.INTER_LANCZOS4)


def mosaic_bicubic(image: Rgb8) -> Rgb8:
    """Return the means of the blocks, enlarged by cubic interpolation."""
    return enlarged(image, MOSAIC, cv2.INTER_CUBIC)


def mosaic_lanczos(image: Rgb8) -> Rgb8:
    """Return the means of the blocks, enlarged by Lanczos interpolation."""
    return enlarged(image, MOSAIC, cv2.INTER_LANCZOS4)


def non_local_means(image: Rgb8) -> Rgb8:
    """Return the image denoised by OpenCV's non-local means, as strongly as the noise asks."""
    strength = 0.8 * noise_level(image)
    return np.asarray(cv2.fastNlMeansDenoisingColored(image, None, strength, strength), np.uint8)


def wavelet_shrinkage(image: Rgb8) -> Rgb8:
    """Return the image denoised by BayesShrink in YCbCr."""
    from skimage.restoration import denoise_wavelet

    return _pixels(denoise_wavelet(image / 255, channel_axis=-1, convert2ycbcr=True))


def richardson_lucy(image: Rgb8) -> Rgb8:
    """Return the image deconvolved with a Gaussian that stands in for the unknown blur."""
    from skimage.restoration import richardson_lucy as deconvolve

    radius = round(3 * BLUR_SIGMA)
    line = cv2.getGaussianKernel(2 * radius + 1, BLUR_SIGMA)
    kernel = line @ line.T
    padded = np.pad(image / 255, ((radius,) * 2, (radius,) * 2, (0, 0)), mode="reflect")
    sharp = [deconvolve(padded[:, :, c], kernel, num_iter=LUCY_STEPS) for c in range(3)]
    return _pixels(np.dstack(sharp)[radius:-radius, radius:-radius])


def recompression(image: Rgb8) -> Rgb8:
    """Return the mean of shifted copies that were compressed once more: blocks average out.

    Source: Nosratinia, Enhancement of JPEG-compressed images by re-application of JPEG (Journal
    of VLSI Signal Processing 27, 2001).
    """
    shifts = [(y, x) for y in range(-4, 4, JPEG_STEP) for x in range(-4, 4, JPEG_STEP)]
    total = np.zeros(image.shape, np.float64)
    for shift in shifts:
        compressed = Jpeg(quality=JPEG_QUALITY)(np.roll(image, shift, (0, 1)))
        total += np.roll(compressed, (-shift[0], -shift[1]), (0, 1))
    return _pixels(total / len(shifts) / 255)


def total_variation(image: Rgb8) -> Rgb8:
    """Return the image smoothed by total variation (Chambolle), weakly."""
    from skimage.restoration import denoise_tv_chambolle

    return _pixels(denoise_tv_chambolle(image / 255, weight=0.03, channel_axis=-1))


def _pixels(image: Float64) -> Rgb8:
    return np.asarray((image * 255).round().clip(0, 255), np.uint8)


@dataclass(frozen=True)
class _Known:
    """A filter, for which tasks it is made, and what it needs beside the dependencies."""

    name: str
    tasks: tuple[str, ...]
    note: str
    function: Callable[[Rgb8], Rgb8]
    library: str = "opencv-python"
    modules: tuple[str, ...] = ()


ANY = ("full", "small", "historic")
SCIKIT = ("skimage", "pywt")
FILTERS = (
    _Known("lanczos", ("sr4x",), "Lanczos ×4 of a quarter (OpenCV)", quarter_lanczos),
    _Known("bicubic", ("hallucination",), "bicubic ×16 of the blocks (OpenCV)", mosaic_bicubic),
    _Known("lanczos", ("hallucination",), "Lanczos ×16 of the blocks (OpenCV)", mosaic_lanczos),
    _Known("nlm", ("denoise", *ANY), "non-local means (OpenCV)", non_local_means),
    _Known(
        *("wavelet", ("denoise",), "wavelet shrinkage, BayesShrink (scikit-image, PyWavelets)"),
        *(wavelet_shrinkage, "scikit-image", SCIKIT),
    ),
    _Known(
        *("richardson-lucy", ("deblur",), f"Richardson–Lucy, σ {BLUR_SIGMA:g} (scikit-image)"),
        *(richardson_lucy, "scikit-image", SCIKIT[:1]),
    ),
    _Known("recompression", ("jpeg",), "re-application of JPEG (OpenCV)", recompression),
    _Known(
        *("tv", ("jpeg", *ANY), "total variation, Chambolle (scikit-image)"),
        *(total_variation, "scikit-image", SCIKIT[:1]),
    ),
)


def classical(task: str) -> tuple[list[Filter], list[LeftOut]]:
    """Return the filters for a task, and those whose library is not installed here."""
    methods, absent = [], []
    for known in FILTERS:
        if task not in known.tasks:
            continue
        if all(importlib.util.find_spec(module) for module in known.modules):
            version = importlib.metadata.version(known.library)
            settings = f"faceren {faceren.__version__} {known.note} {known.library} {version}"
            methods.append(
                Filter(
                    name=known.name,
                    kind="classical",
                    note=known.note,
                    settings=settings,
                    function=known.function,
                )
            )
        else:
            why = f"{known.library} is not installed; pip install 'faceren[bench]'"
            absent.append(LeftOut(f"{known.name} on {task}", why))
    return methods, absent
