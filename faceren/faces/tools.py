"""Which networks find and outline faces: the shipped detector, or facexlib's."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # torch takes seconds to load; who only names a detector does without
    import torch

from faceren.arrays import Plane, Rgb
from faceren.config import Detector
from faceren.errors import MachineError
from faceren.faces import tiny, weights
from faceren.faces.face import Search

MaskKind = Literal["auto", "ellipse", "parsing"]
Parse = Callable[[Rgb], Plane]
"""Outlines the head in an aligned crop: (S, S, 3) in, (S, S) out, both in [0, 1]."""


@dataclass(frozen=True)
class FaceTools:
    """The networks beside the generator that a restoration uses."""

    search: Search = tiny.search
    parse: Parse | None = None
    """None: masks are ellipses."""


def resolve_mask(mask: MaskKind, folder: Path | None) -> Literal["ellipse", "parsing"]:
    """Return what ``auto`` means here: ``parsing`` if facexlib and its weights are there."""
    if mask != "auto":
        return mask
    known = importlib.util.find_spec("facexlib") is not None
    return (
        "parsing"
        if known and weights.available(weights.PARSENET, folder or weights.default_folder())
        else "ellipse"
    )


def load_tools(
    detector: Detector,
    mask: MaskKind,
    folder: Path | None,
    *,
    offline: bool,
    device: "torch.device",
) -> FaceTools:
    """Load the networks that find and outline faces.

    Args:
        detector: ``tiny`` is shipped; the others are facexlib's.
        mask: ``parsing`` follows the head; for others nothing is loaded.
        folder: Of facexlib's weights; default ``weights.default_folder()``.
        offline: Never download them.
        device: Where facexlib's networks compute; on CUDA the shipped detector does, too, if the
            installed ONNX Runtime can.

    Raises:
        MachineError: If a library or weights are missing.
    """
    folder = folder or weights.default_folder()
    search: Search = tiny.search
    parse: Parse | None = None
    if detector == "tiny":
        search = tiny.load_search(gpu=str(device).startswith("cuda"))
    if detector != "tiny" or mask == "parsing":
        _need_facexlib()
        from faceren.faces import facexlib_networks  # here: it is an optional package

    if detector != "tiny":
        wanted = weights.RESNET50 if detector == "retinaface_resnet50" else weights.MOBILENET
        path = weights.fetched(wanted, folder, offline=offline)
        search = facexlib_networks.retinaface(detector, path, device)
    if mask == "parsing":
        path = weights.fetched(weights.PARSENET, folder, offline=offline)
        parse = facexlib_networks.HeadParser(path, device)
    return FaceTools(search, parse)


def _need_facexlib() -> None:
    """Check that facexlib is installed before anything is downloaded for it.

    Raises:
        MachineError: If it is not.
    """
    if importlib.util.find_spec("facexlib") is None:
        raise MachineError(
            "this detector or mask needs facexlib, which is not installed; install it: "
            "pip install 'faceren[facexlib]'"
        )
