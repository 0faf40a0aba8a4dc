"""The self-ensemble of a generator: the mean over a face and its mirror image.

A face and its mirror image are equally likely, but no network treats them alike. Where the two
restorations agree the photograph says so; strokes that only one of them draws are invented, and
lose half their strength. Source: geometric self-ensemble, EDSR (arXiv:1707.02921) section 3.4,
of its eight views the one that leaves a face upright.
"""

from collections.abc import Callable

from torch import Tensor


def mirrored_mean(network: Callable[[Tensor], Tensor], faces: Tensor) -> Tensor:
    """Return the mean of what a network makes of faces and of their mirror images.

    Args:
        network: Takes and returns (N, 3, H, W).
        faces: (N, 3, H, W), whatever the network takes.
    """
    theirs = network(faces.flip(-1)).flip(-1)
    return (network(faces) + theirs) / 2
