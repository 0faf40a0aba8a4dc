"""What a training run does, as frozen values: each field is documented, and checked when made."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from faceren.checks import Bounds, check_fields, check_value
from faceren.config import BaselineConfig, DetectorConfig, GeneratorConfig
from faceren.degradation import TASKS
from faceren.errors import ConfigError

Schedule = Literal["constant", "linear", "cosine"]
OptimiserKind = Literal["adam", "adamw", "muon"]
PrecisionKind = Literal["auto", "fp32", "bf16"]
ClockKind = Literal["wall", "cpu"]
DiscriminatorKind = Literal["patches", "projected", "mixed"]
Score = Literal["psnr", "ssim", "lpips", "f1"]
Share = Annotated[float, Bounds(0, 1)]
Weight = Annotated[float, Bounds(0)]
Decay = Annotated[float, Bounds(0, 0.9999999)]
"""In [0, 1): an average that keeps everything never moves."""
Rate = Annotated[float, Bounds(1e-12, 1)]
Minutes = Annotated[float, Bounds(0.001)]
Count = Annotated[int, Bounds(1)]
Steps = Annotated[int, Bounds(0)]
Side = Annotated[int, Bounds(16, 8192)]
"""Pixels."""
LOSSES = ("l1", "lpips", "inner", "gram", "vgg", "fed", "gan", "features", "bce", "dice")
DETECTOR_LOSSES = ("bce", "dice")
"""Losses of a detector, which are none of a generator."""
LEAST_SIDES = {"lpips": 36, "inner": 96, "gram": 96, "projected": 64, "discriminator_inner": 120}
"""Smallest training images of which AlexNet still has all its maps, pixels, by who asks."""


@dataclass(frozen=True, kw_only=True)
class LossRecipe:
    """Weights of the generator's losses. What has weight zero is not built and costs nothing."""

    l1: Weight = 0.0
    """Mean absolute difference of pixels."""
    lpips: Weight = 0.0
    """LPIPS distance on AlexNet; its weights ship with faceren."""
    inner: Weight = 0.0
    """LPIPS distance of eyes, nose and mouth alone, of samples that show the whole face."""
    gram: Weight = 0.0
    """Distance of the Gram matrices of AlexNet's first two maps of eyes, nose and mouth: their
    texture, wherever it lies (Gatys et al., arXiv:1508.06576)."""
    vgg: Weight = 0.0
    """VGG-19 feature distance (paper, eq. 5); needs ``vgg_weights``."""
    vgg_weights: str = ""
    """File of VGG weights."""
    fed: Weight = 0.0
    """Distance of dlib's embeddings, of samples that show the whole face: FED, at fixed places."""
    gan: Weight = 0.0
    """Least-squares adversarial loss (paper, eq. 4)."""
    features: Weight = 0.0
    """Distance of the discriminator's feature maps (paper, eq. 5)."""
    bce: Weight = 0.0
    """Binary cross-entropy of a detector's pixels."""
    dice: Weight = 0.0
    """1 - Dice coefficient of a detector's pixels (Milletari et al., arXiv:1606.04797)."""
    discriminator: DiscriminatorKind = "patches"
    """``patches`` of pixels at two scales, as the paper; ``projected`` scores AlexNet's maps and
    learns faster (arXiv:2111.01007); ``mixed`` scores EfficientNet's, mixed across channels and
    scales, and sees more; it needs faceren[train]."""
    discriminator_width: Annotated[int, Bounds(1, 1024)] = 64
    """Channels of the discriminator's first layer; of the others, of all their layers."""
    discriminator_inner: bool = False
    """Let a projected or mixed one score eyes, nose and mouth of whole faces by themselves, too."""

    def __post_init__(self) -> None:
        check_fields(self, label="loss.{}".format)
        if self.discriminator_inner and not (self.projected or self.mixed):
            raise ConfigError(
                "loss.discriminator_inner: expected loss.gan and loss.discriminator projected or "
                "mixed"
            )
        if not any(getattr(self, name) for name in LOSSES):
            raise ConfigError("loss: expected a weight above 0 for at least one loss, got none")
        if self.vgg and not self.vgg_weights:
            raise ConfigError(
                "loss.vgg_weights: the VGG loss needs a file of weights; give one, or set loss.vgg "
                "to 0 and use loss.lpips"
            )

    @property
    def adversarial(self) -> bool:
        """Whether a discriminator is needed."""
        return bool(self.gan or self.features)

    @property
    def projected(self) -> bool:
        """Whether the discriminator scores AlexNet's maps."""
        return self.adversarial and self.discriminator == "projected"

    @property
    def mixed(self) -> bool:
        """Whether the discriminator scores EfficientNet's maps."""
        return self.adversarial and self.discriminator == "mixed"

    @property
    def looks_through_alexnet(self) -> list[str]:
        """What in it needs AlexNet's maps of training images."""
        uses = {
            "lpips": self.lpips,
            "inner": self.inner,
            "gram": self.gram,
            "projected": self.projected,
            "discriminator_inner": self.discriminator_inner and self.projected,
        }
        return [name for name, used in uses.items() if used]


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Which images are trained on, how they are framed, and how they are damaged."""

    train: tuple[str, ...] = ()
    """Folders of clean images, searched recursively, and tar shards: ``shards/*.tar``."""
    weights: tuple[Weight, ...] = ()
    """How often each folder is drawn from for whole faces of ``size``; default by its number of
    images."""
    validation: tuple[str, ...] = ()
    """Folders or shards to validate on; default some images of ``train``, then not trained on."""
    task: str = "mixed"
    """Damage to undo: a task of ``faceren degrade``, or ``mixed``."""
    full: Share = 0.0
    """Share of samples that are damaged by the paper's ``full``, whatever the task."""
    single: Share = 0.0
    """Share of samples that have one of the paper's five other damages alone, each as often."""
    fixed_damage: bool = False
    """Damage each image always alike, as the paper did, rather than anew each time."""
    size: Side = 256
    """Side of a training image, pixels."""
    large: Share = 0.0
    """Share of steps that show whole faces of ``large_size``, of any folder. They have fewer
    images, so that each step has about as many pixels."""
    large_size: Side = 512
    """Side of these images, pixels, at least ``size``; only images that fill it are taken."""
    crops: Share = 0.0
    """Share of samples that are a random crop at about native size, of images that are larger."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Range of the scale of a whole face; 1 lets the shorter side fill the training image."""
    crop_zoom: tuple[float, float] = (0.6, 1.05)
    """Range of the scale of a crop against the image's own pixels."""
    shift: Share = 0.0
    """Largest shift of a whole face, share of ``size``."""
    rotation: Annotated[float, Bounds(0, 180)] = 0.0
    """Standard deviation of the rotation, degrees."""
    flip: Share = 0.5
    """Share of samples that are mirrored."""
    turns: Share = 0.0
    """Share of samples that are turned by one, two or three quarters of a circle."""
    views: Annotated[int, Bounds(1, 4)] = 1
    """How often a step shows each sample to a detector: each time turned by a further quarter.
    To make a sample takes longer than to learn from it."""
    min_side: Side = 32
    """Images with a shorter side below this many pixels are left out."""
    max_side: Side = 1024
    """Images with a shorter side above this are shrunk to it when read."""
    cache_gib: Annotated[float, Bounds(0)] = 8.0
    """Keep the decoded images in memory if they fit into this; otherwise decode at each use."""
    disk_gib: Annotated[float, Bounds(0)] = 20.0
    """Keep what is fetched from a store on this machine's disk, the first so much of it; the rest
    is fetched at each use."""
    workers: Annotated[int, Bounds(0, 256)] = 2
    """Processes that prepare samples; 0 prepares them between the steps."""

    def __post_init__(self) -> None:
        check_fields(self, label="data.{}".format)
        check_value("data.task", self.task, Literal[TASKS])
        if "" in (*self.train, *self.validation):  # which would mean the current folder
            raise ConfigError("data.train, data.validation: expected paths, got an empty text")
        if self.full + self.single > 1:
            raise ConfigError(
                f"data.single: expected at most 1 together with data.full {self.full}, "
                f"got {self.single}"
            )
        if self.weights and len(self.weights) != len(self.train):
            raise ConfigError(
                f"data.weights: expected one for each of the {len(self.train)} folders of "
                f"data.train, got {len(self.weights)}"
            )
        if self.weights and not any(self.weights):
            raise ConfigError(f"data.weights: expected shares above 0, got {self.weights}")
        for name, (low, high) in (("zoom", self.zoom), ("crop_zoom", self.crop_zoom)):
            if not 0 < low <= high:
                raise ConfigError(
                    f"data.{name}: expected [low, high] with 0 < low <= high, got {(low, high)}"
                )
        if self.large and self.large_size < self.size:
            raise ConfigError(
                f"data.large_size: expected at least data.size {self.size}, got {self.large_size}"
            )
        if self.max_side < self.min_side:
            raise ConfigError(
                f"data.max_side: expected at least data.min_side {self.min_side}, "
                f"got {self.max_side}"
            )


@dataclass(frozen=True, kw_only=True)
class TrainRecipe:
    """How the weights are moved, how long, and what is kept."""

    steps: Count | None = None
    """End after this many steps."""
    minutes: Minutes | None = None
    """End after this many minutes of training; the schedule then follows the clock."""
    clock: ClockKind = "wall"
    """What ``minutes`` are: ``cpu`` counts the processor time of this process, so that another
    load on the machine takes nothing away. Processes that prepare samples (``data.workers``) and
    GPUs are not in it."""
    batch: Count = 8
    """Images in a step, over all processes."""
    accumulate: Annotated[int, Bounds(1, 4096)] = 1
    """Passes in which each process takes its images of a step, as its memory allows. It changes
    nothing of what is computed but the rounding."""
    lr: Rate = 1e-4
    """Learning rate of the generator."""
    lr_discriminator: Rate = 4e-4
    """Learning rate of the discriminator (TTUR: above the generator's)."""
    optimiser: OptimiserKind = "adam"
    """``adam``; ``adamw`` with decoupled weight decay; or ``muon``, which moves the convolutions of
    the network that is trained as ``training.muon`` tells, its other weights and a discriminator
    as ``adamw`` does."""
    betas: tuple[Decay, Decay] = (0.0, 0.9)
    """Decay of the first and second moment."""
    weight_decay: Share = 0.0
    """Weight decay of ``adamw`` and ``muon``; the L2 penalty of ``adam``."""
    warmup: Steps = 0
    """Steps over which the learning rate rises from near 0."""
    schedule: Schedule = "constant"
    """After ``hold``: ``constant``, or fall to 0 straight (``linear``) or as a ``cosine``."""
    hold: Share = 0.0
    """Share of the training before the learning rate falls."""
    lr_steps: Steps = 0
    """Let the learning rate fall in this many equal steps, as the paper's epochs; 0 is smooth."""
    clip: Annotated[float, Bounds(0)] = 1.0
    """Largest gradient norm, of all weights together; 0 does not clip."""
    ema: Decay = 0.999
    """Decay of the moving average of the weights, which is what is saved; 0 saves the weights."""
    precision: PrecisionKind = "auto"
    """``bf16`` mixed precision, or ``fp32``; ``auto`` is bf16 on GPUs that have it."""
    channels_last: bool = True
    """Memory layout; the faster one on most devices."""
    compile: bool = False
    """Compile the generator with ``torch.compile``."""
    save_every: Count = 1000
    """Steps between checkpoints."""
    save_minutes: Minutes = 10.0
    """Save after this many minutes, too."""
    log_every: Count = 50
    """Steps between lines of the log."""
    max_bad_steps: Count = 20
    """Stop after this many steps in a row whose gradient is not finite."""

    def __post_init__(self) -> None:
        check_fields(self, label="train.{}".format)
        if self.steps is None and self.minutes is None:
            raise ConfigError("train: expected train.steps or train.minutes, got neither")
        if self.clock == "cpu" and self.minutes is None:
            raise ConfigError("train.clock: expected train.minutes beside it, which it counts")


@dataclass(frozen=True, kw_only=True)
class ValidationRecipe:
    """What is measured on images that are not trained on, always with the same damage."""

    every: Count = 1000
    """Steps between validations; one follows the last step, too."""
    images: Count = 16
    """Images, evenly chosen."""
    size: Annotated[int, Bounds(32, 8192)] = 256
    """Their side, pixels."""
    tasks: tuple[str, ...] = ()
    """Damages to measure; default that of ``data.task``."""
    select: Score = "lpips"
    """What makes a checkpoint the best: lowest ``lpips``, highest ``psnr`` or ``ssim``; of a
    detector, highest ``f1``."""
    sheet: Annotated[int, Bounds(0, 100)] = 6
    """Images of each task on the sheet (input, output, clean); 0 makes none."""

    def __post_init__(self) -> None:
        check_fields(self, label="validate.{}".format)
        for task in self.tasks:
            check_value("validate.tasks", task, Literal[TASKS])


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training run computes."""

    name: str
    """Short name of the model; the default run folder is ``runs/NAME``."""
    train: TrainRecipe
    loss: LossRecipe
    data: DataRecipe = field(default_factory=DataRecipe)
    validate: ValidationRecipe = field(default_factory=ValidationRecipe)
    model: GeneratorConfig | None = None
    """Shape of the generator; default that of ``init``."""
    detector: DetectorConfig | None = None
    """Shape of a detector of marks: what is trained then, in place of a generator. Its target is
    which pixels the damage of ``data.task`` has marked."""
    baseline: BaselineConfig | None = None
    """Network of another paper, to compare with: what is trained then, in place of a generator."""
    init: str = ""
    """Checkpoint to start from: one of ours, or a published state dict."""
    teacher: str = ""
    """Checkpoint to learn from: the target is what it makes of the damaged image and of its mirror
    image, their mean, in place of the clean image. So a network takes over what a larger one, or
    its own self-ensemble, can do; nothing in such a target is left to chance."""
    second_teacher: str = ""
    """Another one beside it: in every step one of both sees the image, the other the mirror image,
    by turns. So the target is the mean of two networks at the cost of two views."""
    widen: bool = False
    """Let ``model`` be larger than ``init``, of which its further channels are made (Net2Net)."""
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 0
    """Seed of the first weights, the samples and the damage."""
    licence: str = ""
    """Licence of the weights, written into the checkpoints."""
    training_data: str = ""
    """What the data are, in a sentence, written into the checkpoints."""

    def __post_init__(self) -> None:
        check_fields(self, label=str)
        if not self.name or not self.name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"name: expected letters, digits, - and _, got {self.name!r}")
        detects, losses = self.detector is not None, {k for k in LOSSES if getattr(self.loss, k)}
        if detects and (self.model or self.teacher or self.widen):
            raise ConfigError("detector: expected no model, teacher or widen beside it")
        if self.second_teacher and not self.teacher:
            raise ConfigError("second_teacher: expected teacher beside it, got none")
        if detects != bool(losses & set(DETECTOR_LOSSES)) or detects > (
            losses <= set(DETECTOR_LOSSES)
        ):
            raise ConfigError(
                f"loss: expected {' and '.join(DETECTOR_LOSSES)} with a detector and nowhere else, "
                f"got {', '.join(sorted(losses))}"
            )
        if self.data.views > 1 and not detects:
            raise ConfigError(f"data.views: expected 1 without a detector, got {self.data.views}")
        if detects != (self.validate.select == "f1"):
            raise ConfigError(
                f"validate.select: expected f1 with a detector and nowhere else, "
                f"got {self.validate.select}"
            )
        if self.baseline and (self.model or self.detector or self.widen):
            raise ConfigError("baseline: expected no model, detector or widen beside it")
        if not (self.model or self.init or self.detector or self.baseline):
            raise ConfigError("model: expected the shape of a generator, or a checkpoint as init")
        if self.widen and not (self.init and self.model):
            raise ConfigError("widen: expected both init, to start from, and model, to grow to")
        for what in self.loss.looks_through_alexnet:
            if self.data.size < LEAST_SIDES[what]:
                raise ConfigError(
                    f"data.size: expected at least {LEAST_SIDES[what]} for the loss {what}, "
                    f"got {self.data.size}"
                )
