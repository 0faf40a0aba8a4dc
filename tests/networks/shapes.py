"""The shapes of the shipped networks, as their recipes have them."""

from dataclasses import replace

from faceren.assets import models_dir
from faceren.training.recipe_file import load_recipe

COMPACT, BASE = (load_recipe(models_dir() / f"{name}.yaml").model for name in ("compact", "base"))
TINY = replace(COMPACT, width=4, hidden=4, kernel_dim=3)
BASELINES = {
    "edsr": {"width": 4, "blocks": 1},
    "srresnet": {"width": 4, "blocks": 1},
    "esrgan": {"width": 4, "blocks": 1},
    "srfbn": {"width": 4, "blocks": 2},
    "superfan": {"width": 4, "blocks": 2},
    "waveletsr": {"width": 4, "blocks": 1},
    "ridnet": {"width": 32, "blocks": 1},
    "vdnet": {"width": 4, "blocks": 2},
    "deblurgan": {"width": 4, "blocks": 1},
    "deblurganv2": {"width": 8},
    "arcnn": {"width": 4},
    "gfrnet": {"width": 4, "blocks": 2},
}
"""The smallest shape of every network that is compared."""
