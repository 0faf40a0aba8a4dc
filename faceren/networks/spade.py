"""Spatially-adaptive (de)normalisation, its residual block, and the convolutions of all networks.

The convolutions give the same bits with any number of threads in inference on a CPU: the same face
has to give the same bytes, however many cores are free. Training and other devices take torch's own
way. Sources: SPADE (arXiv:1903.07291); HiFaceGAN (arXiv:2005.05005) section 4.1.

Shape letters: N batch, C channels of the normalised map or in, O channels out, S channels of the
guidance, H and W pixels.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from faceren.config import Modulation, Normalisation

SMALL = 256
"""Pixels of a map below which torch may share the sum over the channels among threads."""
PIECE = 2**14
"""Numbers that torch leaves to one thread: half of what it begins to share from."""


def conv3x3(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution (N, O, H, W) of (N, C, H, W) padded with zeros.

    A small map is convolved as a sum of matrix products: no thread count changes their sums.

    Args:
        x: The map.
        kernel: (O, C, 3, 3).
        bias: (O,) or none.
    """
    small = x.device.type == "cpu" and x.shape[2] * x.shape[3] < SMALL
    if torch.is_grad_enabled() or not small:
        return F.conv2d(x, kernel, bias, padding=1)
    height, width = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))
    total = x.new_zeros(()) if bias is None else bias
    for index, taps in enumerate(kernel.flatten(2).permute(2, 1, 0)):  # (C, O)
        down, right = divmod(index, 3)
        part = padded[:, :, down : down + height, right : right + width].permute(0, 2, 3, 1)
        total = torch.addmm(total, part.flatten(0, 2), taps)  # (N H W, O)
    return total.view(len(x), height, width, -1).permute(0, 3, 1, 2)


def pointwise(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution (N, O, H, W) of (N, C, H, W) with a kernel (O, C, 1, 1).

    As a matrix product: a convolution of many channels shares its sums among threads on some CPUs.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return F.conv2d(x, kernel, bias)
    return F.linear(x.permute(0, 2, 3, 1), kernel.flatten(1), bias).permute(0, 3, 1, 2)


def activated(x: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the activation of every number, the same shape.

    Where a thread's share ends torch takes the last few numbers one by one, with a sigmoid that
    rounds otherwise; a piece that one thread does alone ends at the same place always.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return activation(x)
    pieces = torch.split(x.flatten(), PIECE)
    return torch.cat([activation(piece) for piece in pieces]).view(x.shape)


PIXELS = 2048
"""Pixels whose gamma and beta are made at once when they need nothing of their neighbours."""


def normalise(x: Tensor, kind: Normalisation) -> Tensor:
    """Return ``x`` (N, C, H, W) with zero mean and unit variance (biased, eps 1e-5).

    No statistics cross the batch, so a face does not depend on its neighbours.

    Args:
        x: Features.
        kind: ``instance``: over H and W for each channel; ``layer``: over C for each pixel;
            ``none``: nothing is done.
    """
    if kind == "none":
        return x
    if kind == "instance":
        return F.instance_norm(x, eps=1e-5)
    channels_last = x.permute(0, 2, 3, 1)
    return F.layer_norm(channels_last, (int(x.shape[1]),), eps=1e-5).permute(0, 3, 1, 2)


def resize_nearest(x: Tensor, height: int, width: int) -> Tensor:
    """Return ``x`` resized by nearest neighbour; itself if it has these sides."""
    if x.shape[2:] == (height, width):
        return x
    return F.interpolate(x, size=(height, width), mode="nearest")


def modulate_pixels(normal: Tensor, hidden: Tensor, kernel: Tensor, offset: float) -> Tensor:
    """Return normal * (gamma + offset) + beta, a few pixels at a time, so that they stay in cache.

    Args:
        normal: (N, C, H, W).
        hidden: (N, S, H, W).
        kernel: (2C, S, 1, 1), which makes gamma and beta.
        offset: Added to gamma.
    """
    pixels = normal.permute(0, 2, 3, 1)  # (N, H, W, C)
    out = torch.empty_like(pixels, memory_format=torch.contiguous_format)
    flat, result = pixels.flatten(0, 2), out.flatten(0, 2)
    inner = hidden.permute(0, 2, 3, 1).flatten(0, 2)
    weight = kernel.flatten(1).T.contiguous()  # (S, 2C)
    for part in zip(*(torch.split(x, PIXELS) for x in (flat, inner, result)), strict=True):
        plain, guide, target = part
        gamma, beta = (guide @ weight).chunk(2, dim=1)
        torch.addcmul(beta, plain, gamma.add_(offset), out=target)
    return out.permute(0, 3, 1, 2)


class SpadeResBlock(nn.Module):
    """Residual block of two SPADE layers, (N, C, H, W) in, (N, C', H, W) or twice the sides out.

    The published block, computed the fast exact way: one convolution for the hidden maps of all
    SPADE layers (they share the guidance), one for gamma and beta together, and normalisation
    before the nearest-neighbour upsampling, whose statistics are the same.

    Args:
        channels_in: C.
        channels_out: C'.
        guidance_channels: S.
        hidden: Upper limit of the hidden channels of each SPADE layer.
        kernel: Side of the kernel that makes gamma and beta, 1 or 3.
        normalisation: See ``normalise``.
        modulation: ``plain`` multiplies by gamma, ``one-plus`` by 1 + gamma.
        spade_shortcut: Give the learned shortcut (C != C') a SPADE layer of its own.
        spectral: Spectral normalisation of the residual convolutions.
        upsample: Double H and W.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        guidance_channels: int,
        *,
        hidden: int,
        kernel: int,
        normalisation: Normalisation,
        modulation: Modulation,
        spade_shortcut: bool,
        spectral: bool,
        upsample: bool,
    ) -> None:
        super().__init__()
        middle = min(channels_in, channels_out)
        learned = channels_in != channels_out
        modulated = [channels_in, middle] + [channels_in] * (learned and spade_shortcut)
        self.hidden_channels = [min(hidden, channels) for channels in modulated]
        self.normalisation: Normalisation = normalisation
        self.offset = 1.0 if modulation == "one-plus" else 0.0
        self.upsample = upsample
        self.spade_shortcut = learned and spade_shortcut
        self.shared = nn.Conv2d(guidance_channels, sum(self.hidden_channels), 3, padding=1)
        self.modulate = nn.ModuleList(
            nn.Conv2d(inner, 2 * channels, kernel, padding=kernel // 2, bias=False)
            for inner, channels in zip(self.hidden_channels, modulated, strict=True)
        )
        self.conv_0 = nn.Conv2d(channels_in, middle, 3, padding=1)
        self.conv_1 = nn.Conv2d(middle, channels_out, 3, padding=1)
        self.conv_s = nn.Conv2d(channels_in, channels_out, 1, bias=False) if learned else None
        if spectral:
            for conv in (self.conv_0, self.conv_1, self.conv_s):
                if conv is not None:
                    spectral_norm(conv)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Return the block's output.

        Args:
            x: (N, C, H, W).
            guidance: (N, S, any, any); resized to the output's sides by nearest neighbour.
        """
        normal = normalise(x, self.normalisation)
        scale = 2 if self.upsample else 1
        height, width = scale * x.shape[2], scale * x.shape[3]
        guidance = resize_nearest(guidance, height, width)
        if self.upsample:
            normal = F.interpolate(normal, scale_factor=2, mode="nearest")  # (N, C, 2H, 2W)
        shared = F.relu_(_convolved(self.shared, guidance))
        hidden = torch.split(shared, self.hidden_channels, dim=1)
        if self.conv_s is not None and self.spade_shortcut:
            shortcut = pointwise(self._modulated(2, normal, hidden), self.conv_s.weight)
        else:
            if self.conv_s is not None:  # a 1x1 convolution commutes with nearest upsampling
                x = pointwise(x, self.conv_s.weight)
            shortcut = F.interpolate(x, scale_factor=2, mode="nearest") if self.upsample else x
        main = _convolved(self.conv_0, F.leaky_relu_(self._modulated(0, normal, hidden), 0.2))
        main = normalise(main, self.normalisation)
        main = _convolved(self.conv_1, F.leaky_relu_(self._modulated(1, main, hidden), 0.2))
        return main.add_(shortcut)

    def _modulated(self, index: int, normal: Tensor, hidden: Sequence[Tensor]) -> Tensor:
        """Return normal * gamma + beta of SPADE layer ``index``."""
        kernel = self.modulate[index].get_parameter("weight")
        if kernel.shape[-1] == 1 and not torch.is_grad_enabled() and normal.device.type == "cpu":
            return modulate_pixels(normal, hidden[index], kernel, self.offset)
        offset = normal.new_full((normal.shape[1],), self.offset)
        bias = F.pad(offset, (0, len(offset)))  # makes gamma one more without a pass of its own
        if kernel.shape[-1] == 3:
            both = conv3x3(hidden[index], kernel, bias)
        else:
            both = F.conv2d(hidden[index], kernel, bias)
        gamma, beta = both.chunk(2, dim=1)
        return torch.addcmul(beta, normal, gamma)


def _convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return conv3x3(x, conv.weight, conv.get_parameter("bias"))
