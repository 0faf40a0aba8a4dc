"""Some steps of a training recipe on the shipped faces."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from faceren.assets import models_dir, samples_dir
from faceren.bench.request import Request
from faceren.commands.train import train
from faceren.training.events import Finished, Progress

STEPS, BATCH, SIZE = 6, 8, 256
WARM_UP = 2
"""Steps that are not timed."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed:
    """Steps of a recipe, data loading and degradation among it."""

    section: ClassVar[str] = "training"
    recipe: str
    batch: int
    size: int
    """Side of the images in pixels."""
    images_per_second: float
    steps: int
    """Timed."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"train {self.recipe}  {self.size} px  batch {self.batch}  "
            f"{self.images_per_second:.2f} images/s"
        )


def training_speed(request: Request, *, steps: int = STEPS) -> Iterator[TrainingSpeed]:
    """Take some steps of the compact recipe on the shipped faces; nothing of them is kept."""
    clean = samples_dir() / "clean"
    with tempfile.TemporaryDirectory() as folder:
        overrides = (
            f"data.train=[{clean},{clean}]",  # there must be as many images as a batch has
            f"data.validation=[{clean}]",
            f"data.size={SIZE}",
            f"train.batch={BATCH}",
            f"train.steps={steps}",
            "validate.images=1",
        )
        recipe = models_dir() / "compact.yaml"
        times = []
        for event in train(
            recipe, overrides=overrides, output=Path(folder) / "run", device=request.device
        ):
            if isinstance(event, Progress):
                times.append(time.perf_counter())
            if isinstance(event, Finished) and event.interrupted:
                raise KeyboardInterrupt
    timed = len(times) - WARM_UP
    yield TrainingSpeed(
        recipe=recipe.stem,
        batch=BATCH,
        size=SIZE,
        images_per_second=timed * BATCH / (times[-1] - times[WARM_UP - 1]),
        steps=timed,
    )
