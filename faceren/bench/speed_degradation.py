"""Time of the simulator: what is drawn and applied in one process, without files."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from faceren.assets import samples_dir
from faceren.degradation import apply, draw, resize
from faceren.images import find_images, read_rgb

DEGRADATIONS = (("full", 512), ("full", 256), ("mixed", 256), ("historic", 512))


@dataclass(frozen=True, kw_only=True)
class DegradationSpeed:
    """Images a second of one task at one size."""

    section: ClassVar[str] = "degradation"
    task: str
    size: int
    """Side of the images in pixels."""
    images_per_second: float
    """From the mean time; the draws differ much in cost."""
    repeats: int
    """Images timed."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)

    def line(self) -> str:
        """Return the row as it is shown."""
        return (
            f"degrade {self.task}  {self.size} px  one process  "
            f"{self.images_per_second:.1f} images/s"
        )


def degradation_speed(*, seconds: float = 3.0) -> Iterator[DegradationSpeed]:
    """Time the simulator on a shipped face; yield the rows as they are measured.

    Args:
        seconds: Least time to spend on a row.
    """
    face = read_rgb(next(find_images([samples_dir() / "clean"])).path)
    for task, size in DEGRADATIONS:
        image = resize(face, height=size, width=size, by="area")
        apply(image, draw(task, seed=0, size=size))  # warms up
        began, count = time.perf_counter(), 0
        while count == 0 or time.perf_counter() - began < seconds:
            apply(image, draw(task, seed=count, size=size))
            count += 1
        rate = count / (time.perf_counter() - began)
        yield DegradationSpeed(task=task, size=size, images_per_second=rate, repeats=count)
