"""What a training run does, as frozen values: each field is documented, and checked when made."""

from dataclasses import dataclass, field
from typing import Literal

from faceren.config import GeneratorConfig, check_choice
from faceren.degradation import TASKS
from faceren.errors import ConfigError
from faceren.training.bounds import HUGE, rising, within
from faceren.training.loss_recipe import LEAST_SIDES, LossRecipe

Schedule = Literal["constant", "linear", "cosine"]
OptimiserKind = Literal["adam", "adamw"]
PrecisionKind = Literal["auto", "fp32", "bf16"]
Score = Literal["psnr", "ssim", "lpips"]


@dataclass(frozen=True, kw_only=True)
class DataRecipe:
    """Which images are trained on, how they are framed, and how they are damaged."""

    train: tuple[str, ...] = ()
    """Folders of clean images, searched recursively."""
    weights: tuple[float, ...] = ()
    """How often each folder is drawn from for whole faces of ``size``; default by its number of
    images."""
    validation: tuple[str, ...] = ()
    """Folders of images to validate on; default some images of ``train``, then not trained on."""
    task: str = "mixed"
    """Damage to undo: a task of ``faceren degrade``, or ``mixed``."""
    full: float = 0.0
    """Share of samples that are damaged by the paper's ``full``, whatever the task."""
    fixed_damage: bool = False
    """Damage each image always alike, as the paper did, rather than anew each time."""
    size: int = 256
    """Side of a training image, pixels."""
    large: float = 0.0
    """Share of steps that show whole faces of ``large_size``, of any folder. They have fewer
    images, so that each step has about as many pixels."""
    large_size: int = 512
    """Side of these images, pixels, at least ``size``; only images that fill it are taken."""
    crops: float = 0.0
    """Share of samples that are a random crop at about native size, of images that are larger."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Range of the scale of a whole face; 1 lets the shorter side fill the training image."""
    crop_zoom: tuple[float, float] = (0.6, 1.05)
    """Range of the scale of a crop against the image's own pixels."""
    shift: float = 0.0
    """Largest shift of a whole face, share of ``size``."""
    rotation: float = 0.0
    """Standard deviation of the rotation, degrees."""
    flip: float = 0.5
    """Share of samples that are mirrored."""
    min_side: int = 32
    """Images with a shorter side below this many pixels are left out."""
    max_side: int = 1024
    """Images with a shorter side above this are shrunk to it when read."""
    cache_gib: float = 8.0
    """Keep the decoded images in memory if they fit into this; otherwise decode at each use."""
    workers: int = 2
    """Processes that prepare samples; 0 prepares them between the steps."""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            check_choice("data.task", self.task, Literal[TASKS])
        if self.weights and len(self.weights) != len(self.train):
            raise ConfigError(
                f"data.weights: expected one for each of the {len(self.train)} folders of "
                f"data.train, got {len(self.weights)}"
            )
        if self.weights and (min(self.weights) < 0 or sum(self.weights) <= 0):
            raise ConfigError(f"data.weights: expected shares above 0, got {self.weights}")
        rising("data", "zoom", self.zoom)
        rising("data", "crop_zoom", self.crop_zoom)
        share, side = (0.0, 1.0), (16.0, 8192.0)
        within("data", self, dict.fromkeys(("crops", "flip", "shift", "large", "full"), share))
        within("data", self, dict.fromkeys(("size", "large_size", "min_side", "max_side"), side))
        within("data", self, {"rotation": (0, 180), "cache_gib": (0, HUGE), "workers": (0, 256)})
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

    steps: int | None = None
    """End after this many steps."""
    minutes: float | None = None
    """End after this many minutes of training; the schedule then follows the clock."""
    batch: int = 8
    """Images in a step, over all processes."""
    lr: float = 1e-4
    """Learning rate of the generator."""
    lr_discriminator: float = 4e-4
    """Learning rate of the discriminator (TTUR: above the generator's)."""
    optimiser: OptimiserKind = "adam"
    """``adam``, or ``adamw`` with decoupled weight decay."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Decay of the first and second moment."""
    weight_decay: float = 0.0
    """Of ``adamw``, and as L2 penalty of ``adam``."""
    warmup: int = 0
    """Steps over which the learning rate rises from near 0."""
    schedule: Schedule = "constant"
    """After ``hold``: ``constant``, or fall to 0 straight (``linear``) or as a ``cosine``."""
    hold: float = 0.0
    """Share of the training before the learning rate falls."""
    stairs: int = 0
    """Let the learning rate fall in this many equal stairs, as the paper's epochs; 0 is smooth."""
    clip: float = 1.0
    """Longest gradient, of all weights together; 0 does not clip."""
    ema: float = 0.999
    """Decay of the moving average of the weights, which is what is saved; 0 saves the weights."""
    precision: PrecisionKind = "auto"
    """``bf16`` mixed precision, or ``fp32``; ``auto`` is bf16 on GPUs that have it."""
    channels_last: bool = True
    """Memory layout; the faster one on most devices."""
    compile: bool = False
    """Compile the generator with ``torch.compile``."""
    save_every: int = 1000
    """Steps between checkpoints."""
    save_minutes: float = 10.0
    """Save after this many minutes, too."""
    log_every: int = 50
    """Steps between lines of the log."""
    max_bad_steps: int = 20
    """Stop after this many steps in a row whose gradient is not finite."""

    def __post_init__(self) -> None:
        for name, choices in (
            ("optimiser", OptimiserKind),
            ("schedule", Schedule),
            ("precision", PrecisionKind),
        ):
            check_choice(f"train.{name}", getattr(self, name), choices)
        if self.steps is None and self.minutes is None:
            raise ConfigError("train: expected train.steps or train.minutes, got neither")
        counts = ("steps", "batch", "save_every", "log_every", "max_bad_steps")
        within("train", self, dict.fromkeys(counts, (1, HUGE)))
        within("train", self, {"minutes": (0.001, HUGE), "save_minutes": (0.001, HUGE)})
        within("train", self, {"lr": (1e-12, 1), "lr_discriminator": (1e-12, 1)})
        within("train", self, {"hold": (0, 1), "weight_decay": (0, 1), "ema": (0, 0.9999999)})
        within("train", self, {"warmup": (0, HUGE), "stairs": (0, HUGE), "clip": (0, HUGE)})
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"train.betas: expected two numbers in [0, 1), got {self.betas}")


@dataclass(frozen=True, kw_only=True)
class ValidationRecipe:
    """What is measured on images that are not trained on, always with the same damage."""

    every: int = 1000
    """Steps between validations; one follows the last step, too."""
    images: int = 16
    """Images, evenly chosen."""
    size: int = 256
    """Their side, pixels."""
    tasks: tuple[str, ...] = ()
    """Damages to measure; default that of ``data.task``."""
    select: Score = "lpips"
    """What makes a checkpoint the best: lowest ``lpips``, highest ``psnr`` or ``ssim``."""
    sheet: int = 6
    """Images of each task on the sheet (input, output, clean); 0 makes none."""

    def __post_init__(self) -> None:
        check_choice("validate.select", self.select, Score)
        for task in self.tasks:
            if task not in TASKS:
                check_choice("validate.tasks", task, Literal[TASKS])
        within("validate", self, {"every": (1, HUGE), "images": (1, HUGE), "sheet": (0, 100)})
        within("validate", self, {"size": (32, 8192)})


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
    init: str = ""
    """Checkpoint to start from: one of ours, or a published state dict."""
    teacher: str = ""
    """Checkpoint to learn from: the target is what it makes of the damaged image and of its mirror
    image, their mean, in place of the clean image. So a network takes over what a larger one, or
    its own self-ensemble, can do; nothing in such a target is left to chance."""
    widen: bool = False
    """Let ``model`` be larger than ``init``, of which its further channels are made (Net2Net)."""
    seed: int = 0
    """Of the first weights, the samples and the damage."""
    licence: str = ""
    """Licence of the weights, written into the checkpoints."""
    training_data: str = ""
    """What the data are, in a sentence, written into the checkpoints."""

    def __post_init__(self) -> None:
        if not self.name or not self.name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"name: expected letters, digits, - and _, got {self.name!r}")
        if self.model is None and not self.init:
            raise ConfigError("model: expected the shape of a generator, or a checkpoint as init")
        if self.widen and not (self.init and self.model):
            raise ConfigError("widen: expected both init, to start from, and model, to grow to")
        for what in self.loss.looks_through_alexnet:
            if self.data.size < LEAST_SIDES[what]:
                raise ConfigError(
                    f"data.size: expected at least {LEAST_SIDES[what]} for the loss {what}, "
                    f"got {self.data.size}"
                )
        within("recipe", self, {"seed": (0, 2**32 - 1)})
