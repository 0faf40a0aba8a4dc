"""Keep the colour and brightness of a face as they are around it."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]


def without_cast(difference: Pixels) -> Pixels:
    """Return a difference, (S, S, 3), without its cast: the plane through it, channel by channel.

    A network that lightens, fades or tints a face as a whole would make it stand out of its
    photo. A plane takes that away, and a gradient of light too, but leaves the repair of a stain.

    Args:
        difference: (S, S, 3), restored crop less crop.
    """
    side = len(difference)
    ramp = np.linspace(-1, 1, side)  # orthogonal to a constant, so the fit is three projections
    constant = difference.mean((0, 1), dtype=np.float64)
    across = np.einsum("yxc,x->c", difference, ramp) / (side * np.sum(ramp * ramp))
    down = np.einsum("yxc,y->c", difference, ramp) / (side * np.sum(ramp * ramp))
    plane = constant + ramp[None, :, None] * across + ramp[:, None, None] * down
    return np.asarray(difference - plane, np.float32)
