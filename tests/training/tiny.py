"""The smallest training: a network of some thousand weights, twelve 64-pixel images."""

from pathlib import Path

import cv2
import numpy as np
import yaml

from faceren.commands.train import train
from faceren.config import GeneratorConfig
from faceren.training.events import Event, Finished, Progress

MODEL = {
    "width": 4,
    "depth": 2,
    "max_multiplier": 2,
    "middle_blocks": 1,
    "stem_stride": 2,
    "hidden": 4,
    "kernel_dim": 2,
    "modulation_kernel": 1,
    "normalisation": "layer",
    "encoder_normalisation": "none",
    "modulation": "one-plus",
    "shortcut": "plain",
    "spectral_norm": False,
    "head": "residual",
}
CONFIG = GeneratorConfig(**MODEL)


def write_images(folder: Path, count: int = 12, side: int = 64) -> Path:
    """Write smooth coloured images whose pixels depend on nothing but their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        grid = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        image = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number:03}.png"), image)
    return folder


def write_recipe(folder: Path, **sections) -> Path:
    """Write the tiny recipe and its images into a folder; sections replace single values."""
    tree = {
        "name": "tiny",
        "model": MODEL,
        "data": {"train": [str(folder / "faces")], "task": "denoise", "size": 64, "workers": 0},
        "loss": {"l1": 1.0},
        "train": {"steps": 20, "batch": 4, "lr": 1e-3, "warmup": 3, "schedule": "cosine"},
        "validate": {"every": 10, "images": 2, "size": 64, "sheet": 1},
    }
    if not (folder / "faces").exists():
        write_images(folder / "faces")
    for name, values in sections.items():
        tree[name] = {**tree.get(name, {}), **values} if isinstance(values, dict) else values
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def run(recipe: Path, output: Path, *overrides: str, **options) -> list[Event]:
    """Train to the end; return all events."""
    return list(train(recipe, overrides=overrides, output=output, device="cpu", **options))


def losses(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, Progress)]


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]
