"""What a user can ask of a restoration."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from faceren.config import Ensemble, check_choice
from faceren.errors import ConfigError
from faceren.faces.given import GivenFace
from faceren.faces.tools import Detector

Faces = Literal["all", "largest", "center"]
Color = Literal["auto", "keep", "free"]
Format = Literal["keep", "png", "jpg", "webp", "tiff"]
Rotate = Literal["auto", "off"]
Grain = Literal["auto", "off"]
Mask = Literal["ellipse", "parsing"]
Background = Literal["keep", "renovate"]
Scale = Literal[1, 2, 4]


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """Everything that decides which pixels an output has."""

    aligned: bool = False
    """The photos are aligned face crops: restore them whole, detect nothing."""
    faces: Faces = "all"
    """Which of the detected faces to restore."""
    min_face: float = 0.0
    """Leave out faces narrower than this many pixels of the photo."""
    detection_threshold: float = 0.8
    """Least confidence of a detection."""
    detector: Detector = "tiny"
    """Which network finds faces."""
    rotate: Rotate = "auto"
    """Look for sideways and upside-down faces when nothing upright is found."""
    strength: float = 1.0
    """Blend with the input: 0 is the input, 1 the restored face."""
    color: Color = "auto"
    """``keep`` the photo's chroma, ``free``: the network's; ``auto`` keeps it in monochrome."""
    ensemble: Ensemble = "auto"
    """Restore each face's mirror image, too, and take the mean; ``auto``: as the weights say."""
    grain: Grain = "auto"
    """``auto`` gives a face the grain and the sharpness of its photo."""
    mask: Mask = "ellipse"
    """What is pasted: an ellipse, or the outline of the head within it."""
    min_identity: float | None = None
    """Blend a face back whose identity distance to the photo exceeds this."""
    background: Background = "keep"
    """``renovate`` restores the whole photo, not its faces alone."""
    scale: Scale = 1
    """How many times as high and as wide as the photo its output is."""
    format: Format = "keep"
    """File format of the outputs."""
    quality: int = 95
    """Quality of lossy outputs, 1 to 100; a JPEG of quality 75 or better keeps its own tables."""

    def __post_init__(self) -> None:
        for name, choices in (
            ("faces", Faces),
            ("color", Color),
            ("format", Format),
            ("rotate", Rotate),
            ("background", Background),
            ("ensemble", Ensemble),
            ("grain", Grain),
            ("mask", Mask),
            ("detector", Detector),
        ):
            check_choice(f"--{name}", getattr(self, name), choices)
        for name, low, high in (
            ("strength", 0.0, 1.0),
            ("detection_threshold", 0.01, 1.0),
            ("quality", 1, 100),
            ("min_face", 0.0, float("inf")),
            ("min_identity", 0.0, float("inf")),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                flag = name.replace("_", "-")
                raise ConfigError(f"--{flag}: expected {low} to {high}, got {value}")

        if self.scale not in get_args(Scale):
            raise ConfigError(f"--scale: expected 1, 2 or 4, got {self.scale}")
        if self.aligned and self.background == "renovate":
            raise ConfigError(
                "--aligned restores whole pictures already; leave out --background renovate"
            )

    def digest(self, weights_sha256: str, given: Sequence[GivenFace] = ()) -> str:
        """Return a hash of all that decides an output: options, weights, faces given by hand."""
        fields = json.dumps(dataclasses.asdict(self), sort_keys=True)
        if given:
            fields += repr(tuple(given))
        return hashlib.sha256(f"{fields}|{weights_sha256}".encode()).hexdigest()[:16]
