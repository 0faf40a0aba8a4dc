"""The training loop: steps, log, validation, checkpoints, until the recipe or a signal ends it."""

import signal
import threading
import time
from collections.abc import Generator as Yields
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

import torch

from faceren.checkpoint import save_checkpoint
from faceren.errors import FacerenError, MachineError, PeerError
from faceren.training.events import Event, Finished, Progress, RunLog, Saved, Validated
from faceren.training.processes import Portion
from faceren.training.recipe import ClockKind, Recipe
from faceren.training.recipe_file import recipe_sha256
from faceren.training.samples import Batch, SampleSet, Steps, build_loader, to_float, turned
from faceren.training.state import Counters, RunFolder
from faceren.training.step import Pass, Stepper, StepResult, progress
from faceren.training.validation import MarkValidator, Validator, overall, write_sheet
from faceren.weights import CheckpointInfo

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether the user or the system has asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def __bool__(self) -> bool:
        return self.asked


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Yield a request that becomes true at the first SIGINT or SIGTERM.

    From then on, and after the block, the signals do what they did before. Outside the main
    thread, where Python allows no handlers, nothing is changed.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def handle(_number: int, _frame: FrameType | None) -> None:
        request.asked = True
        restore()

    for number in SIGNALS:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        restore()


@dataclass
class Clock:
    """Where the time goes."""

    before: float
    """Seconds that earlier parts of the run took."""
    kind: ClockKind = "wall"
    """What seconds of training are; all else is told by the wall's clock."""
    started: float = field(init=False)
    saved: float = field(default_factory=time.monotonic)
    lap: float = field(default_factory=time.monotonic)
    """When the last line of the log was written."""
    images: int = 0
    """Images trained on since then."""
    waited: float = 0.0
    """Seconds spent waiting for data since then."""

    def __post_init__(self) -> None:
        self.started = self._now()

    @property
    def seconds(self) -> float:
        """Return the seconds of training over all parts of the run."""
        return self.before + self._now() - self.started

    def _now(self) -> float:
        return time.process_time() if self.kind == "cpu" else time.monotonic()

    def rates(self) -> tuple[float, float]:
        """Return images per second and the share of time spent waiting for data, of this lap."""
        passed = max(time.monotonic() - self.lap, 1e-9)
        return self.images / passed, min(1.0, self.waited / passed)

    def new_lap(self) -> None:
        """Start measuring rates anew."""
        self.lap, self.images, self.waited = time.monotonic(), 0, 0.0


class Loop:
    """One run, or one part of it.

    Args:
        recipe: What to do.
        folder: Where results go.
        stepper: Networks and optimisers, their state loaded.
        samples: What to train on.
        validator: What to measure on; None in all processes but the first.
        stop: Becomes true when the run shall end early.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        stepper: Stepper,
        samples: SampleSet,
        validator: Validator | MarkValidator | None,
        stop: StopRequest,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.stepper = stepper
        self.samples = samples
        self.validator = validator
        self.stop = stop
        self.fabric = stepper.fabric
        self.clock = Clock(self.counters.seconds, recipe.train.clock)
        self.sha256 = recipe_sha256(recipe)
        self.saved_step: int | None = self.counters.step or None

    @property
    def counters(self) -> Counters:
        """Where the run stands."""
        return self.stepper.state.counters

    def run(self) -> Yields[Event, None, None]:
        """Train to the end, or until asked to stop; yield what happens.

        Raises:
            FacerenError: If too many steps in a row had gradients that are not finite.
            MachineError: If the disk is full; the last checkpoint is whole.
        """
        log = RunLog(self.folder.path, self.counters.step) if self.fabric.is_global_zero else None
        if log is None:
            stopped = yield from self._steps(None)
        else:
            with closing(log):
                stopped = yield from self._steps(log)
        yield Finished(
            step=self.counters.step,
            images_seen=self.counters.images_seen,
            seconds=self.counters.seconds,
            interrupted=stopped,
            weights=self.folder.last,
        )

    def _steps(self, log: RunLog | None) -> Yields[Event, None, bool]:
        """Yield the events of all steps; return whether the run was asked to stop."""
        done, stopped = self._agree()
        if done >= 1:
            return False
        steps = Steps(
            samples=self.samples,
            first=self.counters.step,
            rank=self.fabric.global_rank,
            processes=self.fabric.world_size,
            passes=self.recipe.train.accumulate,
        )
        pinned = self.fabric.device.type == "cuda"
        batches = iter(build_loader(self.samples, steps, pinned=pinned))
        while done < 1 and not stopped:
            portions = steps.portions(self.counters.step)
            passes = [self._loaded(batches, portion) for portion in portions]
            self.clock.images += portions[0].total * self.recipe.data.views
            result = self.stepper.take(passes, done=done)
            done, stopped = self._agree()
            yield self._progress(result, done, log, last=done >= 1 or stopped)
            if (bad := self.counters.bad_in_a_row) >= self.recipe.train.max_bad_steps:
                if not self.fabric.is_global_zero:
                    raise PeerError(f"{bad} bad steps in a row")
                raise FacerenError(
                    f"the gradients of the last {bad} steps, up to step {self.counters.step}, were "
                    f"not finite; lower train.lr, or set train.precision to fp32; {self._whole()}"
                )
            if self.validator is not None and (done >= 1 or self._every("validate.every")):
                yield self._validate(self.validator, log)
            late = time.monotonic() - self.clock.saved > 60 * self.recipe.train.save_minutes
            if done >= 1 or stopped or late or self._every("train.save_every"):
                yield from self._save()
        return stopped and done < 1

    def _agree(self) -> tuple[float, bool]:
        """Return the share done, and whether to stop, alike in all processes."""
        seconds, stop = self.clock.seconds, float(bool(self.stop))
        if self.fabric.world_size > 1:
            latest = torch.tensor([seconds, stop], device=self.fabric.device)
            latest = self.fabric.all_reduce(latest, reduce_op="max")  # type: ignore[assignment]
            seconds, stop = latest.tolist()
        return progress(self.recipe.train, self.counters.step, seconds), bool(stop)

    def _loaded(self, batches: Iterator[Batch], portion: Portion) -> Pass:
        """Return the next images, on the device."""
        asked = time.monotonic()
        *pixels, whole = next(batches)
        views = self.recipe.data.views
        self.clock.waited += time.monotonic() - asked
        damaged, clean = (
            turned(to_float(images.to(self.fabric.device, non_blocking=True)), views)
            for images in pixels
        )
        # whoever looks at another's image counts none of its faces
        return Pass(damaged, clean, whole.repeat(views) & bool(portion.count), portion)

    def _progress(
        self, result: StepResult, done: float, log: RunLog | None, *, last: bool
    ) -> Progress:
        """Return the event of a step, and write the line of the log that is due."""
        counters, seconds = self.counters, self.clock.seconds
        rate, share = self.clock.rates()
        event = Progress(
            step=counters.step,
            images_seen=counters.images_seen,
            loss=result.loss,
            parts=result.parts,
            gradient=result.gradient,
            lr=result.lr,
            images_per_second=rate,
            data_share=share,
            eta_seconds=seconds * (1 - done) / done if done else 0.0,
            skipped_steps=counters.skipped_steps,
            logged=last or self._every("train.log_every"),
        )
        if event.logged:
            values = asdict(event)
            kept = ("loss", "parts", "gradient", "lr", "images_seen", "skipped_steps")
            timed = ("images_per_second", "data_share")
            if log is not None:
                log.write("train", counters.step, {name: values[name] for name in kept + timed})
            self.clock.new_lap()
        return event

    def _every(self, key: str) -> bool:
        """Return whether the number of steps done is a multiple of a recipe's value."""
        section, _, name = key.partition(".")
        every: int = getattr(getattr(self.recipe, section), name)
        return self.counters.step % every == 0

    def _validate(self, validator: Validator | MarkValidator, log: RunLog | None) -> Validated:
        """Measure the averaged weights, write the sheet, and keep them if they are the best."""
        step = self.counters.step
        measured = validator.measure(self.stepper.state.average)
        score = overall(measured.scores, self.recipe.validate.select)
        best = self.counters.best is None or score > self.counters.best
        sheet = self.folder.sheet(step) if measured.rows else None
        if sheet is not None:
            write_sheet(sheet, measured.rows)
        if best:
            self.counters.best = score
            self._write_weights(self.folder.best)
        if log is not None:
            log.write("validate", step, {**measured.scores, "input": validator.input_scores})
        self.clock.new_lap()
        return Validated(
            step=step,
            scores=measured.scores,
            input_scores=validator.input_scores,
            best=best,
            sheet=sheet,
        )

    def _save(self) -> Iterator[Saved]:
        """Write the weights, then the state, which so is never ahead of anything else."""
        self.clock.saved = time.monotonic()
        self.counters.seconds = self.clock.seconds
        if not self.fabric.is_global_zero:
            return
        self._write_weights(self.folder.last)
        try:
            self.stepper.state.save(self.folder.state)
        except MachineError as error:
            raise MachineError(f"{error}; {self._whole()}") from error
        self.saved_step = self.counters.step
        self.clock.new_lap()
        yield Saved(step=self.counters.step, path=self.folder.state)

    def _write_weights(self, path: Path) -> None:
        info = CheckpointInfo(
            name=self.recipe.name,
            recipe_sha256=self.sha256,
            training_data=self.recipe.training_data,
            licence=self.recipe.licence,
            images_seen=self.counters.images_seen,
        )
        try:
            save_checkpoint(path, self.stepper.state.average, info=info)
        except MachineError as error:
            raise MachineError(f"{error}; {self._whole()}") from error

    def _whole(self) -> str:
        """Return what is left to go on from."""
        if self.saved_step is None:
            return "there is no checkpoint yet"
        return f"the checkpoint of step {self.saved_step} in {self.folder.path} is whole"
