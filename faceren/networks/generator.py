"""The generators: suppress degradation while encoding, replenish detail while decoding.

Source: HiFaceGAN (arXiv:2005.05005) section 4.

A network that adds to its input must carry every noisy pixel through its narrowest map to take it
away again. One that scales the input's bands only has to say where there is noise: minus one takes
a band away, zero keeps it, more sharpens it.

Shape letters: N batch, C_l channels after l halvings, H and W pixels of the image, r the stem's
pixel-unshuffle factor. Level l has H / (r 2^l) by W / (r 2^l) pixels; level ``depth`` is the
coarsest. Octave b of the bands has H / 2^b by W / 2^b pixels.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceren.checks import nearest
from faceren.config import GeneratorConfig, gain_channels
from faceren.errors import ConfigError, ShapeError
from faceren.networks.spade import SpadeResBlock, conv3x3, normalise
from faceren.networks.suppression import AdaptiveSuppression, build_suppression


def octaves(images: Tensor, count: int) -> list[Tensor]:
    """Return the bands of images, from the finest on: (N, C, H / 2^b, W / 2^b) for octave b.

    Each is what averaging over 2 x 2 pixels and enlarging back, linearly, loses; the next is that
    of the averages (a Laplacian pyramid, Burt and Adelson 1983).

    Args:
        images: (N, C, H, W), sides multiples of 2^count.
        count: How many; what is coarser belongs to none.
    """
    found = []
    for _ in range(count):
        smaller = F.avg_pool2d(images, 2)
        found.append(images - doubled(smaller))
        images = smaller
    return found


def doubled(images: Tensor) -> Tensor:
    """Return images enlarged twice, linearly, (N, C, 2H, 2W).

    Torch's own interpolation rounds differently with another number of threads; the same face
    has to give the same bytes, however many cores are free.
    """
    before = torch.cat([images[..., :1], images[..., :-1]], 3)
    after = torch.cat([images[..., 1:], images[..., -1:]], 3)
    near = images * 0.75
    wide = torch.stack([before * 0.25 + near, after * 0.25 + near], 4).flatten(3, 4)
    above = torch.cat([wide[:, :, :1], wide[:, :, :-1]], 2)
    below = torch.cat([wide[:, :, 1:], wide[:, :, -1:]], 2)
    near = wide * 0.75
    return torch.stack([above * 0.25 + near, below * 0.25 + near], 3).flatten(2, 3)


def scaled_octaves(images: Tensor, gains: Sequence[Tensor]) -> Tensor:
    """Return images with their bands scaled, (N, 3, H, W): unchanged where gains are zero.

    Args:
        images: (N, 3, H, W), RGB.
        gains: For each octave b (N, 2, H / 2^b, W / 2^b): by how much of itself its gray part
            changes, and by how much its colour (what differs from the mean of R, G and B).
    """
    images = images.contiguous()  # three channels side by side are slow to enlarge
    change: Tensor | None = None
    for band, gain in reversed(list(zip(octaves(images, len(gains)), gains, strict=True))):
        gray = band.mean(1, keepdim=True)  # (N, 1, …)
        of_gray, of_colour = gain[:, :1], gain[:, 1:]
        here = torch.addcmul((of_gray - of_colour) * gray, of_colour, band)
        change = here if change is None else here + doubled(change)
    return images if change is None else images + change


def gains_of(channels: Tensor, count: int, stem_stride: int) -> list[Tensor]:
    """Return the gains of each octave b, (N, 2, H / 2^b, W / 2^b).

    Octaves finer than the features are shuffled out of channels, coarser ones are averages.

    Args:
        channels: (N, sum of ``gain_channels``, H / r, W / r).
        count: Octaves.
        stem_stride: r, a power of two.
    """
    gains, start = [], 0
    for octave in range(count):
        size = gain_channels(octave, stem_stride)
        part = channels[:, start : start + size]
        start += size
        finer, coarser = max(1, stem_stride >> octave), max(1, 2**octave // stem_stride)
        part = F.pixel_shuffle(part, finer) if finer > 1 else part
        gains.append(F.avg_pool2d(part, coarser) if coarser > 1 else part)
    return gains


class Encoder(nn.Module):
    """Content-adaptive suppressor: an image in, its features at ``depth`` + 1 scales out."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.normalisation = config.encoder_normalisation
        self.stem_stride = config.stem_stride
        bias = config.encoder_normalisation == "none"  # a normalisation would remove it
        self.head = nn.Conv2d(3 * config.stem_stride**2, config.width, 3, padding=1, bias=bias)
        self.suppress = nn.ModuleList(
            build_suppression(
                config.suppression,
                config.channels(level),
                kernel_dim=config.kernel_dim,
                activation=config.kernel_activation,
            )
            for level in range(config.depth)
        )
        self.convs = nn.ModuleList(
            nn.Conv2d(config.channels(level), config.channels(level + 1), 3, padding=1)
            for level in range(config.depth)
        )

    def forward(self, faces: Tensor) -> list[Tensor]:
        """Return the features of (N, 3, H, W) images from the finest level to the coarsest."""
        if self.stem_stride > 1:
            faces = F.pixel_unshuffle(faces, self.stem_stride)  # (N, 3rr, H/r, W/r)
        x = normalise(self.head(faces), self.normalisation).relu()  # (N, C_0, H/r, W/r)
        features = [x]
        for level, (suppress, conv) in enumerate(zip(self.suppress, self.convs, strict=True)):
            x = suppress(x)  # (N, C_l, half, half)
            x = normalise(conv3x3(x, *conv.parameters()), self.normalisation)  # (N, C_l+1, …)
            if level + 1 < len(self.convs):  # the coarsest map keeps its sign
                x = x.relu()
            features.append(x)
        return features


START = "start"
"""Name of the coarsest map of the decoder among what may be constant."""


class Generator(nn.Module):
    """Restore faces; every variant and size of the family, as the configuration says.

    Args:
        config: Shape of the network. ``spectral_norm`` there applies to training; pass a
            checkpoint through ``checkpoint.load`` to get it folded.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.stride = config.stride
        depth, r = config.depth, config.stem_stride
        self.encoder = Encoder(config) if config.variant != "spade" else None
        start = config.guidance_channels if config.variant == "spade" else 3
        self.fc = nn.Conv2d(start, config.channels(depth), 3, padding=1)
        self.head_0 = self._block(depth, config.channels(depth), upsample=False)
        self.middle = nn.ModuleList(
            self._block(depth - 1, config.channels(depth), upsample=index == 0)
            for index in range(config.middle_blocks)
        )
        self.ups = nn.ModuleList(
            self._block(level, config.channels(level), upsample=True)
            for level in reversed(range(depth - 1))
        )
        self.to_rgb = nn.Conv2d(config.width, 3 * r * r, 3, padding=1)
        gains = sum(gain_channels(octave, r) for octave in range(config.octaves))
        self.to_gains = nn.Conv2d(config.width, gains, 1) if config.head == "bands" else None
        # outputs of the published progressive training: never used, kept for its key map
        self.to_rgb_unused = nn.ModuleList(
            nn.Conv2d(config.channels(level), 3, 3, padding=1)
            for level in (range(depth - 2, 0, -1) if config.head == "tanh" else ())
        )
        initialise(self)

    def _block(self, level: int, channels_out: int, *, upsample: bool) -> SpadeResBlock:
        config = self.config
        finer = level < config.depth - 1
        above = config.depth if level >= config.depth - 2 else level + 1
        nested = config.variant == "hifacegan"
        return SpadeResBlock(
            config.channels(above) if finer else channels_out,
            channels_out,
            config.channels(level) if nested else config.guidance_channels,
            hidden=config.hidden,
            kernel=config.modulation_kernel,
            normalisation=config.normalisation,
            modulation=config.modulation,
            spade_shortcut=config.shortcut == "spade",
            spectral=config.spectral_norm,
            upsample=upsample,
        )

    @property
    def blocks(self) -> dict[str, nn.Module]:
        """The decoder's blocks by name, from coarse to fine: the slots that guidance enters."""
        named: dict[str, nn.Module] = {"head_0": self.head_0}
        named |= {f"middle_{index}": block for index, block in enumerate(self.middle)}
        return named | {f"ups_{index}": block for index, block in enumerate(self.ups)}

    def forward(
        self,
        faces: Tensor,
        guidance: Tensor | None = None,
        *,
        constant_guidance: Mapping[str, float] | None = None,
    ) -> Tensor:
        """Return restored faces, (N, 3, H, W), not clamped so that gradients survive.

        Args:
            faces: (N, 3, H, W), RGB in [0, 1], sides multiples of ``stride`` pixels.
            guidance: (N, guidance_channels, H, W) parsing map for ``spade``; default the faces.
            constant_guidance: Blocks (see ``blocks``) whose guidance is replaced by a constant,
                ``START`` for the map that the first of them begins with: what each stage
                contributes (paper, Fig. 5a).

        Raises:
            ShapeError: If ``faces`` or ``guidance`` have another shape.
            ConfigError: If there is no block of a name in ``constant_guidance``.
        """
        passed, added = self.parts(faces, guidance, constant_guidance=constant_guidance)
        return added if passed is None else passed + added

    def parts(
        self,
        faces: Tensor,
        guidance: Tensor | None = None,
        *,
        constant_guidance: Mapping[str, float] | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """Return what passes through of the faces, and what the decoder adds; their sum is all.

        Nothing passes through the published network (None), all of the input where the head is
        ``residual``, and its bands, scaled, where it is ``bands``. Arguments and errors are those
        of ``forward``.
        """
        self._check(faces, guidance)
        x, maps = self._start(faces, faces if guidance is None else guidance)
        constants = constant_guidance or {}
        for name in constants:
            if name not in (START, *self.blocks):
                raise ConfigError(
                    f"constant_guidance: no block {name!r}{nearest(name, [START, *self.blocks])}"
                )
        if START in constants:
            x = torch.full_like(x, constants[START])
        for (name, block), features in zip(self.blocks.items(), maps, strict=True):
            if name in constants:
                features = torch.full_like(features, constants[name])
            x = block(x, features)
        x, r = F.leaky_relu(x, 0.2), self.config.stem_stride  # (N, C_0, H/r, W/r)
        added = F.pixel_shuffle(self.to_rgb(x), r)  # (N, 3, H, W)
        if self.to_gains is not None:
            gains = gains_of(self.to_gains(x), self.config.octaves, r)
            return scaled_octaves(faces, gains), added
        return (None, added.tanh()) if self.config.head == "tanh" else (faces, added)

    def _start(self, faces: Tensor, guidance: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the decoder's coarsest input and the guidance of each block."""
        count = len(self.blocks)
        if self.config.variant == "lipspade" and self.encoder is not None:
            return self.encoder(faces)[-1], [faces] * count
        source = guidance if self.encoder is None else faces
        size = (faces.shape[2] // self.stride, faces.shape[3] // self.stride)
        x = self.fc(F.interpolate(source, size=size, mode="nearest"))  # (N, C_depth, coarsest)
        if self.encoder is None:
            return x, [guidance] * count
        *finer, middle, coarsest = self.encoder(faces)
        return x, [coarsest, *[middle] * len(self.middle), *reversed(finer)]

    def _check(self, faces: Tensor, guidance: Tensor | None) -> None:
        sides = faces.shape[2:]
        if faces.ndim != 4 or faces.shape[1] != 3 or any(n % self.stride for n in sides):
            raise ShapeError(
                f"expected (N, 3, H, W) with sides that are multiples of {self.stride}, "
                f"got {tuple(faces.shape)}"
            )
        if min(sides) < 2 * self.stride:
            raise ShapeError(f"expected sides of at least {2 * self.stride}, got {tuple(sides)}")
        wanted = (faces.shape[0], self.config.guidance_channels, *sides)
        if guidance is None and self.config.guidance_channels != 3:
            raise ShapeError(f"this network needs a guidance of shape {wanted}, got none")
        if guidance is not None and tuple(guidance.shape) != wanted:
            raise ShapeError(f"expected guidance {wanted}, got {tuple(guidance.shape)}")


def initialise(network: Generator) -> None:
    """Set the initial weights: the published ones, or the identity for a head that adds.

    The published network draws every convolution from Xavier's normal with gain 0.02 and so
    starts out black; the other heads start with zeros, so an untrained network returns its input.
    What halves the maps is drawn so that their variance stays, whatever the head: what follows it
    normalises nothing smaller than 1e-5, and five such gains would leave 1e-9 of the features. What
    was released, ``lip``, takes means and needs nothing of the kind.
    Weights without memory (``meta``) stay: drawing them takes seconds, and a checkpoint follows.
    """
    if network.to_rgb.weight.is_meta:
        return
    if network.config.head == "tanh":
        for name, parameter in network.named_parameters():
            if parameter.ndim == 4:
                nn.init.xavier_normal_(parameter, gain=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
    else:
        for parameter in network.encoder.parameters() if network.encoder else ():
            if parameter.ndim == 4:  # without normalisation the features must not fade
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        for last in filter(None, (network.to_rgb, network.to_gains)):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)
    for suppress in network.encoder.suppress if network.encoder else ():
        if isinstance(suppress, AdaptiveSuppression):
            suppress.initialise()
        elif isinstance(suppress, nn.Conv2d):
            nn.init.kaiming_normal_(suppress.weight, nonlinearity="linear")


def unused_parameters(network: Generator) -> list[str]:
    """Return the names of parameters that no output depends on.

    The published networks carry them: the outputs of coarser scales, for a progressive training
    that was never used, and the first convolution of ``lipspade``, which starts from its encoder
    instead. They are kept so that published state dicts fit; they never get a gradient.
    """
    prefixes: tuple[str, ...] = ("to_rgb_unused.",)
    if network.config.variant == "lipspade":
        prefixes += ("fc.",)
    return [name for name, _ in network.named_parameters() if name.startswith(prefixes)]


def build_generator(config: GeneratorConfig) -> Generator:
    """Return an untrained generator of the given shape."""
    return Generator(config)


def mirrored_mean(network: Callable[[Tensor], Tensor], faces: Tensor) -> Tensor:
    """Return the mean of what a network makes of faces and of their mirror images.

    A face and its mirror image are equally likely, but no network treats them alike. Where the two
    restorations agree the photograph says so; strokes that only one of them draws are invented,
    and lose half their strength. Source: geometric self-ensemble, EDSR (arXiv:1707.02921) section
    3.4, of its eight views the one that leaves a face upright.

    Args:
        network: Takes and returns (N, 3, H, W).
        faces: (N, 3, H, W), whatever the network takes.
    """
    theirs = network(faces.flip(-1)).flip(-1)
    return (network(faces) + theirs) / 2
