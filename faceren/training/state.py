"""The folder of a run, and everything of a run that must survive a restart, in its file.

A run goes on with the recipe that it was begun with, and with the same files and images, which the
recipe only names: with others of the same name it would no longer compute what it would have
computed in one go.

The file is one ``state.safetensors``: tensors by ``part.name``, and the counters as JSON in its
metadata. It holds no code, and whatever is random is drawn from (seed, index), so nothing else is
needed to go on as if nothing had happened.
"""

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from faceren.assets import model_path
from faceren.checks import check_fields
from faceren.errors import ConfigError, MachineError
from faceren.files import TEMPORARY, atomic_path, atomic_write, remove_leftovers, sha256_of
from faceren.networks.baselines.baseline import Baseline
from faceren.networks.detector import Detector
from faceren.networks.generator import Generator
from faceren.networks.published import UNREADABLE
from faceren.runs.folder import LOCK_NAME, check_ours
from faceren.training.data import Images
from faceren.training.events import LOG_NAME
from faceren.training.recipe import Recipe
from faceren.training.recipe_file import difference, dump_recipe, load_recipe

Inputs = dict[str, str]
"""What was found, by recipe key."""
SHEETS = "sheets"
DIGITS = 16
"""Digits of a hash: enough to tell files apart, short enough for a message."""


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def state(self) -> Path:
        """Everything needed to go on; see ``TrainingState``."""
        return self.path / "state.safetensors"

    @property
    def best(self) -> Path:
        """Averaged weights with the best validation."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """Averaged weights of the last checkpoint."""
        return self.path / "last.safetensors"

    @property
    def curves(self) -> Path:
        """Loss and validation over the images seen, as a picture."""
        return self.path / "curves.png"

    def sheet(self, step: int) -> Path:
        """Return where the validation sheet of a step goes."""
        return self.path / SHEETS / f"step_{step:08d}.png"

    def check(self, recipe: Recipe, *, allow_change: bool) -> None:
        """Raise ConfigError if the folder holds something else, or a run of another recipe.

        Args:
            recipe: What is to be trained.
            allow_change: Let a run go on with another recipe.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"expected a run folder, but {self.path} is a file")
        written = (self.recipe, self.state, self.best, self.last, self.curves)
        check_ours(self.path, [*(file.name for file in written), LOG_NAME, LOCK_NAME], [SHEETS])
        if not self.recipe.exists():
            # a run that was killed while it wrote the recipe has left no more than that file
            files = self.path.iterdir() if self.path.exists() else ()
            if any(not file.name.startswith(TEMPORARY) for file in files):
                raise ConfigError(
                    f"{self.path} holds other files and is no run folder; give another with -o"
                )
            return
        changes = difference(load_recipe(self.recipe), recipe)
        if changes and self.state.exists() and not allow_change:
            raise ConfigError(
                f"{self.path} was begun with another recipe; give another folder with -o, "
                f"or --allow-change to go on with this one. Changed: {'; '.join(changes)}"
            )

    def begin(self, recipe: Recipe) -> None:
        """Write down the recipe, and remove what a run that was killed has left unfinished."""
        remove_leftovers(self.path)
        text = "# the resolved recipe of this run, written by faceren train\n" + dump_recipe(recipe)
        atomic_write(self.recipe, text.encode())


def inputs_of(recipe: Recipe, images: Images) -> Inputs:
    """Return what tells the inputs of every step apart from others of the same name.

    Args:
        recipe: Which files it names; ``init`` is not among them, as only the first step needs it.
        images: Those that are trained on: known by their names and sides.
    """
    files = {
        "teacher": model_path(recipe.teacher) if recipe.teacher else None,
        "second_teacher": model_path(recipe.second_teacher) if recipe.second_teacher else None,
        "loss.vgg_weights": Path(recipe.loss.vgg_weights) if recipe.loss.vgg else None,
    }
    found = {key: f"sha256 {sha256_of(path)[:DIGITS]}" for key, path in files.items() if path}
    listed = "\n".join(f"{e.folder}\t{e.key}\t{e.short}" for e in images.entries)
    digest = hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()
    summary = f"{len(images)} images, their list sha256 {digest[:DIGITS]}"
    return {"data.train": summary, **found}


def check_inputs(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise ConfigError if a run that goes on would read something else than before.

    Args:
        folder: The run folder, for the message.
        before: ``inputs_of`` when its state was written; what is not in it is not compared.
        now: The present ones.
    """
    changes = [f"{k}: {was} -> {now.get(k)}" for k, was in before.items() if now.get(k) != was]
    if changes:
        raise ConfigError(
            f"{folder} was begun with other files of the same name; put them back, give another "
            f"folder with -o, or --allow-change to go on with these. Changed: {'; '.join(changes)}"
        )


FORMAT_VERSION = "faceren-state-1"
Network = Generator | Detector | Baseline
"""What can be trained."""
ANEW = "remove the run folder and start anew"


@dataclass
class Counters:
    """Where a run stands."""

    step: int = 0
    """Steps done."""
    images_seen: int = 0
    """Samples drawn."""
    seconds: float = 0.0
    """Seconds of training by the recipe's clock, without reading images."""
    skipped_steps: int = 0
    """Steps whose gradient was not finite."""
    bad_in_a_row: int = 0
    """Those among them since the last good step."""
    best: float | None = None
    """Best score so far, higher is better."""


@dataclass
class TrainingState:
    """Networks, optimisers and counters."""

    generator: Network
    """What is trained: a generator, or a detector."""
    average: Network
    """Moving average of the generator: what is validated and saved."""
    optimiser: Optimizer
    discriminator: nn.Module | None = None
    discriminator_optimiser: Optimizer | None = None
    counters: Counters = field(default_factory=Counters)
    inputs: Inputs = field(default_factory=dict)
    """What it is trained with, to be compared when it goes on; see ``folder.check_inputs``."""

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor by its name in the file."""
        networks = {"generator": self.generator, "average": self.average}
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator  # type: ignore[assignment]
        found = {
            f"{part}.{name}": value
            for part, network in networks.items()
            for name, value in network.state_dict().items()
        }
        for part, optimiser in self._optimisers().items():
            for number, values in optimiser.state_dict()["state"].items():
                found |= {f"{part}.{number}.{name}": value for name, value in values.items()}
        return found

    def _optimisers(self) -> dict[str, Optimizer]:
        optimisers = {"optimiser": self.optimiser}
        if self.discriminator_optimiser is not None:
            optimisers["discriminator_optimiser"] = self.discriminator_optimiser
        return optimisers

    def save(self, path: Path) -> None:
        """Write the state to a file, whole or not at all.

        Raises:
            MachineError: If the disk is full or the folder cannot be written; a file that was
                there stays as it was.
        """
        # a copy each: in the file no two names may share memory
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in self.tensors().items()}
        metadata = {
            "format_version": FORMAT_VERSION,
            "counters": json.dumps(dataclasses.asdict(self.counters)),
            "inputs": json.dumps(self.inputs),
        }
        with atomic_path(path) as temporary:
            try:
                save_file(tensors, temporary, metadata)
            except SafetensorError as error:
                raise MachineError(
                    f"cannot write {path}: {error}; free space or choose another folder"
                ) from error

    def go_on(self, path: Path, inputs: Inputs, *, allow_change: bool) -> None:
        """Load what a run has left, if anything; from now on it is trained with these inputs.

        Args:
            path: The state's file in the run folder.
            inputs: What it will be trained with.
            allow_change: Whether they may differ from those it was begun with.

        Raises:
            ConfigError: If they differ, or the file does not fit.
        """
        if path.exists():
            self.load(path)
            if not allow_change:
                check_inputs(path.parent, self.inputs, inputs)
        self.inputs = inputs

    def load(self, path: Path) -> None:
        """Take over the state of a file.

        Raises:
            MachineError: If the file is damaged.
            ConfigError: If it is of another version, or its tensors do not fit these networks.
        """
        counters, inputs, tensors = _read(path)
        parts: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        self._load_network(path, self.generator, parts.pop("generator", {}))
        self._load_network(path, self.average, parts.pop("average", {}))
        if self.discriminator is not None:
            self._load_network(path, self.discriminator, parts.pop("discriminator", {}))
        for part, optimiser in self._optimisers().items():
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in parts.pop(part, {}).items():
                number, _, moment = name.partition(".")
                state.setdefault(int(number), {})[moment] = value
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
            _lay_out(optimiser)
        if parts:
            raise ConfigError(
                f"{path}: holds {', '.join(sorted(parts))}, which this recipe does not train"
            )
        self.counters, self.inputs = counters, inputs

    @staticmethod
    def _load_network(path: Path, network: nn.Module, tensors: dict[str, Tensor]) -> None:
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ConfigError(f"{path}: the state is of another network: {reason}") from error


def _read(path: Path) -> tuple[Counters, Inputs, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except UNREADABLE as error:
        raise MachineError(f"{path} cannot be read ({error}); it is damaged: {ANEW}") from error
    if metadata.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: expected format version {FORMAT_VERSION!r}, "
            f"got {metadata.get('format_version')!r}; finish the run with the faceren it began with"
        )
    known = {field.name for field in dataclasses.fields(Counters)}  # older states count more
    try:
        inputs = dict(json.loads(metadata.get("inputs", "{}")))  # older states have none
        counters = {k: v for k, v in json.loads(metadata["counters"]).items() if k in known}
        found = Counters(**counters)
        check_fields(found)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise MachineError(f"{path}: its counters cannot be read ({error}); {ANEW}") from error
    return found, inputs, tensors


def _lay_out(optimiser: Optimizer) -> None:
    """Lay moments out in memory as their weights: a fused step goes through both in that order."""
    for weight, values in optimiser.state.items():
        for name, value in values.items():
            if value.shape == weight.shape:
                values[name] = torch.empty_like(weight).copy_(value)


def averaged_copy(generator: Network) -> Network:
    """Return a frozen copy in ``eval()`` that can follow the generator."""
    average = copy.deepcopy(generator).eval()
    return average.requires_grad_(requires_grad=False)


@torch.no_grad()
def follow(average: Network, generator: Network, *, decay: float, step: int) -> None:
    """Move the average towards the generator, in place.

    Args:
        average: See ``averaged_copy``.
        generator: The weights after a step.
        decay: Share of the average that stays, in [0, 1); early on less, so that the random first
            weights are forgotten: at most 1 - 1 / (step / 5 + 1).
        step: Steps done, from 1.
    """
    weight = 1 - min(decay, 1 - 1 / (step / 5 + 1)) if decay else 1.0
    targets = dict(generator.named_parameters())
    names, values = zip(*average.named_parameters(), strict=True)
    # all at once: a GPU would take longer to be told of each than to compute it
    torch._foreach_lerp_(values, [targets[name] for name in names], weight)
    for mine, theirs in zip(average.buffers(), generator.buffers(), strict=True):
        mine.copy_(theirs)
