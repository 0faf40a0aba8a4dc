"""Whether it is still the same person: the distance of face embeddings, as a loss.

Any embedding network that was trained on faces aligned as ArcFace does (Deng et al., CVPR 2019)
will do; the user brings it as a TorchScript file.

Shape letters: N batch, S side of a training image, D numbers of an embedding.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.errors import ConfigError, MachineError
from faceren.faces.alignment import TEMPLATE, similarity

ARCFACE_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Where eyes, nose tip and mouth corners lie in what such networks see."""
SIDE = 112
"""Sides of that, pixels."""


def arcface_window() -> tuple[int, int, int]:
    """Return how to cut ArcFace's view out of an FFHQ crop: its side once shrunk, left and top.

    The two templates differ by a scale and a shift; the rotation between them is below 0.2 degrees.
    """
    (scale, _, left), (_, _, top) = similarity(TEMPLATE, ARCFACE_TEMPLATE)
    return round(512 * scale), round(-left), round(-top)


class FaceEmbedding(nn.Module):
    """Unit-length embeddings of aligned faces, frozen.

    Args:
        weights: TorchScript file of a network from (N, 3, 112, 112), RGB in [0, 1], to (N, D).

    Raises:
        MachineError: If the file is missing.
        ConfigError: If it holds no such network.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.network = _load(weights)
        for parameter in self.network.parameters():
            parameter.requires_grad_(requires_grad=False)
        self.side, self.left, self.top = arcface_window()
        with torch.no_grad():
            self._check(weights)

    def forward(self, faces: Tensor) -> Tensor:
        """Return embeddings (N, D) of faces (N, 3, S, S), aligned as FFHQ is, RGB in [0, 1]."""
        small = F.interpolate(
            faces, size=(self.side, self.side), mode="bilinear", antialias=True, align_corners=False
        )
        rows = slice(self.top, self.top + SIDE)
        columns = slice(self.left, self.left + SIDE)
        embeddings: Tensor = self.network(small[:, :, rows, columns])
        return F.normalize(embeddings, dim=1)

    def _check(self, weights: Path) -> None:
        expected = "expected a network from (N, 3, 112, 112) to (N, D)"
        try:
            shape = tuple(self.network(torch.rand(2, 3, SIDE, SIDE)).shape)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ConfigError(
                f"loss.identity_weights: {weights}: {expected}, which fails: {reason}"
            ) from error
        if len(shape) != 2 or shape[0] != 2:
            raise ConfigError(f"loss.identity_weights: {weights}: {expected}, got {shape} for N 2")


def identity_loss(embedding: FaceEmbedding, output: Tensor, clean: Tensor) -> Tensor:
    """Return one minus the mean cosine between embeddings, a scalar; 0 if there is no face.

    Args:
        embedding: Whose embeddings.
        output: (N, 3, S, S), aligned faces; gets the gradient.
        clean: The same shape.
    """
    if not len(output):
        return output.sum()  # 0, and a step of crops alone can still go backward
    with torch.no_grad():
        person = embedding(clean)
    return 1 - (embedding(output) * person).sum(1).mean()


def _load(weights: Path) -> Any:
    if not weights.is_file():
        raise MachineError(
            f"loss.identity_weights: expected a TorchScript file, {weights} is none; "
            f"give its path, or set loss.identity to 0"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.load.*")
        load: Any = torch.jit.load  # has no types
        try:
            return load(str(weights), map_location="cpu").eval()
        except RuntimeError as error:
            raise ConfigError(
                f"loss.identity_weights: expected a TorchScript file, {weights} is another kind"
            ) from error
