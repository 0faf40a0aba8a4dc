"""What a run reads beside its recipe: files and images that may change between its parts.

The recipe names them only; a run that goes on with others of the same name would no longer compute
what it would have computed in one go.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from faceren.assets import model_path
from faceren.errors import ConfigError
from faceren.files import sha256_of
from faceren.training.data import Images
from faceren.training.recipe import Recipe

Inputs = dict[str, str]
"""What was found, by recipe key."""
DIGITS = 16
"""Of a hash: enough to tell files apart, short enough for a message."""


def inputs_of(recipe: Recipe, images: Images) -> Inputs:
    """Return what tells the inputs of every step apart from others of the same name.

    Args:
        recipe: Which files it names; ``init`` is not among them, as only the first step needs it.
        images: Those that are trained on: known by their names and sides.
    """
    loss = recipe.loss
    files = {
        "teacher": model_path(recipe.teacher) if recipe.teacher else None,
        "loss.vgg_weights": Path(loss.vgg_weights) if loss.vgg or loss.inner_vgg else None,
        "loss.identity_weights": Path(loss.identity_weights) if loss.identity else None,
    }
    found = {key: f"sha256 {sha256_of(path)[:DIGITS]}" for key, path in files.items() if path}
    return {"data.train": _summary(images), **found}


def _summary(images: Images) -> str:
    listed = "\n".join(f"{e.folder}\t{e.key}\t{e.short}" for e in images.entries)
    digest = hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{len(images)} images, their list sha256 {digest[:DIGITS]}"


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
