"""RetinaFace detectors and ParseNet of the optional package facexlib.

facexlib imports torchvision; nothing here is imported unless one of its networks is asked for.

Shape letters: H and W pixels of an image, S side of an aligned crop.
"""

import importlib
import threading
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from faceren.arrays import Plane, Rgb, Rgb8
from faceren.errors import MachineError
from faceren.faces.face import Face, Search

NETWORKS = {"retinaface_resnet50": "resnet50", "retinaface_mobile0.25": "mobile0.25"}
PARSED_SIDE = 512
"""Side in pixels of the crops that ParseNet was trained on."""
NOT_THE_HEAD = (0, 16, 18)
"""ParseNet's classes background, necklace and cloth."""


def _facexlib(module: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision, at import
            return importlib.import_module(f"facexlib.{module}")
    except ImportError as error:
        raise MachineError(
            f"facexlib cannot be imported ({error}); install it: pip install 'faceren[facexlib]'"
        ) from error


def _loaded(network: Any, weights: Path, device: torch.device) -> Any:
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        network.load_state_dict({key.removeprefix("module."): state[key] for key in state})
    except (RuntimeError, AttributeError, EOFError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise MachineError(f"{weights} does not fit facexlib's network: {first}") from error
    return network.eval().to(device)


def retinaface(name: str, weights: Path, device: torch.device) -> Search:
    """Return a RetinaFace detector.

    Args:
        name: A key of ``NETWORKS``.
        weights: Verified state dict.
        device: Where it computes.

    Raises:
        MachineError: If facexlib is missing or the weights do not fit.
    """
    module = _facexlib("detection.retinaface")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls torchvision as older versions wanted
        bare = module.RetinaFace(network_name=NETWORKS[name], device=device)
    network = _loaded(bare, weights, device)
    turn = threading.Lock()  # the network keeps the size of its image while it works

    def search(image: Rgb8, threshold: float) -> list[Face]:
        bgr = np.ascontiguousarray(image[..., ::-1])
        with turn, torch.inference_mode():
            rows = network.detect_faces(bgr, conf_threshold=threshold)
        return [
            Face((row[0], row[1], row[2], row[3]), np.reshape(row[5:15], (5, 2)) - 0.5, row[4])
            for row in np.asarray(rows, np.float64).tolist()
        ]

    return search


class HeadParser:
    """Says which pixels of an aligned crop are face, ears, hair, hat or neck.

    Args:
        weights: Verified state dict of ParseNet.
        device: Where it computes.

    Raises:
        MachineError: If facexlib is missing or the weights do not fit.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        bare = _facexlib("parsing.parsenet").ParseNet(
            in_size=PARSED_SIDE, out_size=PARSED_SIDE, parsing_ch=19
        )
        self._network = _loaded(bare, weights, device)
        self._device = device

    def __call__(self, crop: Rgb) -> Plane:
        """Return 1 where the head is and 0 elsewhere, (S, S) float32.

        Args:
            crop: (S, S, 3) in [0, 1].
        """
        side = (PARSED_SIDE, PARSED_SIDE)
        seen = torch.from_numpy(cv2.resize(crop, side)).permute(2, 0, 1)[None]  # (1, 3, 512, 512)
        with torch.inference_mode():
            scores = self._network((seen * 2 - 1).to(self._device))[0]  # (1, 19, 512, 512)
        classes = scores[0].argmax(0).cpu().numpy()
        head = (~np.isin(classes, NOT_THE_HEAD)).astype(np.float32)
        return np.asarray(cv2.resize(head, crop.shape[1::-1]), np.float32)
