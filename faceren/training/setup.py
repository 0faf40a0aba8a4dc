"""From a recipe to everything that a run needs; what can be wrong is found before it is built.

A larger generator starts where a smaller one has got to, as in Net2Net (Chen, Goodfellow and
Shlens, ICLR 2016, arXiv:1511.05641, section 2). Letters: C channels of the smaller network, C'
those of the larger.
"""

import dataclasses
from collections.abc import Generator as Yields
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from faceren.assets import model_path
from faceren.checkpoint import load_checkpoint
from faceren.config import GeneratorConfig, architecture_name
from faceren.errors import ConfigError, MachineError
from faceren.metrics.fidelity import why_no_fed
from faceren.networks.baselines.baseline import Baseline, build_network, unused_parameters
from faceren.networks.detector import Detector, build_detector
from faceren.networks.generator import Generator, build_generator
from faceren.training.data import Images, evenly, read_images, split_validation
from faceren.training.events import Reading, has_tensorboard
from faceren.training.objective import Objective, build_discriminator
from faceren.training.processes import wastes_bf16
from faceren.training.recipe import OptimiserKind, Recipe
from faceren.training.state import Network, TrainingState, averaged_copy
from faceren.training.step import Stepper, build_optimiser
from faceren.training.validation import MarkValidator, Validator, make_cases, make_mark_cases
from faceren.weights import read_detector

if TYPE_CHECKING:
    from lightning_fabric import Fabric


NOISE = 0.05
"""How much the weights of a copied channel differ from the original's, as a share of their
deviation: channels that are quite alike get the same gradient and stay alike."""
MAY_GROW = ("width", "hidden", "middle_blocks")


def widened(small: Generator, config: GeneratorConfig, *, seed: int) -> Generator:
    """Return a larger generator that does nearly what a smaller one does.

    Its further channels are copies of existing ones, slightly disturbed, and whoever reads them
    counts each copy for its share; its further middle blocks add nothing at first. What is
    normalised over channels sees some of them twice, so the output is close, not equal.

    Args:
        small: Where to start.
        config: Shape of the larger one.
        seed: Decides which channels are copied, and the disturbance.

    Raises:
        ConfigError: If the two differ in more than width, hidden channels and middle blocks, if
            one of these is smaller, or with ``spectral_norm``, which copies would change.
    """
    ours, theirs = dataclasses.asdict(config), dataclasses.asdict(small.config)
    for key, value in ours.items():
        grows = key in MAY_GROW and value >= theirs[key]
        if value != theirs[key] and not grows:
            wanted = f"at least {theirs[key]}" if key in MAY_GROW else repr(theirs[key])
            raise ConfigError(
                f"model.{key}: expected {wanted} to widen that of init, got {value!r}"
            )
    if config.spectral_norm:
        raise ConfigError("model.spectral_norm: expected false, for init to be widened, got true")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        large = build_generator(config)
        sources = dict(small.named_parameters())
        copied: dict[tuple[int, int], Tensor] = {}
        with torch.no_grad():
            for name, target in large.named_parameters():
                if name in sources:
                    target.copy_(_grown(name, sources[name], target, copied))
            for block in list(large.middle)[len(small.middle) :]:
                for parameter in block.get_submodule("conv_1").parameters():
                    parameter.zero_()
    return large


def _grown(
    name: str, source: Tensor, target: Tensor, copied: dict[tuple[int, int], Tensor]
) -> Tensor:
    """Return weights of the target's shape, (C', ...), made of the smaller network's (C, ...)."""
    parts = 2 if ".modulate." in name or ".shared." in name else 1  # gamma, beta; SPADE layers
    count = len(source) // parts
    copies = _copies(count, len(target) // parts, copied)
    rows = torch.cat([copies + part * count for part in range(parts)])
    grown = source[rows]
    if source.ndim == 4 and source.shape[1] != target.shape[1]:
        columns = _copies(source.shape[1], target.shape[1], copied)
        shares = torch.bincount(columns)[columns]
        grown = grown[:, columns] / shares.view(1, -1, 1, 1)
    seen: set[int] = set()
    noise = torch.zeros_like(grown)  # where a channel is the first copy of its original
    for place, row in enumerate(rows.tolist()):
        if row in seen:
            noise[place].normal_()
        seen.add(row)
    return grown + NOISE * source.std(correction=0) * noise


def _copies(count: int, wanted: int, copied: dict[tuple[int, int], Tensor]) -> Tensor:
    """Return of which channel each of the larger network is a copy: always the same for a size."""
    if (count, wanted) not in copied:
        further = torch.randint(count, (wanted - count,))
        copied[count, wanted] = torch.cat([torch.arange(count), further])
    return copied[count, wanted]


@dataclass(frozen=True)
class ImageSets:
    """What is trained on and what is measured on."""

    training: Images
    validation: Images


def initial_network(recipe: Recipe) -> Network:
    """Return what is trained before its first step: of ``init``, or drawn from the seed.

    Raises:
        ConfigError: If ``init`` has another shape than the recipe, or sizes do not fit the network.
        MachineError: If ``init`` is missing or damaged.
    """
    if recipe.detector is not None:
        detector = build_detector(recipe.detector, recipe.seed)
        if recipe.init:
            _begin_with(detector, Path(recipe.init))
        _check_sizes(recipe, detector, "this network")
        return detector.train()
    if recipe.init:
        generator = _from_checkpoint(recipe)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            generator = build_network(recipe.baseline or recipe.model or GeneratorConfig())
    _check_sizes(recipe, generator, "this network")
    for name in unused_parameters(generator):
        generator.get_parameter(name).requires_grad = False
    return generator.train()


def _begin_with(detector: Detector, path: Path) -> None:
    """Give a detector the weights of a file, whose network may have fewer levels.

    A level more adds nothing at first: its part of the convolution that joins it to the coarsest
    one of the file is 0, and that one's own maps pass unchanged.

    Raises:
        ConfigError: If the file's channels are not the first of the detector's.
        MachineError: If it is missing or damaged.
    """
    stored = read_detector(path)
    theirs, ours = stored.config.channels, detector.config.channels
    if ours[: len(theirs)] != theirs:
        raise ConfigError(
            f"init: {path} has detector.channels {list(theirs)}, the recipe asks for {list(ours)}"
        )
    weights = {key: torch.from_numpy(array) for key, array in stored.arrays.items()}
    detector.load_state_dict(weights, strict=ours == theirs)
    if ours != theirs:
        joining = f"up.{len(theirs) - 1}"
        weight = nn.init.zeros_(detector.get_parameter(f"{joining}.weight"))
        nn.init.zeros_(detector.get_parameter(f"{joining}.bias"))
        nn.init.dirac_(weight[:, -theirs[-1] :])  # rectified already, so the same again


def teachers_of(recipe: Recipe) -> tuple[Generator | Baseline, ...]:
    """Return the networks to learn from: none, one or two.

    Raises:
        ConfigError: If the sides of one do not fit the training images.
        MachineError: If one is missing or damaged.
    """
    named = {"teacher": recipe.teacher, "second_teacher": recipe.second_teacher}
    teachers = {
        key: load_checkpoint(_weights(key, name)).network for key, name in named.items() if name
    }
    for key, teacher in teachers.items():
        _check_sizes(recipe, teacher, f"the {key.replace('_', ' ')}")
    return tuple(teachers.values())


def _weights(key: str, name: str) -> Path:
    try:
        return model_path(name)
    except (ConfigError, MachineError) as error:
        raise type(error)(str(error).replace("--model", key)) from error


def _check_sizes(recipe: Recipe, network: Network, which: str) -> None:
    sizes = {"data.size": recipe.data.size, "validate.size": recipe.validate.size}
    if recipe.data.large:
        sizes["data.large_size"] = recipe.data.large_size
    for key, size in sizes.items():
        if size % network.stride or size < 2 * network.stride:
            raise ConfigError(
                f"{key}: expected a multiple of {network.stride}, "
                f"at least {2 * network.stride}, for {which}, got {size}"
            )


def _from_checkpoint(recipe: Recipe) -> Generator | Baseline:
    loaded = load_checkpoint(_weights("init", recipe.init), trainable=True)
    wanted = recipe.baseline or recipe.model
    if wanted is None:
        return loaded.network
    section = "model" if recipe.baseline is None else "baseline"
    theirs, ours = loaded.config, wanted
    if type(theirs) is not type(ours) or architecture_name(theirs) != architecture_name(ours):
        raise ConfigError(
            f"init: {recipe.init} holds {architecture_name(theirs)}, "
            f"the section {section} asks for {architecture_name(ours)}"
        )
    if recipe.widen and isinstance(loaded.network, Generator) and recipe.model is not None:
        return widened(loaded.network, recipe.model, seed=recipe.seed)
    if theirs != ours:
        old, new = dataclasses.asdict(theirs), dataclasses.asdict(ours)
        different = [f"{k} {old[k]!r}, not {new[k]!r}" for k in new if new[k] != old[k]]
        grow = ", or set widen to grow to it" if section == "model" else ""
        raise ConfigError(
            f"init: {recipe.init} has another shape than {section}: {', '.join(different)}; "
            f"remove the section {section} to take the checkpoint's{grow}"
        )
    return loaded.network


def read_sets(recipe: Recipe) -> Yields[Reading, None, ImageSets]:
    """Read training and validation images, yielding how far it is.

    Raises:
        ConfigError: If a folder is missing or has too few usable images.
    """
    data = recipe.data
    if not data.train:
        raise ConfigError("data.train: expected folders of images, got none; -O data.train=FOLDER")
    training = yield from read_images(
        "data.train",
        data.train,
        min_side=data.min_side,
        max_side=data.max_side,
        cache_gib=data.cache_gib,
        disk_gib=data.disk_gib,
    )
    if data.validation:
        found = yield from read_images(
            "data.validation",
            data.validation,
            min_side=data.min_side,
            max_side=max(data.max_side, recipe.validate.size),
            cache_gib=0,  # each is needed once
        )
        chosen = evenly(len(found), recipe.validate.images)
        validation = found.choose(chosen, found.skipped)
        sets = ImageSets(training, validation)
    else:
        sets = ImageSets(*split_validation(training, recipe.validate.images))
    if len(sets.training) < recipe.train.batch:
        raise ConfigError(
            f"data.train: expected at least as many images to train on as train.batch "
            f"{recipe.train.batch}, got {len(sets.training)} "
            f"({len(sets.training.skipped)} files skipped); add images or lower train.batch"
        )
    largest = max(entry.short for entry in sets.training.entries)
    if recipe.data.large and largest < recipe.data.large_size:
        raise ConfigError(
            f"data.large: expected images of at least {recipe.data.large_size} pixels to train on, "
            f"the largest has {largest}; lower data.large_size or set data.large to 0"
        )
    return sets


def check_division(recipe: Recipe, network: Network, processes: int) -> None:
    """Raise ConfigError unless the batch can be shared evenly, and done in several passes.

    Args:
        recipe: Its batch, and its passes.
        network: What is trained.
        processes: How many share the batch.
    """
    train = recipe.train
    if train.batch % (processes * train.accumulate):
        passes = f" times train.accumulate {train.accumulate}" if train.accumulate > 1 else ""
        raise ConfigError(
            f"train.batch: expected a multiple of the {processes} processes{passes}, "
            f"got {train.batch}"
        )
    if train.accumulate > 1 and (why := why_inseparable(network)):
        raise ConfigError(f"train.accumulate: expected 1 for {why}, got {train.accumulate}")


def leaves_unused(recipe: Recipe) -> bool:
    """Return whether a step may leave weights unused that others need.

    A mixed discriminator does not look for the inner faces of images without whole ones; of
    networks that are not ours it is not known.
    """
    inner = recipe.loss.mixed and recipe.loss.discriminator_inner
    return inner or recipe.baseline is not None or recipe.detector is not None


def why_inseparable(network: Network) -> str:
    """Return why a batch in parts is not the same as in one go; nothing if it is."""
    if isinstance(network, Detector):
        return "a detector, whose losses look at the marks of a batch together"
    if any(isinstance(module, _BatchNorm) for module in network.modules()):
        return "a network with batch normalisation, which looks at a batch together"
    return ""


def build_stepper(
    recipe: Recipe, network: Network, teachers: Sequence[Generator | Baseline], fabric: "Fabric"
) -> Stepper:
    """Put networks and optimisers onto the devices of a run."""
    train = recipe.train
    layout = torch.channels_last if train.channels_last else torch.contiguous_format
    generator = network.to(memory_format=layout)
    discriminator = build_discriminator(recipe.loss, recipe.seed)
    objective = Objective(recipe.loss).to(memory_format=layout)
    state = TrainingState(
        generator=generator,
        average=averaged_copy(generator).to(fabric.device),
        optimiser=build_optimiser(generator, train, train.lr, kind=train.optimiser),
    )
    compiled: Any = torch.compile(generator) if train.compile else generator
    wrapped, optimiser = fabric.setup(compiled, state.optimiser)
    scoring, scoring_optimiser = None, None
    if discriminator is not None:
        discriminator = discriminator.to(memory_format=layout)
        kind: OptimiserKind = "adam" if train.optimiser == "adam" else "adamw"
        theirs = build_optimiser(discriminator, train, train.lr_discriminator, kind=kind)
        state.discriminator, state.discriminator_optimiser = discriminator, theirs
        scoring, scoring_optimiser = fabric.setup(discriminator, theirs)
    return Stepper(
        fabric=fabric,
        recipe=recipe,
        state=state,
        objective=objective.to(fabric.device),
        generator=wrapped,
        optimiser=optimiser,
        discriminator=scoring,
        discriminator_optimiser=scoring_optimiser,
        teachers=[each.to(device=fabric.device).to(memory_format=layout) for each in teachers],
    )


def build_validator(
    images: Images, recipe: Recipe, device: torch.device
) -> Validator | MarkValidator:
    """Return what measures the averaged weights on images that are not trained on."""
    if recipe.detector is not None:
        return MarkValidator(make_mark_cases(images, recipe), recipe, device)
    return Validator(make_cases(images, recipe), recipe, device)


def notes(recipe: Recipe, sets: ImageSets, device: torch.device) -> tuple[str, ...]:
    """Return what a reader of the log should know of how this run differs from the paper's."""
    found = []
    if wastes_bf16(recipe.train.precision, device):
        found.append("this CPU computes bf16 much faster (AMX): consider train.precision=bf16")
    if not recipe.loss.vgg and recipe.loss.lpips:
        found.append("perceptual loss: LPIPS on AlexNet, in place of the paper's VGG-19")
    if not sets.training.pixels:
        found.append("the images do not fit into data.cache_gib: each is decoded at every use")
    if not recipe.data.validation:
        found.append(f"validated on {len(sets.validation)} images kept from data.train")
    if recipe.detector is None and (reason := why_no_fed()):
        found.append(f"validated without FED: {reason}")
    if not has_tensorboard():
        found.append("tensorboard is not installed: the log is log.jsonl only")
    return tuple(found)
