"""Spectral normalisation (Miyato et al., arXiv:1802.05957), folded into kernels.

Shape letters: O channels out, C channels in, k kernel side.
"""

import numpy as np

from faceren.weights import Stored


def folded(kernel: Stored, left: Stored, right: Stored) -> Stored:
    """Return a kernel (O, C, k, k) divided by its largest singular value.

    Args:
        kernel: As trained.
        left: (O,), its singular vector.
        right: (C k k,), the other one.
    """
    wide, (u, v) = kernel.astype(np.float32), (x.astype(np.float32) for x in (left, right))
    with np.errstate(all="ignore"):  # what is not finite is seen in what the network makes of it
        return np.asarray(wide / (u @ wide.reshape(len(wide), -1) @ v), np.float32)


def is_spectral(name: str) -> bool:
    """Say whether a convolution is one of those that training normalises spectrally."""
    return name.rpartition(".")[2] in ("conv_0", "conv_1", "conv_s")
