"""What a GPU is asked: the same bytes, the same pictures as on a CPU, and that it is kept busy.

Each check returns what it measured, in a line, and fails by an ``AssertionError``. On a CPU with
small sizes the same code runs in seconds; the goals of speed are not asked for then.

Shape letters: N faces, S their side in pixels.
"""

import dataclasses
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from faceren.assets import model_path, recipe_path, samples_dir
from faceren.bench.speed.commands import photo_folder
from faceren.bench.speed.network import peer_pass, restoring
from faceren.commands.train import train
from faceren.graphs.session import usable_cores
from faceren.images import DEFAULT_MAX_PIXELS, read_rgb, write_png
from faceren.inference import TorchRestorer, load_restorer
from faceren.restoration.options import RestoreOptions
from faceren.restoration.photo import tools_for
from faceren.restoration.pipeline import Pipeline, automatic_workers
from faceren.training.events import Progress

BUSY, WAITING = 0.9, 0.1
"""Least share of a folder's time in which the network works; most of a step's that data take."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """Where the checks run, and how large they are."""

    device: str = "cuda"
    small: bool = False

    @property
    def side(self) -> int:
        """S of the faces."""
        return 64 if self.small else 512

    @property
    def photos(self) -> int:
        """Photos of the folder."""
        return 2 if self.small else 200

    @property
    def batches(self) -> tuple[int, ...]:
        """Faces a pass whose speed is measured."""
        return (1, 2) if self.small else (1, 2, 4, 8, 16, 32, 64)

    def restorer(self, model: str = "compact", *, precision: str = "fp32", batch: int = 16):
        """Return a network on the device, one view of each face."""
        return load_restorer(
            model_path(model),
            device=self.device,
            precision=precision,
            batch_size=batch,
            ensemble="off",
        )


def faces(count: int, side: int) -> Tensor:
    """Return N faces of the sample photo's kind, (N, 3, S, S) in [0, 1]: shifted, dimmed, noisy."""
    clean = sorted((samples_dir() / "clean").glob("*.*"))
    photo = torch.from_numpy(read_rgb(clean[0])).permute(2, 0, 1)[None] / 255  # (1, 3, H, W)
    shown = torch.nn.functional.interpolate(photo, (side, side), mode="area")[0]
    draw = torch.Generator().manual_seed(0)
    made = [
        shown.roll(3 * number, -1) * (1 - 0.005 * number)
        + 0.02 * torch.randn(shown.shape, generator=draw)
        for number in range(count)
    ]
    return torch.stack(made).clamp(0, 1)


def levels(one: Tensor, other: Tensor) -> np.ndarray:
    """Return how far two batches are apart once they are bytes, in levels of 255."""
    bytes_ = [(255 * x).round().to(torch.int16).numpy() for x in (one, other)]
    return np.abs(bytes_[0] - bytes_[1])


def batch_as_alone(scale: Scale) -> str:
    """A face has the bytes, within one level, that it has in a pass of its own."""
    given = faces(5 if scale.small else 16, scale.side)
    together = scale.restorer(batch=len(given)).restore(given)
    alone = scale.restorer(batch=1).restore(given)
    apart = levels(together, alone)
    assert apart.max() <= 1, f"up to {apart.max()} levels"
    return f"at most {apart.max()} levels, {np.mean(apart > 0):.3%} of the samples differ"


def as_on_a_cpu(scale: Scale) -> str:
    """A face is the one that a CPU makes, within one level in float32."""
    given = faces(2 if scale.small else 4, scale.side)
    here = scale.restorer().restore(given)
    there = dataclasses.replace(scale, device="cpu").restorer().restore(given)
    apart = levels(here, there)
    assert apart.max() <= 1, f"up to {apart.max()} levels"
    return f"at most {apart.max()} levels, {np.mean(apart > 0):.3%} of the samples differ"


def half_precision(scale: Scale) -> str:
    """Half precision moves a face by less than half a level in the mean."""
    given = faces(2 if scale.small else 8, scale.side)
    whole, told = scale.restorer().restore(given), []
    # in small, a CPU without half-precision arithmetic would take its time over fp16
    for precision in ("bf16",) if scale.small else ("bf16", "fp16"):
        apart = levels(scale.restorer(precision=precision).restore(given), whole)
        told.append(f"{precision} {apart.mean():.3f} levels in the mean, {apart.max()} at most")
        assert apart.mean() < 0.5, told[-1]
    return "; ".join(told)


def memory_runs_out(scale: Scale) -> str:
    """Where a batch does not fit, half of it is tried, and the faces are what they were."""
    given = faces(4 if scale.small else 64, scale.side)
    expected = scale.restorer(batch=1).restore(given)
    restorer = scale.restorer(batch=len(given))
    with _little_memory(scale, restorer, given):
        found = restorer.restore(given)
    apart = levels(found, expected)
    assert restorer.batch_size < len(given), "the whole batch did fit"
    assert apart.max() <= 1, f"up to {apart.max()} levels"
    return f"{len(given)} faces a pass became {restorer.batch_size}, at most {apart.max()} levels"


@contextmanager
def _little_memory(scale: Scale, restorer: TorchRestorer, given: Tensor) -> Iterator[None]:
    """Let a GPU have a quarter of what the batch takes; a CPU say it has none for more than one."""
    if torch.device(scale.device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(restorer.device)
        restorer.restore(given)
        most = torch.cuda.max_memory_allocated(restorer.device)
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(restorer.device).total_memory
        torch.cuda.set_per_process_memory_fraction(most / total / 4, restorer.device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, restorer.device)
        return
    honest = restorer._pass

    def short(batch: Tensor) -> Tensor:
        if len(batch) > 1:
            raise torch.OutOfMemoryError("so large a batch does not fit")
        return honest(batch)

    restorer._pass = short  # type: ignore[method-assign]
    batched = type(restorer).faces_a_pass
    type(restorer).faces_a_pass = property(lambda self: self.batch_size)  # type: ignore[assignment]
    try:
        yield
    finally:
        type(restorer).faces_a_pass = batched  # type: ignore[method-assign]


def folder_keeps_it_busy(scale: Scale) -> str:
    """While a folder of photos is restored the network works, and waits for nothing."""
    restorer = scale.restorer("compact" if scale.small else "base", precision="auto")
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        folder = Path(name)
        jobs = list(photo_folder(folder / "in", folder / "out", scale.photos))
        pipeline = Pipeline(
            restorer=restorer,
            options=RestoreOptions(),
            max_pixels=DEFAULT_MAX_PIXELS,
            workers=automatic_workers(restorer),
            tools=tools_for(RestoreOptions(), restorer, None, offline=True),
        )
        pipeline.one(jobs[0])  # loads the detector and warms up
        warm, began = pipeline.timing.network, time.perf_counter()
        results = list(pipeline.run(jobs))
        seconds = time.perf_counter() - began
    failed = [result.reason for result in results if result.status == "failed"]
    assert not failed, failed[0]
    busy = (pipeline.timing.network - warm) / seconds
    told = f"{len(jobs) / seconds:.1f} photos/s, the network works {busy:.0%} of the time"
    assert scale.small or busy >= BUSY, told
    return told


def speed_by_batch(scale: Scale) -> str:
    """Faces a second of the shipped networks, and of GFPGAN's, by the faces in a pass."""
    given, told = faces(scale.batches[-1], scale.side), []
    for model in ("base", "compact"):
        restorer = scale.restorer(model, precision="auto")
        told.append(f"{model} {_rates(scale, restoring(restorer), given)}")
    if importlib.util.find_spec("spandrel") is None:
        told.append("GFPGAN's network left out: it needs spandrel")
    elif not scale.small:
        told.append(f"GFPGAN's network {_rates(scale, peer_pass(restorer), given)}")
    return "; ".join(told)


def _rates(scale: Scale, run: Callable[[Tensor], object], given: Tensor) -> str:
    rates = []
    for batch in scale.batches:
        part = given[:batch]
        try:
            run(part)  # warms up
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            rates.append(f"{batch}: does not fit")
            break
        passes, began = 0, time.perf_counter()
        while passes < 2 or (not scale.small and time.perf_counter() - began < 1):
            run(part)  # which brings the result back, so that it is waited for
            passes += 1
        rates.append(f"{batch}: {batch * passes / (time.perf_counter() - began):.1f}")
    return f"faces/s at {', '.join(rates)}"


def training_waits_for_no_data(scale: Scale) -> str:
    """A training step computes; the time it waits for images is small."""
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        steps, workers = (1, 0) if scale.small else (60, max(2, usable_cores() - 2))
        size = 64 if scale.small else 256
        for number, face in enumerate(faces(20, scale.side)):  # a batch, and one to validate on
            pixels = (255 * face.permute(1, 2, 0)).round().to(torch.uint8).numpy()  # (S, S, 3)
            write_png(Path(name) / "faces" / f"{number:02}.png", pixels)
        overrides = [
            *(f"data.train={Path(name) / 'faces'}", f"data.size={size}", "data.min_side=32"),
            *("train.batch=8", f"train.steps={steps}"),
            *(f"data.workers={workers}", "train.log_every=20", f"validate.size={size}"),
            *("validate.images=1", "validate.tasks=[jpeg]", "validate.every=1000000"),
        ]
        events = train(
            recipe_path(Path("compact")),
            overrides=overrides,
            output=Path(name) / "run",
            device=scale.device,
        )
        logged = [e for e in events if isinstance(e, Progress) and e.logged]
    last = logged[-1]  # the first laps fill the queues
    told = f"{last.images_per_second:.1f} images/s, {last.data_share:.0%} of the time for data"
    assert np.isfinite(last.loss), "the loss is not finite"
    assert scale.small or last.data_share < WAITING, told
    return told


CHECKS = (
    *(batch_as_alone, as_on_a_cpu, half_precision, memory_runs_out),
    *(folder_keeps_it_busy, speed_by_batch, training_waits_for_no_data),
)
