"""Spatially-adaptive (de)normalisation and the residual block built of it.

Shape letters: N batch, C channels of the normalised map, S channels of the guidance, H and W
pixels. Sources: SPADE (arXiv:1903.07291); HiFaceGAN (arXiv:2005.05005) section 3.3.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from faceren.config import Modulation, Normalisation

LARGE = 2**24
"""Numbers in a map from which on inference saves memory rather than calls."""
LEAN_CHANNELS = 32
"""Channels whose gamma and beta are made at once then."""


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
    return F.layer_norm(channels_last, x.shape[1:2], eps=1e-5).permute(0, 3, 1, 2)


def resize_nearest(x: Tensor, like: Tensor) -> Tensor:
    """Return ``x`` resized to the sides of ``like`` by nearest neighbour; itself if they agree."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode="nearest")


class SpadeResBlock(nn.Module):
    """Residual block of two SPADE layers, (N, C, H, W) in, (N, C', H, W) or twice the sides out.

    The published block, computed the fast exact way: one convolution for the hidden maps of all
    SPADE layers (they share the guidance), one for gamma and beta together, and normalisation
    before the nearest-neighbour upsampling, whose statistics are the same. Inference on large maps
    makes the hidden maps of one layer at a time, and gamma and beta for a few channels.

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
        if self.upsample:
            normal = F.interpolate(normal, scale_factor=2, mode="nearest")  # (N, C, 2H, 2W)
        guidance = resize_nearest(guidance, normal)
        hidden: list[Tensor | None]
        if normal.numel() >= LARGE and not torch.is_grad_enabled():
            hidden = [None] * len(self.hidden_channels)  # made when needed, one at a time
        else:
            shared = F.relu_(self.shared(guidance))
            hidden = list(torch.split(shared, self.hidden_channels, dim=1))
        shortcut = self._shortcut(x, normal, guidance, hidden)
        main = self.conv_0(F.leaky_relu_(self._modulated(0, normal, guidance, hidden), 0.2))
        main = normalise(main, self.normalisation)
        main = self.conv_1(F.leaky_relu_(self._modulated(1, main, guidance, hidden), 0.2))
        return main.add_(shortcut)

    def _modulated(
        self, index: int, normal: Tensor, guidance: Tensor, hidden: Sequence[Tensor | None]
    ) -> Tensor:
        """Return normal * gamma + beta of SPADE layer ``index``."""
        kernel = self.modulate[index].get_parameter("weight")
        ready = hidden[index]
        if ready is None:
            return self._modulated_lean(normal, self._hidden(index, guidance), kernel)
        return self._modulate(normal, ready, kernel)

    def _modulate(self, normal: Tensor, hidden: Tensor, kernel: Tensor) -> Tensor:
        offset = normal.new_full((normal.shape[1],), self.offset)
        bias = F.pad(offset, (0, len(offset)))  # makes gamma one more without a pass of its own
        both = F.conv2d(hidden, kernel, bias, padding=kernel.shape[-1] // 2)
        gamma, beta = both.chunk(2, dim=1)
        return torch.addcmul(beta, normal, gamma)

    def _modulated_lean(self, normal: Tensor, hidden: Tensor, kernel: Tensor) -> Tensor:
        """Do the same a few channels at a time, so that gamma and beta never exist as a whole."""
        out = torch.empty_like(normal)
        gammas, betas = kernel.chunk(2)
        for first in range(0, normal.shape[1], LEAN_CHANNELS):
            part = slice(first, first + LEAN_CHANNELS)
            both = torch.cat([gammas[part], betas[part]])
            out[:, part] = self._modulate(normal[:, part], hidden, both)
        return out

    def _hidden(self, index: int, guidance: Tensor) -> Tensor:
        """Return the hidden maps of one SPADE layer alone."""
        first = sum(self.hidden_channels[:index])
        part = slice(first, first + self.hidden_channels[index])
        bias = None if self.shared.bias is None else self.shared.bias[part]
        return F.relu_(F.conv2d(guidance, self.shared.weight[part], bias, padding=1))

    def _shortcut(
        self, x: Tensor, normal: Tensor, guidance: Tensor, hidden: Sequence[Tensor | None]
    ) -> Tensor:
        if self.conv_s is not None and len(hidden) == 3:
            shortcut: Tensor = self.conv_s(self._modulated(2, normal, guidance, hidden))
            return shortcut
        if self.conv_s is not None:  # a 1x1 convolution commutes with nearest upsampling
            x = self.conv_s(x)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.upsample else x
