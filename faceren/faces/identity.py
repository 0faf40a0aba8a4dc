"""How far a face moved from whom it showed, by a network that no training here has seen.

Our generators are trained to please dlib's network (``faces.dlib_networks``), so dlib finds their
faces like whatever they do. MobileFaceNet had no part in it. Its embedding of a face is a direction
in 512 dimensions; the identity distance of two faces is one less the cosine of the angle between
them: 0 for one picture, about 1 for two strangers, whose directions have nothing in common, and 2
at most. The cosine is what such networks are trained by, and so 1, in place of the square root of 2
between the ends of unit vectors, is where strangers are. What it means in persons, and how that was
measured, says the card, ``models/mobilefacenet.md``.
"""

import threading
from functools import cache

import numpy as np
from safetensors.numpy import load_file

from faceren.arrays import Float64, Rgb
from faceren.assets import asset
from faceren.errors import ShapeError
from faceren.faces.alignment import similarity, warp
from faceren.graphs.mobilefacenet import CHIPS, OUTPUTS, SIDE, embedding_graph
from faceren.graphs.session import Session, session_of

PLACES = np.array(
    [
        [38.29459953, 51.69630051],
        [73.53179932, 51.50139999],
        [56.02519989, 71.73660278],
        [41.54930115, 92.3655014],
        [70.72990036, 92.20410156],
    ]
)
"""Where eyes, nose tip and mouth corners lie in the 112-pixel faces that the network knows: the
template of ArcFace (Deng et al., arXiv:1801.07698), which its package states."""

_LOADING = threading.Lock()
"""What is loaded once must not be loaded by two threads at a time."""


@cache
def _loaded_network() -> Session:
    return session_of(embedding_graph(load_file(asset("mobilefacenet"))), OUTPUTS)


def _network() -> Session:
    with _LOADING:
        return _loaded_network()


def embedding(image: Rgb, landmarks: Float64) -> Float64:
    """Return the direction, (512,) of length 1, that tells whose face an image shows.

    Args:
        image: (H, W, 3), RGB; what is beyond [0, 1] is clipped, as in a file.
        landmarks: (5, 2), where the face's eyes, nose tip and mouth corners are, in pixels of the
            image: those of the original for what was made of it, too, so that both are seen alike.

    Raises:
        FaceError: If the landmarks coincide.
        MachineError: If the weights or ONNX Runtime are missing or damaged.
        ShapeError: If the image is not (H, W, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ShapeError(f"expected an image (H, W, 3), got {image.shape}")
    face = warp(np.clip(image, 0, 1), similarity(landmarks, PLACES), (SIDE, SIDE))
    levels = np.clip(face, 0, 1) * np.float32(255)
    (found,) = _network().run({CHIPS: levels[None]})
    direction = np.asarray(found[0], np.float64)
    return direction / np.linalg.norm(direction)


def distance(ours: Float64, theirs: Float64) -> float:
    """Return the identity distance of two embeddings, (512,) of length 1: 0 to 2.

    One less their cosine is half the square of their difference, which is 0 to the last bit for
    what is equal.
    """
    return float(np.square(ours - theirs).sum() / 2)
