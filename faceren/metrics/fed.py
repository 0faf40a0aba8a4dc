"""FED, the face embedding distance: how far the restored face is from the person it was."""

from faceren.metrics.face_pair import SeenFace
from faceren.metrics.identity import distance


def fed(face: SeenFace, reference: SeenFace) -> float:
    """Return the distance of two faces' embeddings; lower is better, 0.6 is another person.

    HiFaceGAN, section 4: dlib's 128 numbers, not normalised.
    """
    return distance(face.embedding, reference.embedding)
