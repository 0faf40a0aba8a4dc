"""The one check of what paired metrics take. Shape letters: N batch, C channels, H, W pixels."""

from torch import Tensor

from faceren.errors import ShapeError


def check_pair(name: str, images: Tensor, references: Tensor, *, least: int = 1) -> None:
    """Raise ShapeError unless both are (N, C, H, W) of one shape, sides of ``least`` or more."""
    if images.shape != references.shape or images.ndim != 4:
        raise ShapeError(
            f"{name}: expected two (N, C, H, W) batches of one shape, "
            f"got {tuple(images.shape)} and {tuple(references.shape)}"
        )
    if min(images.shape[2:]) < least:
        raise ShapeError(
            f"{name}: expected images of at least {least}x{least} pixels, "
            f"got {images.shape[3]}x{images.shape[2]}"
        )
