"""Other people's networks, from checkpoints that the user owns, through the package spandrel.

Shape letters: N batch, H and W pixels.
"""

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from faceren.arrays import Rgb8
from faceren.bench.quality.methods import Filter
from faceren.degradation import resize
from faceren.errors import ConfigError, FaceError, MachineError
from faceren.files import sha256_of
from faceren.images import to_tensor, to_uint8
from faceren.inference import pick_device
from faceren.networks.pickled import UNREADABLE, load_tensors


@dataclass(frozen=True)
class Peer:
    """A loaded network and how it wants its input."""

    name: str
    model: Any
    """An ``ImageModelDescriptor`` of spandrel, float32."""

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the restored image at its own size.

        A network that enlarges gets the image shrunk by its factor; one that needs a least size
        gets it enlarged to that; one for faces of a fixed size gets a square of that size; one of
        a single channel gets the three colours one by one.

        Raises:
            FaceError: If the network cannot take such an image.
        """
        height, width = image.shape[:2]
        fixed = self.model.purpose == "FaceSR"
        side = max(height, width)
        around = ((0, side - height), (0, side - width), (0, 0))
        whole = np.pad(image, around, mode="symmetric") if fixed else image
        faces = to_tensor(_scaled(whole, *self.input_size(*whole.shape[:2])))
        restored = _scaled(to_uint8(self._restored(faces)), *whole.shape[:2])
        return np.ascontiguousarray(restored[:height, :width])

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that the network gets for an image of this size."""
        least = self.model.size_requirements.minimum
        if self.model.purpose == "FaceSR" and least:
            return least, least
        high, wide = (max(1, round(n / self.model.scale)) for n in (height, width))
        grow = max(1.0, least / min(high, wide))
        return round(high * grow), round(wide * grow)

    def _restored(self, faces: Tensor) -> Tensor:
        """Return what the network makes of one face, (1, 3, H, W)."""
        if self.model.input_channels == 1:
            faces = faces.transpose(0, 1)  # (3, 1, H, W)
        parts = []
        try:
            for face in faces:
                with torch.random.fork_rng(), torch.inference_mode():
                    torch.manual_seed(0)  # some decoders add noise: the same for every face
                    part: Tensor = self.model(face[None].to(self.model.device))
                parts.append(part.float().cpu())
        except RuntimeError as error:
            raise FaceError(
                f"{self.name}: {self.model.architecture.name} cannot take a face of "
                f"{faces.shape[3]}x{faces.shape[2]} pixels ({str(error).splitlines()[0]})"
            ) from error
        restored = torch.cat(parts)
        return restored.transpose(0, 1) if restored.shape[1] == 1 else restored


def _scaled(image: Rgb8, height: int, width: int) -> Rgb8:
    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    return resize(image, height=height, width=width, by="area" if shrinks else "cubic")


def load_peer(path: Path, *, device: str = "auto") -> Filter:
    """Load a checkpoint that spandrel knows, as a method.

    Nothing in the file is run: a pickle that holds more than tensors is refused.

    Args:
        path: ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors``.
        device: See ``pick_device``.

    Raises:
        MachineError: If spandrel is not installed, or the file is missing or damaged.
        ConfigError: If spandrel knows no such network, or it is none that restores images.
    """
    if importlib.util.find_spec("spandrel") is None:
        raise MachineError(
            f"--models {path}: no checkpoint of ours, and spandrel, which knows others', is not "
            f"installed; pip install 'faceren[peers]'"
        )
    state = _state(path)
    model = _described(path, state).to(pick_device(device)).float().eval()
    architecture = str(model.architecture.name)
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in _packages())
    return Filter(
        name=path.stem,
        kind="peer",
        note=f"{architecture} through spandrel, ×{model.scale}",
        settings=f"{sha256_of(path)} {versions} {device} torch {torch.__version__}",
        function=Peer(path.stem, model),
    )


def _packages() -> list[str]:
    names = ("spandrel", "spandrel_extra_arches")
    return [name for name in names if importlib.util.find_spec(name)]


def _state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise MachineError(f"--models: the file {path} is not there")
    if path.suffix != ".safetensors":
        state = load_tensors(path)
        if not isinstance(state, dict):
            raise ConfigError(f"{path}: expected a state dict, got a {type(state).__name__}")
        return state
    try:
        return dict(load_file(path))
    except UNREADABLE as error:
        raise MachineError(f"{path} cannot be read as a safetensors file ({error})") from error


def _described(path: Path, state: dict[str, Tensor]) -> Any:
    """Return spandrel's description of the network whose weights these are."""
    spandrel = importlib.import_module("spandrel")
    if "spandrel_extra_arches" in _packages():
        importlib.import_module("spandrel_extra_arches").install(ignore_duplicates=True)
    try:
        tensors = spandrel.canonicalize_state_dict(state)
        model = spandrel.ModelLoader().load_from_state_dict(tensors)
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError) as error:
        lines = str(error).strip().splitlines() or ["unknown architecture"]
        raise ConfigError(
            f"--models {path}: spandrel knows no network with such weights ({lines[0]}); "
            f"CodeFormer and others need the package spandrel-extra-arches"
        ) from error
    images = isinstance(model, spandrel.ImageModelDescriptor)
    if not images or model.input_channels not in (1, 3) or model.output_channels not in (1, 3):
        raise ConfigError(
            f"--models {path}: expected a network from image to image, "
            f"got {model.architecture.name} for {model.purpose}"
        )
    return model
