"""AR-CNN: four convolutions against the artefacts of compression.

Source: Dong et al., Compression Artifacts Reduction by a Deep Convolutional Network, ICCV 2015
(arXiv:1504.06993), section 3.2: kernels of 9, 7, 1 and 5 pixels, 64, 32 and 16 channels. On one
channel its kernels have 106,448 weights, as published; here it sees three.

Shape letters: N batch, H and W pixels.
"""

from torch import Tensor, nn

SLOPES = 1
"""Learned slopes of each activation; ReLU in the paper, PReLU in public weights."""


class ArCnn(nn.Module):
    """Feature extraction, enhancement, mapping, reconstruction.

    Args:
        width: Channels of the first layer; the next have a half and a quarter.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.base = nn.Sequential(
            nn.Conv2d(3, width, 9, padding=4),
            nn.PReLU(SLOPES),
            nn.Conv2d(width, half, 7, padding=3),
            nn.PReLU(SLOPES),
            nn.Conv2d(half, quarter, 1),
            nn.PReLU(SLOPES),
        )
        self.last = nn.Conv2d(quarter, 3, 5, padding=2)

    def forward(self, images: Tensor) -> Tensor:
        """Return images without artefacts, (N, 3, H, W), not clamped.

        Args:
            images: (N, 3, H, W) in [0, 1].
        """
        clean: Tensor = self.last(self.base(images))
        return clean
