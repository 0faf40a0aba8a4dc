"""Our files of weights, read without torch: what a file says of itself, and its arrays.

The format is that of ``checkpoint``.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from faceren.checks import check_fields, nearest
from faceren.config import BaselineConfig, DetectorConfig, GeneratorConfig
from faceren.errors import ConfigError, MachineError
from faceren.files import sha256_of

METADATA_KEY = "faceren"
FORMAT_VERSION = 1
PICKLES = (".pth", ".pt", ".h5")
"""Suffixes of state dicts that others have published, which torch alone reads."""
NCNN = ".bin"
"""Suffix of the weights of ncnn, which torch alone runs here."""
Fields = TypeVar("Fields", "CheckpointInfo", GeneratorConfig, BaselineConfig, DetectorConfig)
SHOWN = 4
"""Keys that an error names before it counts the rest."""
LARGEST_HEADER = 2**23
"""Bytes of a file's table; those of our files have some thousand."""
LONGEST_TEXT = 10_000
"""Characters of what a file says of its weights."""
LONGEST_NAME = 255
KINDS = ("F16", "F32")
"""Types of our tensors, as safetensors names them."""
WeightArray = NDArray[np.float16] | NDArray[np.float32]
"""One tensor of a file, of any shape."""


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """Where weights come from and what may be done with them."""

    name: str = ""
    """Short name of the model, as manifests and reports show it."""
    recipe_sha256: str = ""
    """SHA-256 of the resolved training recipe; empty if there was none."""
    training_data: str = ""
    """What the weights were trained on, in a sentence."""
    licence: str = ""
    """Licence of the weights."""
    images_seen: int = 0
    """Training images drawn so far, repetitions counted."""
    self_ensemble: bool = False
    """Restore as the mean over a face and its mirror image (``generator.mirrored_mean``)."""

    def __post_init__(self) -> None:
        check_fields(self, label=str)
        if not self.name.isprintable() or len(self.name) > LONGEST_NAME:
            raise ConfigError(f"name: expected a short printable text, got {self.name!r:.80}")
        for label in ("recipe_sha256", "training_data", "licence"):
            text = getattr(self, label)
            if len(text) > LONGEST_TEXT or any("\ud800" <= c <= "\udfff" for c in text):
                raise ConfigError(
                    f"{label}: expected a text of at most {LONGEST_TEXT:,} characters, "
                    f"got {text!r:.80}"
                )


@dataclass(frozen=True, kw_only=True)
class StoredWeights:
    """A file of weights as it is."""

    config: GeneratorConfig
    info: CheckpointInfo
    arrays: dict[str, WeightArray]
    """By the keys of the state dict, float16 or float32."""
    sha256: str
    """SHA-256 of the file."""


@dataclass(frozen=True, kw_only=True)
class StoredDetector:
    """A file with a detector of marks as it is."""

    config: DetectorConfig
    info: CheckpointInfo
    arrays: dict[str, WeightArray]
    """By the keys of the state dict, float16 or float32."""
    sha256: str
    """SHA-256 of the file."""


def _in_place_of_weights(path: Path) -> str:
    """Return what a download has left in place of weights, and what to do; or nothing."""
    if path.suffix.lower() == ".onnx":
        return "an exported network, for other programs: name the file it was exported from"
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: fetch the file itself, with git lfs pull"
    if start.startswith((b"<!doctype", b"<html")):
        return "a web page: download the file itself, not the page about it"
    return ""


def read_header(path: Path) -> tuple[GeneratorConfig | BaselineConfig, CheckpointInfo]:
    """Return what one of our checkpoints says about itself, without reading its weights.

    Raises:
        MachineError: If the file is not there or is no ``.safetensors`` file.
        ConfigError: If it is no checkpoint of ours, or of another format version, or of a detector,
            or its tensors are of another type than ours.
    """
    header = _header(path)
    if "detector" in header:
        raise ConfigError(
            f"{path.name}: expected a network that restores faces, got a detector of marks"
        )
    config: GeneratorConfig | BaselineConfig
    if "baseline" in header:
        config = _from_fields(path, BaselineConfig, header["baseline"])
    else:
        config = _from_fields(path, GeneratorConfig, header.get("config"))
    return config, _from_fields(path, CheckpointInfo, header.get("info"))


def read_detector(path: Path) -> StoredDetector:
    """Read a file with a detector of marks.

    Raises:
        MachineError: If the file is not there or is damaged.
        ConfigError: If it is no checkpoint of ours, of another format version, or of a generator.
    """
    check_weights_file(path)
    header = _header(path)
    fields = header.get("detector")
    if not isinstance(fields, dict):
        raise ConfigError(f"{path.name}: expected a detector of marks, got another network")
    lists = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
    return StoredDetector(
        config=_from_fields(path, DetectorConfig, lists),
        info=_from_fields(path, CheckpointInfo, header.get("info")),
        arrays=_read_arrays(path),
        sha256=sha256_of(path),
    )


def _header(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
        if size > LARGEST_HEADER:  # not to be unfolded
            raise MachineError(
                f"{path} cannot be read as a safetensors file (expected a header of at most "
                f"{LARGEST_HEADER:,} bytes, got {size:,}); it is damaged or another kind"
            )
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            kinds = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise MachineError(
            f"{path} cannot be read as a safetensors file ({error}); it is damaged or another kind"
        ) from error
    if METADATA_KEY not in metadata:
        raise ConfigError(f"{path.name}: expected a faceren checkpoint, got other safetensors")
    text = metadata[METADATA_KEY]
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path.name}: its metadata are no JSON ({error})") from error
    if not isinstance(header, dict):
        raise ConfigError(f"{path.name}: expected an object as metadata, got {text[:40]!r}")

    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise ConfigError(
            f"{path.name}: expected format version {FORMAT_VERSION}, got {version!r:.40}; "
            f"update faceren"
        )
    for key, kind in kinds.items():
        if kind not in KINDS:
            raise ConfigError(
                f"{path.name}: expected tensors of type {' or '.join(KINDS)}, "
                f"got {key!r:.80} of {kind}"
            )
    return header


def check_weights_file(path: Path) -> None:
    """Raise MachineError unless there is a file, and one that may hold weights."""
    if not path.is_file():
        raise MachineError(f"expected a checkpoint at {path}, but there is no such file")
    if what := _in_place_of_weights(path):
        raise MachineError(f"expected weights in {path}, got {what}")


def read_weights(path: Path) -> StoredWeights:
    """Read one of our ``.safetensors`` files.

    Raises:
        MachineError: If the file is not there or is damaged.
        ConfigError: If it is no checkpoint of ours, or of another format version, or of another
            paper's network, or a weight is not finite.
    """
    check_weights_file(path)
    config, info = read_header(path)
    if isinstance(config, BaselineConfig):
        raise ConfigError(
            f"{path.name}: expected one of our networks, got {config.architecture}, which runs in "
            f"torch only"
        )
    return StoredWeights(
        config=config, info=info, arrays=_read_arrays(path), sha256=sha256_of(path)
    )


def _read_arrays(path: Path) -> dict[str, WeightArray]:
    try:
        with safe_open(path, framework="np") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise MachineError(f"{path} cannot be read ({error}); it is damaged") from error
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise ConfigError(f"{path.name}: {key!r:.80} has values that are not finite")
    return arrays


def check_fit(
    path: Path,
    wanted: Mapping[str, Sequence[int]],
    found: Mapping[str, Sequence[int]],
    what: str = "its configuration",
) -> None:
    """Check that weights are those of a network.

    Args:
        path: Their file, for the message.
        wanted: Shapes that the network has, by key.
        found: Shapes of what the file holds.
        what: What says how they must be.

    Raises:
        ConfigError: If a key or a shape differs; the message names the first ones.
    """
    wrong = [
        f"{key!r}: expected shape {tuple(shape)}, got "
        + (str(tuple(found[key])) if key in found else "none")
        for key, shape in wanted.items()
        if key not in found or tuple(found[key]) != tuple(shape)
    ]
    wrong += [
        f"{key!r}: not part of the network, got shape {tuple(shape)}"
        for key, shape in found.items()
        if key not in wanted
    ]
    if wrong:
        raise ConfigError(f"{path.name}: the weights do not fit {what}: {summary(wrong)}")


def summary(lines: Sequence[str]) -> str:
    """Return the first lines in one, and how many more there are."""
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more


def _from_fields(path: Path, kind: type[Fields], values: object) -> Fields:
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path.name}: expected the fields of {kind.__name__}, got {values!r:.80}"
        )
    known = [field.name for field in dataclasses.fields(kind)]
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{path.name}: {kind.__name__} has no field {name!r:.80}{nearest(name, known)}"
            )
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from error
