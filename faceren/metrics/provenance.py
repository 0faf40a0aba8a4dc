"""What computed a figure: library, version, and the hash of the weights."""

import faceren
from faceren.assets import ASSETS
from faceren.metrics.dlib_models import dlib_version
from faceren.metrics.names import Protocol

WEIGHTS = {
    "lpips": ("lpips-alexnet",),
    "fid": ("inception-2015",),
    "kid": ("inception-2015",),
    "fed": ("dlib-embedding", "dlib-landmarks-5"),
    "lle": ("dlib-landmarks-68",),
    "identity": ("dlib-embedding",),
}
PAPER_WAYS = {
    "psnr": "at most 80 dB",
    "ms-ssim": "exponent slip",
    "fid": "BGR, bilinear",
    "kid": "BGR, bilinear",
    "lpips": "BGR",
    "niqe": "scikit-video port",
}


def computed_by(metric: str, protocol: Protocol) -> str:
    """Return one line that says what computed a metric under a protocol."""
    parts = [f"faceren {faceren.__version__}"]
    if metric in ("fed", "lle", "identity"):
        parts.append(f"dlib {dlib_version()}")
    names = WEIGHTS.get(metric, ())
    if metric == "niqe":
        names = ("niqe-matlab",) if protocol == "standard" else ("niqe-legacy",)
    parts += [f"{name} sha256 {ASSETS[name].sha256[:12]}" for name in names]
    if protocol == "paper":
        parts.append("; ".join(filter(None, ["JPEG 95 first", PAPER_WAYS.get(metric, "")])))
    return ", ".join(parts)
