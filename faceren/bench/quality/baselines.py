"""Checkpoints that faceren loads, as methods: our networks, and those of other papers."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from faceren.arrays import Rgb8
from faceren.assets import model_path, packaged_peers, shipped_models
from faceren.bench.quality.methods import Kind, Method, digest_of, each_face, network, stem_of
from faceren.bench.request import RUNS, TASKS, Request, short_name
from faceren.checkpoint import load_checkpoint
from faceren.checks import Json
from faceren.config import Architecture, BaselineConfig
from faceren.degradation import resize
from faceren.errors import ConfigError, ImageError
from faceren.images import Found, find_images, read_rgb, to_tensor, to_uint8
from faceren.inference import Restorer, load_restorer
from faceren.training.folder import RunFolder
from faceren.training.recipe_file import load_recipe

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
    restorer: Restorer
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
            pair = [to_tensor(image), to_tensor(_guide(guides[stem_of(face)].path, image))]
            return to_uint8(self.restorer.restore(torch.cat(pair, 1))), {}

        return each_face(self, damaged, output, guided, overwrite=overwrite)


def _guide(path: Path, face: Rgb8) -> Rgb8:
    """Return a guide at the size of its face.

    Raises:
        ImageError: If it has other proportions, by more than a pixel.
    """
    guide, (height, width) = read_rgb(path), face.shape[:2]
    high, wide = guide.shape[:2]
    if abs(high * width - wide * height) > max(high, wide, height, width):
        raise ImageError(
            f"{path}: expected a guide in the proportions of the face, {width}x{height}, "
            f"got {wide}x{high} pixels"
        )
    return resize(guide, height=height, width=width, by="area" if high > height else "cubic")


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
