"""What a user can ask of a restoration."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Literal

from faceren.config import check_choice
from faceren.errors import ConfigError

Faces = Literal["all", "largest", "center"]
Color = Literal["auto", "keep", "free"]
Format = Literal["keep", "png", "jpg", "webp", "tiff"]
Rotate = Literal["auto", "off"]


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
    rotate: Rotate = "auto"
    """Look for sideways and upside-down faces when nothing upright is found."""
    strength: float = 1.0
    """Blend with the input: 0 is the input, 1 the restored face."""
    color: Color = "auto"
    """``keep`` the photo's chroma, ``free``: the network's; ``auto`` keeps it in monochrome."""
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
        ):
            check_choice(f"--{name}", getattr(self, name), choices)
        for name, low, high in (
            ("strength", 0.0, 1.0),
            ("detection_threshold", 0.01, 1.0),
            ("quality", 1, 100),
            ("min_face", 0.0, float("inf")),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                flag = name.replace("_", "-")
                raise ConfigError(f"--{flag}: expected {low} to {high}, got {value}")

    def digest(self, weights_sha256: str) -> str:
        """Return a hash of these options and the weights: equal settings, equal outputs."""
        fields = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(f"{fields}|{weights_sha256}".encode()).hexdigest()[:16]
