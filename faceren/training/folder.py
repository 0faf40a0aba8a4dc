"""The folder of a run: which files it holds, and whether a run may go on in it.

A run goes on with the recipe that it was begun with, and with the same files and images, which the
recipe only names: with others of the same name it would no longer compute what it would have
computed in one go.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from faceren.assets import model_path
from faceren.errors import ConfigError
from faceren.files import TEMPORARY, atomic_write, remove_leftovers, sha256_of
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
