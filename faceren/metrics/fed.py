"""FED, the face embedding distance: how far the restored face is from the person it was."""

from dataclasses import dataclass
from typing import Any

from faceren.errors import MachineError
from faceren.metrics import dlib_models
from faceren.metrics.dlib_models import LOCK, Rgb
from faceren.metrics.face_pair import SeenFace
from faceren.metrics.identity import Embedding, distance


def fed(face: SeenFace, reference: SeenFace) -> float:
    """Return the distance of two faces' embeddings; lower is better, 0.6 is another person.

    HiFaceGAN, section 4: dlib's 128 numbers, not normalised.
    """
    return distance(face.embedding, reference.embedding)


@dataclass(frozen=True)
class KnownFace:
    """The face of a clean image, for many images of the same face at the same place."""

    box: Any
    """dlib's rectangle."""
    embedding: Embedding
    """(128,)."""

    def fed(self, rgb: Rgb) -> float:
        """Return the FED of an image whose face is where the clean image has it.

        The detector is not asked again: quicker, and no image is left out however damaged.

        Args:
            rgb: (H, W, 3) uint8, of the clean image's size.
        """
        with LOCK:
            return distance(dlib_models.embedding(rgb, self.box), self.embedding)


def know_face(rgb: Rgb) -> KnownFace | None:
    """Return the face of a clean image, (H, W, 3) uint8, or None if dlib finds none."""
    with LOCK:
        box = dlib_models.first_face(rgb)
        return None if box is None else KnownFace(box, dlib_models.embedding(rgb, box))


def why_no_fed() -> str:
    """Return why FED cannot be computed on this machine; empty if it can."""
    try:
        dlib_models.check()
    except MachineError as error:
        return str(error)
    return ""
