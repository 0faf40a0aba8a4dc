"""Which networks find and outline faces, and their weights: found or fetched, always verified."""

import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from faceren.arrays import Plane, Rgb
from faceren.config import Detector
from faceren.errors import MachineError
from faceren.faces import tiny
from faceren.faces.face import Search
from faceren.files import atomic_path, sha256_of

if TYPE_CHECKING:  # torch takes seconds to load; who only names a detector does without
    import torch


RELEASES = "https://github.com/xinntao/facexlib/releases/download"
SECONDS = 30.0
"""Time without an answer after which a download has failed."""


@dataclass(frozen=True)
class Weights:
    """One published file of weights."""

    name: str
    url: str
    sha256: str


RESNET50 = Weights(
    "detection_Resnet50_Final.pth",
    f"{RELEASES}/v0.1.0/detection_Resnet50_Final.pth",
    "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
)
MOBILENET = Weights(
    "detection_mobilenet0.25_Final.pth",
    f"{RELEASES}/v0.1.0/detection_mobilenet0.25_Final.pth",
    "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
)
PARSENET = Weights(
    "parsing_parsenet.pth",
    f"{RELEASES}/v0.2.2/parsing_parsenet.pth",
    "3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
)


def default_folder() -> Path:
    """Return the folder of fetched weights: ``faceren`` in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "faceren"


def available(weights: Weights, folder: Path) -> bool:
    """Say whether a file of that name is in the folder; ``fetched`` verifies it."""
    return (folder / weights.name).is_file()


def fetched(weights: Weights, folder: Path, *, offline: bool = False) -> Path:
    """Return the path of verified weights, downloading them if they are not in the folder.

    Args:
        weights: Which.
        folder: Where they are or will be.
        offline: Never download.

    Raises:
        MachineError: If they are not there and cannot be fetched, or their SHA-256 is another.
    """
    path = folder / weights.name
    if not path.is_file():
        if offline:
            raise MachineError(
                f"{weights.name} is not in {folder} and --offline forbids to fetch it; put the "
                f"file of {weights.url} there, or leave out --offline"
            )
        _download(weights, path)
    elif (found := sha256_of(path)) != weights.sha256:
        raise MachineError(
            f"{path} has SHA-256 {found[:16]}…, expected {weights.sha256[:16]}…; remove the file, "
            f"it is damaged or another version"
        )
    return path


def _received(answer: BinaryIO, weights: Weights) -> bytes:
    """Return the next part of a file; an error of the network is told from one of the disk."""
    import http.client

    try:
        return answer.read(1 << 20)
    except (OSError, http.client.HTTPException) as error:
        raise MachineError(f"{weights.url} broke off ({error}); try again") from error


def _download(weights: Weights, path: Path) -> None:
    import http.client  # here: they would be a fiftieth of every start
    import urllib.request

    digest = hashlib.sha256()
    try:
        with (
            urllib.request.urlopen(weights.url, timeout=SECONDS) as answer,
            atomic_path(path) as temporary,
        ):
            with temporary.open("wb") as file:
                while block := _received(answer, weights):
                    digest.update(block)
                    file.write(block)
            if digest.hexdigest() != weights.sha256:
                raise MachineError(
                    f"{weights.url} has SHA-256 {digest.hexdigest()[:16]}…, expected "
                    f"{weights.sha256[:16]}…; it is not kept, try again"
                )
    except (OSError, http.client.HTTPException) as error:
        raise MachineError(
            f"{weights.name} cannot be fetched ({error}); put the file of {weights.url} into "
            f"{path.parent}"
        ) from error


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
    return "parsing" if known and available(PARSENET, folder or default_folder()) else "ellipse"


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
        folder: Of facexlib's weights; default ``default_folder()``.
        offline: Never download them.
        device: Where facexlib's networks compute; on CUDA the shipped detector does, too, if the
            installed ONNX Runtime can.

    Raises:
        MachineError: If a library or weights are missing.
    """
    folder = folder or default_folder()
    search: Search = tiny.search
    parse: Parse | None = None
    if detector == "tiny":
        search = tiny.load_search(gpu=str(device).startswith("cuda"))
    if detector != "tiny" or mask == "parsing":
        _need_facexlib()
        from faceren.faces import facexlib_networks  # here: it is an optional package

    if detector != "tiny":
        wanted = RESNET50 if detector == "retinaface_resnet50" else MOBILENET
        path = fetched(wanted, folder, offline=offline)
        search = facexlib_networks.retinaface(detector, path, device)
    if mask == "parsing":
        path = fetched(PARSENET, folder, offline=offline)
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
