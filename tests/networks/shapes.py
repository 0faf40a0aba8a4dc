"""The shapes of the shipped networks, as their recipes have them."""

from dataclasses import replace

from faceren.assets import models_dir
from faceren.training.recipe_file import load_recipe

COMPACT, BASE = (load_recipe(models_dir() / f"{name}.yaml").model for name in ("compact", "base"))
TINY = replace(COMPACT, width=4, hidden=4, kernel_dim=3)
