"""The first sixteen layers of MobileNet-v2, down to a thirty-second of the image.

Source: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018
(arXiv:1801.04381), table 2.

Shape letters: N batch, C channels, h and w pixels.
"""

from torch import Tensor, nn

STEM = 32
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 2, 2))
"""Expansion, channels, layers, and stride of the first of them; the last stage has three layers in
MobileNet, the third of which nothing reads here."""


def statistics(channels: int) -> nn.InstanceNorm2d:
    """Return a normalisation with learned scale by the statistics of each image.

    DeblurGAN-v2 trains and runs the batch normalisation of its backbone in batches of one image.
    """
    return nn.InstanceNorm2d(channels, affine=True)


class InvertedResidual(nn.Module):
    """Expand, filter each channel by itself, and narrow again without activation."""

    def __init__(self, before: int, after: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        self.adds = stride == 1 and before == after
        inner = before * expansion
        wide: list[nn.Module] = []
        if expansion > 1:
            wide = [nn.Conv2d(before, inner, 1, bias=False), statistics(inner), nn.ReLU6()]
        self.conv = nn.Sequential(
            *wide,
            nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False),
            statistics(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, after, 1, bias=False),
            statistics(after),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features, (N, after, h / stride, w / stride)."""
        out: Tensor = self.conv(x)
        return x + out if self.adds else out


def mobilenet_layers() -> nn.ModuleList:
    """Return the layers, numbered as in public weights: the first convolution is layer 0."""
    stem = nn.Conv2d(3, STEM, 3, 2, padding=1, bias=False)
    layers: list[nn.Module] = [nn.Sequential(stem, statistics(STEM), nn.ReLU6())]
    before = STEM
    for expansion, after, count, stride in STAGES:
        for number in range(count):
            step = stride if number == 0 else 1
            layers.append(InvertedResidual(before, after, stride=step, expansion=expansion))
            before = after
    return nn.ModuleList(layers)
