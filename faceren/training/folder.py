"""The folder of a run: which files it holds, and whether a recipe may go on in it."""

from dataclasses import dataclass
from pathlib import Path

from faceren.errors import ConfigError
from faceren.files import atomic_write
from faceren.training.recipe import Recipe
from faceren.training.recipe_file import difference, dump_recipe, load_recipe


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
        return self.path / "sheets" / f"step_{step:08d}.png"

    def check(self, recipe: Recipe, *, allow_change: bool) -> None:
        """Raise ConfigError if the folder holds something else, or a run of another recipe.

        Args:
            recipe: What is to be trained.
            allow_change: Let a run go on with another recipe.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"expected a run folder, but {self.path} is a file")
        if not self.recipe.exists():
            if self.path.exists() and any(self.path.iterdir()):
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
        """Write down the recipe."""
        text = "# the resolved recipe of this run, written by faceren train\n" + dump_recipe(recipe)
        atomic_write(self.recipe, text.encode())
