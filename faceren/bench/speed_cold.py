"""The first face in a fresh process, and those after it."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from faceren.assets import model_path
from faceren.bench.request import Request
from faceren.bench.speed_process import fresh_process, peak_mb
from faceren.inference import load_restorer

SIZE = 512


@dataclass(frozen=True, kw_only=True)
class Cold:
    """A face of 512 pixels, from nothing."""

    section: ClassVar[str] = "cold_start"
    model: str
    first_seconds: float
    """From the start of the process to the first restored face."""
    load_seconds: float
    """Of these, reading the weights."""
    next_seconds: float
    """The face after it."""
    peak_mb: float | None
    """Most memory of the process, 10^6 bytes; on a GPU its memory is not counted."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        return asdict(self)

    def line(self) -> str:
        """Return the row as it is shown."""
        memory = "" if self.peak_mb is None else f"  peak {self.peak_mb:.0f} MB"
        return (
            f"{self.model}  {SIZE} px  first face {self.first_seconds:.1f} s after the start "
            f"(weights {self.load_seconds:.2f} s), next {self.next_seconds:.2f} s{memory}"
        )


def cold_start(request: Request) -> Iterator[Cold]:
    """Time the model of a request in a process of its own."""
    began = time.time()  # the clock that processes share
    with fresh_process() as process:
        weights = model_path(request.model)
        task = process.submit(first_faces, weights, request.device, request.precision)
        loaded, first, following, memory = task.result()
    yield Cold(
        model=request.model_name,
        first_seconds=first - began,
        load_seconds=loaded,
        next_seconds=following,
        peak_mb=memory,
    )


def first_faces(
    weights: Path, device: str, precision: str
) -> tuple[float, float, float, float | None]:
    """Restore two faces; return load time, when the first was done, the second's time, memory."""
    began = time.time()
    restorer = load_restorer(weights, device=device, precision=precision)
    loaded = time.time() - began
    face = torch.full((1, 3, SIZE, SIZE), 0.5)
    restorer.restore(face)
    first = time.time()
    restorer.restore(face)
    return loaded, first, time.time() - first, peak_mb()
