"""A degradation: operations in order, each with all its parameters, as written in a manifest."""

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import cv2
import numpy as np

from faceren.config import nearest
from faceren.degradation.blur import EdgeSoftness, GaussianBlur, MotionBlur, SoftFocus
from faceren.degradation.compression import Jpeg
from faceren.degradation.noise import (
    GaussianNoise,
    Grain,
    LaplacianNoise,
    PhotonNoise,
    PoissonNoise,
)
from faceren.degradation.pixels import Bounds, Pixels
from faceren.degradation.resampling import Mosaic, Sharpen, Shrink
from faceren.degradation.surface import Halftone, Mirroring, PaperTexture, Tarnish
from faceren.degradation.tone import (
    Curve,
    DyeFading,
    EdgeFading,
    Monochrome,
    Toning,
    UnevenExposure,
    Vignette,
)
from faceren.degradation.wear import Crease, Dust, Foxing, Hairs, Scratches, WaterStain
from faceren.errors import ConfigError, ShapeError

Operation = (
    GaussianBlur
    | MotionBlur
    | SoftFocus
    | EdgeSoftness
    | GaussianNoise
    | LaplacianNoise
    | PoissonNoise
    | PhotonNoise
    | Grain
    | Shrink
    | Mosaic
    | Sharpen
    | Jpeg
    | Monochrome
    | Curve
    | Toning
    | DyeFading
    | UnevenExposure
    | Vignette
    | EdgeFading
    | Halftone
    | PaperTexture
    | Mirroring
    | Tarnish
    | Scratches
    | Crease
    | Dust
    | Hairs
    | WaterStain
    | Foxing
)
"""A frozen record of parameters that is called with an image and returns the changed copy."""

OPERATIONS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Operation)}
"""Every operation by the name that manifests use."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Degradation:
    """Operations in the order in which they are applied.

    Raises:
        ConfigError: If a parameter is of another type than its operation documents, or outside
            its bounds.
    """

    task: str
    """What it was drawn for."""
    operations: tuple[Operation, ...]

    def __post_init__(self) -> None:
        for operation in self.operations:
            _check(operation)

    def to_json(self) -> list[Json]:
        """Return one object per operation: its name as ``op``, then its parameters."""
        return [
            {"op": type(o).__name__, **{f.name: getattr(o, f.name) for f in fields(o)}}
            for o in self.operations
        ]

    @classmethod
    def from_json(cls, task: str, operations: object) -> "Degradation":
        """Return the degradation that ``to_json`` described.

        Raises:
            ConfigError: If it names an unknown operation or parameter, lacks one, or has a value
                that the operation does not take.
        """
        if not isinstance(operations, list):
            raise ConfigError(f"degradation: expected a list of operations, got {operations!r:.80}")
        return cls(task, tuple(_decode(item) for item in operations))


def apply(image: Pixels, degradation: Degradation) -> Pixels:
    """Return the degraded copy of an image, of the same size.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        degradation: What to do; the result depends on nothing else.

    Raises:
        ShapeError: If the image has another shape or type.
        ConfigError: If the parameters cannot be applied to an image of this size.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ShapeError(f"expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
    result = image.copy()
    for operation in degradation.operations:
        try:
            result = operation(result)
        except cv2.error as error:
            height, width = image.shape[:2]
            raise ConfigError(
                f"cannot apply {operation} to an image of {width}x{height}: {error}"
            ) from error
    return result


def _decode(item: object) -> Operation:
    if not isinstance(item, dict) or not isinstance(item.get("op"), str):
        raise ConfigError(f"degradation: expected an object with the key 'op', got {item!r:.80}")
    name = item["op"]
    if name not in OPERATIONS:
        raise ConfigError(f"degradation: unknown operation {name!r}{nearest(name, OPERATIONS)}")
    known = _hints(name)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items() if k != "op"}
    for key in values:
        if key not in known:
            raise ConfigError(f"{name}: unknown parameter {key!r}{nearest(key, known)}")
    try:
        operation: Operation = OPERATIONS[name](**values)
    except TypeError as error:  # what is still wrong: a parameter is missing
        raise ConfigError(f"degradation: {name}: {error}") from error
    return operation


@lru_cache(maxsize=64)
def _hints(name: str) -> dict[str, Any]:
    return get_type_hints(OPERATIONS[name], include_extras=True)


def _check(operation: Operation) -> None:
    for name, hint in _hints(type(operation).__name__).items():
        value = getattr(operation, name)
        if not _fits(value, hint):
            kind = type(operation).__name__
            raise ConfigError(f"{kind}.{name}: expected {_describe(hint)}, got {value!r}")


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        base, bounds = get_args(hint)
        return _fits(value, base) and bounds.low <= value <= bounds.high
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        return (
            isinstance(value, tuple)
            and len(value) == len(get_args(hint))
            and all(_fits(v, float) and 0 <= v <= 255 for v in value)
        )
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    if hint is float:
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, int)


def _describe(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        base, bounds = get_args(hint)
        return f"{base.__name__} from {bounds.low:g} to {bounds.high:g}"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    return "three numbers from 0 to 255" if get_origin(hint) is tuple else f"a {hint.__name__}"


__all__ = ["OPERATIONS", "Bounds", "Degradation", "Json", "Operation", "apply"]
