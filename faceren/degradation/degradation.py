"""A degradation: operations in order, each with all its parameters, as written in a manifest."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, get_args

import cv2
import numpy as np

from faceren.arrays import Rgb8
from faceren.checks import Bounds, Json, check_fields, hints_of, nearest
from faceren.degradation.noise import (
    GaussianNoise,
    Grain,
    LaplacianNoise,
    PhotonNoise,
    PoissonNoise,
)
from faceren.degradation.prints import (
    Curve,
    DyeFading,
    EdgeFading,
    Halftone,
    Mirroring,
    Monochrome,
    PaperTexture,
    Tarnish,
    Toning,
    UnevenExposure,
    Vignette,
)
from faceren.degradation.resolution import (
    EdgeSoftness,
    Filter,
    GaussianBlur,
    Jpeg,
    Mosaic,
    MotionBlur,
    Sharpen,
    Shrink,
    SoftFocus,
    resize,
)
from faceren.degradation.tears import (
    Cracks,
    Fingerprint,
    Flaking,
    Tape,
    TornCorner,
    Writing,
)
from faceren.degradation.wear import Crease, Dust, Foxing, Hairs, Scratches, WaterStain
from faceren.errors import ConfigError, ShapeError

PlainOperation = (
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
    | Cracks
    | TornCorner
    | Flaking
    | Tape
    | Fingerprint
    | Writing
)
"""An operation that holds no other operations."""

SMALLEST_SIDE = 8
"""Sides below this many pixels show no face, and JPEG's blocks no longer fit into them."""


@dataclass(frozen=True, kw_only=True)
class AtScale:
    """Shrink, do something to the small picture, and enlarge it back.

    A small face in a real photograph has its grain, noise and JPEG blocks at its own size, and is
    enlarged afterwards; so its damage is larger than a pixel, and correlated. Noise that is added
    after ``Shrink`` is neither.
    """

    scale: Annotated[float, Bounds(0.001, 1)]
    """Side of the small image over that of the large; rounded to whole pixels."""
    down: Filter = "area"
    """Interpolation of the shrinking."""
    up: Filter = "cubic"
    """Interpolation of the enlarging."""
    steps: tuple[PlainOperation, ...] = ()
    """What is done to the small picture, in this order; lengths are in its own pixels."""

    def __call__(self, image: Rgb8) -> Rgb8:
        """Return the image with less detail and coarse damage, at its own size.

        Raises:
            ConfigError: If the small image would have a side below ``SMALLEST_SIDE`` pixels.
        """
        height, width = image.shape[:2]
        small_height, small_width = round(height * self.scale), round(width * self.scale)
        if min(small_height, small_width) < SMALLEST_SIDE:
            raise ConfigError(
                f"AtScale: expected at least {SMALLEST_SIDE} pixels on each side of the small "
                f"picture, got {small_width}x{small_height}: {width}x{height} at the scale "
                f"{self.scale:g}; take a larger picture or a scale nearer to 1"
            )
        small = resize(image, height=small_height, width=small_width, by=self.down)
        for step in self.steps:
            small = step(small)
        return resize(small, height=height, width=width, by=self.up)


Operation = PlainOperation | AtScale
"""A frozen record of parameters that is called with an image and returns the changed copy."""

OPERATIONS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Operation)}
"""Every operation by the name that manifests use."""


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
        return [_encode(operation) for operation in self.operations]

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


def apply(image: Rgb8, degradation: Degradation) -> Rgb8:
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


def _encode(operation: Operation) -> Json:
    values = {f.name: getattr(operation, f.name) for f in fields(operation)}
    if isinstance(operation, AtScale):
        values["steps"] = [_encode(step) for step in operation.steps]
    return {"op": type(operation).__name__, **values}


def _decode(item: object) -> Operation:
    if not isinstance(item, dict) or not isinstance(item.get("op"), str):
        raise ConfigError(f"degradation: expected an object with the key 'op', got {item!r:.80}")
    name = item["op"]
    if name not in OPERATIONS:
        raise ConfigError(f"degradation: unknown operation {name!r}{nearest(name, OPERATIONS)}")
    known = hints_of(OPERATIONS[name])
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items() if k != "op"}
    for key in values:
        if key not in known:
            raise ConfigError(f"{name}: unknown parameter {key!r}{nearest(key, known)}")
    if name == AtScale.__name__:
        steps = item.get("steps", [])
        if not isinstance(steps, list):
            raise ConfigError(f"AtScale.steps: expected a list of operations, got {steps!r:.80}")
        for step in steps:
            if isinstance(step, dict) and step.get("op") == AtScale.__name__:
                raise ConfigError("AtScale.steps: expected plain operations, got another AtScale")
        values["steps"] = tuple(_decode(step) for step in steps)
    try:
        operation: Operation = OPERATIONS[name](**values)
    except TypeError as error:  # what is still wrong: a parameter is missing
        raise ConfigError(f"degradation: {name}: {error}") from error
    return operation


def _check(operation: Operation) -> None:
    check_fields(operation)
    if isinstance(operation, AtScale):
        for step in operation.steps:
            _check(step)
