"""Checkpoints as methods: our networks, those of other papers, and those spandrel reads.

Shape letters: N batch, H and W pixels.
"""

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from faceren.arrays import Rgb8
from faceren.assets import model_path, packaged_peers, shipped_models
from faceren.bench.quality.methods import (
    Filter,
    Kind,
    Method,
    digest_of,
    each_face,
    network,
    stem_of,
)
from faceren.bench.request import RUNS, TASKS, Request, short_name
from faceren.checkpoint import load_checkpoint
from faceren.checks import Json
from faceren.config import Architecture, BaselineConfig
from faceren.degradation import resize
from faceren.errors import ConfigError, FaceError, ImageError, MachineError
from faceren.files import sha256_of
from faceren.images import Found, find_images, read_rgb, to_tensor, to_uint8
from faceren.inference import TorchRestorer, load_restorer, pick_device
from faceren.networks.published import UNREADABLE, load_tensors
from faceren.training.recipe_file import load_recipe
from faceren.training.state import RunFolder


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
        made = torch.cat(parts)
        made = made.transpose(0, 1) if made.shape[1] == 1 else made
        restored = _scaled(to_uint8(made), *whole.shape[:2])
        return np.ascontiguousarray(restored[:height, :width])

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that the network gets for an image of this size."""
        least = self.model.size_requirements.minimum
        if self.model.purpose == "FaceSR" and least:
            return least, least
        high, wide = (max(1, round(n / self.model.scale)) for n in (height, width))
        grow = max(1.0, least / min(high, wide))
        return round(high * grow), round(wide * grow)


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
    model = model.to(pick_device(device)).float().eval()
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


TITLES: dict[Architecture, str] = {
    "edsr": "EDSR",
    "srresnet": "SRResNet (SRGAN)",
    "esrgan": "ESRGAN",
    "srfbn": "SRFBN",
    "superfan": "Super-FAN's generator",
    "waveletsr": "WaveletCNN",
    "ridnet": "RIDNet",
    "vdnet": "VDNet",
    "deblurgan": "DeblurGAN",
    "deblurganv2": "DeblurGAN-v2 (MobileNet)",
    "arcnn": "ARCNN",
    "gfrnet": "GFRNet",
}
"""The names that the paper's tables have."""
OF_RUNS = ("best", "last")
"""Names of the weights in every run folder, which tell nothing apart."""


EVERY = "all"
"""Stands for every network that is here, see ``named_models``."""


def named_models(request: Request) -> list[str]:
    """Return what ``--models`` names, with ``all`` spelled out.

    All are the shipped models, others' weights in packages that are installed, and the networks of
    other papers in the run folders here, each on the task that it was trained for.

    Raises:
        ConfigError: If the recipe of a run is none.
        MachineError: If the weights of a run are damaged.
    """
    found: list[str] = []
    for text in request.models:
        found += _every_model(request.model) if text == EVERY else [text]
    return found


def _every_model(universal: str) -> list[str]:
    found = [name for name in shipped_models() if name != universal] + packaged_peers()
    for best in sorted(RUNS.glob("*/best.safetensors")):
        folder = RunFolder(best.parent)
        plan = load_recipe(folder.recipe) if folder.recipe.is_file() else None
        if plan is not None and plan.baseline is not None:
            named = plan.data.task if plan.data.task in TASKS else ""
            found.append(f"{named}={best}" if named else str(best))
    return found


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """A file that says which network it holds, and does not: its rows say so."""

    name: str
    reason: str
    kind: Kind = "peer"
    note: str = "cannot be read"
    settings: str = ""

    def renew(self, damaged: Path, output: Path, *, overwrite: bool = False) -> Path:
        """Raise ConfigError: what is wrong with the file."""
        raise ConfigError(self.reason)


@dataclass(frozen=True, kw_only=True)
class Guided:
    """A network that needs a second image of each face."""

    name: str
    what: str
    """Which one, in a word."""
    restorer: TorchRestorer
    guides: Path | None
    """Folder of second images, named as the faces, of any size in their proportions."""
    kind: Kind = "peer"

    @property
    def note(self) -> str:
        """Return what guides it."""
        return f"{self.what}, guided by {self.guides or 'nothing'}"

    @property
    def settings(self) -> str:
        """Return what decides its pixels: the weights and the guides."""
        guides = "" if self.guides is None else digest_of(self.guides)
        loaded = self.restorer.checkpoint
        return f"{loaded.sha256} {self.restorer.computed} {torch.__version__} {guides}"

    def renew(self, damaged: Path, output: Path, *, overwrite: bool = False) -> Path:
        """Restore every image of a folder, but for those that an earlier run has done.

        Raises:
            ConfigError: If there is no folder of guides.
            ImageError: If a face has no guide, or one of other proportions.
        """
        if self.guides is None:
            raise ConfigError(
                f"{self.what} needs a second image of each face: --guides FOLDER, its files named "
                f"as the faces"
            )
        guides = {stem_of(found): found for found in find_images([self.guides])}

        def guided(face: Found, image: Rgb8) -> tuple[Rgb8, Json]:
            if stem_of(face) not in guides:
                raise ImageError(f"{self.guides}: there is no guide for {face.relative.as_posix()}")
            path = guides[stem_of(face)].path
            guide, (height, width) = read_rgb(path), image.shape[:2]
            high, wide = guide.shape[:2]
            if abs(high * width - wide * height) > max(high, wide, height, width):
                raise ImageError(
                    f"{path}: expected a guide in the proportions of the face, {width}x{height}, "
                    f"got {wide}x{high} pixels"
                )
            shrinks = high > height
            guide = resize(guide, height=height, width=width, by="area" if shrinks else "cubic")
            pair = [to_tensor(image), to_tensor(guide)]
            return to_uint8(self.restorer.restore(torch.cat(pair, 1))), {}

        return each_face(self, damaged, output, guided, overwrite=overwrite)


def name_of(model: str) -> str:
    """Return a short name; of the weights in a run folder, the folder's."""
    name = short_name(model)
    return Path(model).resolve().parent.name if name in OF_RUNS else name


def checkpoint_method(request: Request, model: str) -> Method:
    """Return a checkpoint that ``load_checkpoint`` reads as a method.

    Args:
        request: Where to run it, and where guides are.
        model: A shipped model's name, or a file; the weights of a run are named as its folder.

    Raises:
        ConfigError: If it is none, or there is no folder of guides where one is named.
        MachineError: If the file is missing or damaged.
    """
    path = model_path(model)
    loaded = load_checkpoint(path)
    name = name_of(model)
    ours = network(request, model, name=name)
    if not isinstance(loaded.config, BaselineConfig):
        return ours
    what = TITLES[loaded.config.architecture]
    if not loaded.config.guided:
        return replace(ours, kind="peer", what=what)
    if request.guides is not None and not request.guides.is_dir():
        raise ConfigError(f"--guides: there is no folder {request.guides}")
    restorer = load_restorer(path, device=request.device, precision=request.precision)
    return Guided(name=name, what=what, restorer=restorer, guides=request.guides)
