"""The shapes of networks, as checkpoints and recipes state them, and kinds of damage."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Literal

from faceren.checks import Bounds, check_fields
from faceren.errors import ConfigError

Variant = Literal["hifacegan", "lipspade", "spade"]
Suppression = Literal["adaptive", "lip", "fixed"]
Activation = Literal["sigmoid", "tanh"]
Normalisation = Literal["instance", "layer", "none"]
Modulation = Literal["plain", "one-plus"]
Shortcut = Literal["spade", "plain"]
Head = Literal["tanh", "residual", "bands"]
Architecture = Literal[
    "edsr",
    "srresnet",
    "esrgan",
    "srfbn",
    "superfan",
    "waveletsr",
    "ridnet",
    "vdnet",
    "deblurgan",
    "deblurganv2",
    "arcnn",
    "gfrnet",
]
"""Networks of other papers, see ``networks.baselines``."""
Ensemble = Literal["auto", "on", "off"]
"""Whether a face's mirror image is restored, too; ``auto``: as the weights say."""
LEAST_SIDE = 16
"""Pixels a side that a picture needs to be restored."""
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Engine = Literal["auto", "onnx", "torch"]
"""What computes a restoration; ``auto``: ONNX Runtime on a CPU in float32, otherwise torch."""
FileFormat = Literal["keep", "png", "jpg", "webp", "tiff"]
"""What outputs are written as; ``jpg`` is the kind ``jpeg`` of ``images.checks``."""
Detector = Literal["tiny", "retinaface_resnet50", "retinaface_mobile0.25"]


ANOTHER_PERSON = 0.7
"""Identity distance (``faces.identity``) beyond which a face passes for another person's: 1 to 3 in
100 pairs of two persons are nearer, fewer than 1 in 100 of one person farther apart; measured in
``models/mobilefacenet.md``."""


class Mark(IntEnum):
    """Kinds of damage to the print, as masks and manifests number them."""

    NONE = 0
    BRIGHT_DUST = 1
    DARK_DUST = 2
    LINE = 3
    """Scratches, hairs, cracks."""
    CREASE = 4
    LOSS = 5
    """Where the emulsion or the paper is gone."""


Count = Annotated[int, Bounds(1)]
MOST = {
    **dict.fromkeys(("width", "hidden", "guidance_channels", "kernel_dim"), 1024),
    **dict.fromkeys(("max_multiplier", "middle_blocks", "stem_stride"), 64),
    **dict.fromkeys(("depth", "octaves"), 10),
}
"""No network is larger: a file may claim any size, and building it would take all memory."""
MOST_CHANNELS = 4096
"""Of the coarsest map: four times those of the published network."""
MOST_FINE_CHANNELS = 128
"""Channels a pixel: twice those of the published network, whose maps fill some GiB."""
MOST_STRIDE = 512
"""Pixels: a face is extended to twice that, and no crop is larger."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Shape of a generator. All defaults but ``suppression`` are the published network."""

    variant: Variant = "hifacegan"
    """Guided by suppressed features (``hifacegan``), or by the image (``lipspade``, ``spade``)."""
    width: Count = 64
    """Feature channels at the finest scale (``nf`` of the paper's code)."""
    suppression: Suppression = "adaptive"
    """``adaptive`` (paper, eq. 2-3), ``lip`` (what was released), ``fixed`` (FixConv ablation)."""
    depth: Annotated[int, Bounds(2)] = 5
    """Halvings between the finest and the coarsest feature map."""
    max_multiplier: Count = 16
    """Channels double with each halving, up to ``max_multiplier * width``."""
    middle_blocks: Count = 2
    """Residual blocks at the second coarsest scale."""
    stem_stride: Count = 1
    """Pixel-unshuffle factor before the first convolution; 1 is none."""
    hidden: Count = 128
    """Upper limit of the channels between guidance and modulation in a SPADE layer."""
    modulation_kernel: Literal[1, 3] = 3
    """Kernel side of the convolution that makes gamma and beta."""
    guidance_channels: Count = 3
    """Channels of the guidance of ``spade``: 3 for the image, more for a parsing map."""
    normalisation: Normalisation = "instance"
    """Statistics per channel over the face (``instance``), or over channels (``layer``)."""
    encoder_normalisation: Normalisation = "instance"
    """Statistics of the encoder's; ``none`` keeps the amplitude, so noise and texture differ."""
    modulation: Modulation = "plain"
    """``norm(x) * gamma + beta`` (``plain``) or ``norm(x) * (1 + gamma) + beta`` (``one-plus``)."""
    shortcut: Shortcut = "spade"
    """Learned shortcuts with their own SPADE layer, or a ``plain`` 1x1 convolution."""
    spectral_norm: bool = True
    """Spectral normalisation of the decoder's residual convolutions while training."""
    head: Head = "tanh"
    """``tanh`` of the last convolution; the input plus it (``residual``, zero at the start); or the
    input with its octaves scaled pixel by pixel, plus it (``bands``, the same at the start)."""
    octaves: Count = 4
    """Frequency bands of the input that a ``bands`` head scales."""
    kernel_dim: Count = 16
    """Output dimension D of the small MLP G in the adaptive kernel."""
    kernel_activation: Activation = "sigmoid"
    """The activation in the adaptive kernel (paper, eq. 3)."""

    def __post_init__(self) -> None:
        check_fields(self, label=str)
        for name, most in MOST.items():
            if (value := getattr(self, name)) > most:
                raise ConfigError(f"{name}: expected at most {most}, got {value:.6g}")
        if self.channels(self.depth) > MOST_CHANNELS:
            raise ConfigError(
                f"width: expected at most {MOST_CHANNELS} channels at the coarsest scale, "
                f"got {self.channels(self.depth)}"
            )
        if self.width > MOST_FINE_CHANNELS * self.stem_stride**2:
            raise ConfigError(
                f"width: expected at most {MOST_FINE_CHANNELS} channels a pixel, "
                f"got {self.width} for {self.stem_stride} x {self.stem_stride} pixels"
            )
        if self.stride > MOST_STRIDE:
            raise ConfigError(
                f"depth, stem_stride: expected sides that are multiples of at most {MOST_STRIDE} "
                f"pixels, got {self.stride}"
            )
        if self.head == "bands":
            if self.stem_stride & (self.stem_stride - 1):
                raise ConfigError(
                    f"stem_stride: a 'bands' head needs a power of two, got {self.stem_stride}"
                )
            if 2**self.octaves > self.stride:
                raise ConfigError(
                    f"octaves: sides are multiples of {self.stride} pixels, "
                    f"which cannot be halved {self.octaves} times"
                )
        if self.guidance_channels != 3 and self.variant != "spade":
            raise ConfigError(
                f"guidance_channels: only variant 'spade' takes another guidance than the image, "
                f"got {self.guidance_channels} with variant {self.variant!r}"
            )

    @property
    def stride(self) -> int:
        """Sides of the input must be multiples of this many pixels."""
        return int(self.stem_stride * 2**self.depth)

    def channels(self, level: int) -> int:
        """Return the feature channels after ``level`` halvings."""
        return int(self.width * min(2**level, self.max_multiplier))


def gain_channels(octave: int, stem_stride: int) -> int:
    """Return the channels, at H / r by W / r, that hold the gains of an octave."""
    return 2 * max(1, stem_stride >> octave) ** 2


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """Shape of the network that finds marks: a small U-Net on gray."""

    channels: tuple[Annotated[int, Bounds(1, 256)], ...] = (16, 32, 48, 64, 96)
    """Feature channels at half of the photo's pixels, at a quarter and so on."""

    def __post_init__(self) -> None:
        check_fields(self, label="detector.{}".format)
        if not 2 <= len(self.channels) <= 6:
            raise ConfigError(
                f"detector.channels: expected 2 to 6 numbers, got {len(self.channels)}"
            )

    @property
    def stride(self) -> int:
        """Sides of the input must be multiples of this many pixels."""
        return int(2 ** len(self.channels))


PUBLISHED_SHAPES: dict[Architecture, tuple[int, int, int]] = {
    "edsr": (256, 32, 4),
    "srresnet": (64, 16, 4),
    "esrgan": (64, 23, 4),
    "srfbn": (64, 6, 4),
    "superfan": (64, 12, 4),
    "waveletsr": (64, 2, 4),
    "ridnet": (64, 4, 1),
    "vdnet": (64, 4, 1),
    "deblurgan": (64, 9, 1),
    "deblurganv2": (128, 1, 1),
    "arcnn": (64, 1, 1),
    "gfrnet": (64, 8, 1),
}
"""Width, blocks and scale of each architecture as its paper has it."""
LEAST_WIDTHS: dict[Architecture, int] = {"waveletsr": 2, "esrgan": 2, "deblurganv2": 4, "arcnn": 4}
"""Where some layers have a part of ``width`` channels; it must be a multiple of these."""
DEEPEST: dict[Architecture, int] = {"vdnet": 6, "gfrnet": 8}
"""Most halvings where ``blocks`` counts them."""
LARGEST_SCALE, MOST_BLOCKS = 16, 64


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Shape of a network of another paper, which ours are compared with."""

    architecture: Architecture
    width: Annotated[int, Bounds(0, 512)] = 0
    """Feature channels; 0 is the paper's."""
    blocks: Annotated[int, Bounds(0, MOST_BLOCKS)] = 0
    """Residual blocks, groups or modules; halvings of ``gfrnet``, scales of ``vdnet``; 0 is the
    paper's, 1 for an architecture that counts none."""
    scale: Annotated[int, Bounds(0, LARGEST_SCALE)] = 0
    """How much it enlarges the image, which is shrunk by that before; 0 is the paper's."""

    def __post_init__(self) -> None:
        check_fields(self, label="baseline.{}".format)
        usual = PUBLISHED_SHAPES[self.architecture]
        for name, value in zip(("width", "blocks", "scale"), usual, strict=True):
            if not getattr(self, name):
                object.__setattr__(self, name, value)
        enlarges = usual[2] > 1
        power = self.scale & (self.scale - 1) == 0 and self.scale > 1
        others = {"edsr": (3,), "srfbn": (3,)}.get(self.architecture, ())
        if enlarges and not power and self.scale not in others:
            raise ConfigError(
                f"baseline.scale: expected a power of two for {self.architecture}, got {self.scale}"
            )
        if not enlarges and self.scale != 1:
            raise ConfigError(
                f"baseline.scale: {self.architecture} does not enlarge, got {self.scale}"
            )
        multiple = LEAST_WIDTHS.get(self.architecture, 1)
        if self.width % multiple:
            raise ConfigError(
                f"baseline.width: expected a multiple of {multiple} for {self.architecture}, "
                f"got {self.width}"
            )
        most = 1 if usual[1] == 1 else DEEPEST.get(self.architecture, MOST_BLOCKS)
        if self.blocks > most:
            raise ConfigError(
                f"baseline.blocks: expected at most {most} for {self.architecture}, "
                f"got {self.blocks}"
            )

    @property
    def guided(self) -> bool:
        """Whether it needs a second image of the same face."""
        return self.architecture == "gfrnet"

    @property
    def stride(self) -> int:
        """Sides of the input must be multiples of this many pixels."""
        within = {"deblurgan": 4, "deblurganv2": 32}.get(self.architecture, 1)
        if self.architecture == "vdnet":
            within = 2 ** (self.blocks - 1)
        if self.architecture == "gfrnet":
            within = 2**self.blocks
        return int(self.scale * within)


def architecture_name(config: GeneratorConfig | BaselineConfig) -> str:
    """Return what kind of network it is, in a word."""
    return config.architecture if isinstance(config, BaselineConfig) else "a HiFaceGAN"
