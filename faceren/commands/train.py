"""``faceren train``: a recipe in, a run folder out; the same command goes on where it stopped."""

from collections.abc import Generator as Yields
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

import cv2

from faceren.assets import recipe_path
from faceren.files import atomic_write
from faceren.pages.tables import can_draw, draw_curves
from faceren.runs.folder import locked
from faceren.training.events import LOG_NAME, Event, Started, Validated, read_log
from faceren.training.loop import Loop, stop_on_signals
from faceren.training.processes import Processes, build_fabric, joined, use_bf16
from faceren.training.recipe import Recipe
from faceren.training.recipe_file import load_recipe, recipe_sha256
from faceren.training.samples import SampleSet
from faceren.training.setup import (
    ImageSets,
    build_stepper,
    build_validator,
    check_division,
    initial_network,
    leaves_unused,
    notes,
    read_sets,
    teachers_of,
    why_inseparable,
)
from faceren.training.state import DIGITS, RunFolder, inputs_of
from faceren.training.step import Stepper
from faceren.training.validation import MarkValidator, Validator

Result = TypeVar("Result")

RUNS = Path("runs")
"""Where run folders go by default."""


def train(
    recipe: Path,
    *,
    overrides: Sequence[str] = (),
    output: Path | None = None,
    device: str = "auto",
    allow_change: bool = False,
) -> Iterator[Event]:
    """Train a network as a recipe says, or go on training it.

    With ``torchrun`` every process calls this; only the first one writes and yields. Validations
    leave sheets and, if matplotlib is installed, ``curves.png`` in the run folder.

    Args:
        recipe: YAML file, or the name of a recipe that ships with faceren.
        overrides: ``section.key=value`` each, in place of what the recipe says.
        output: Run folder; default ``runs/NAME`` with the recipe's name. If a checkpoint is in
            it, the run goes on from there.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        allow_change: Go on though recipe, images, teachers or a loss's weights are not the run's.

    Yields:
        ``Reading`` while images are read, ``Started``, then ``Progress`` for each step with
        ``Validated`` and ``Saved`` between, at last ``Finished``; ``interrupted`` is true there if
        SIGINT or SIGTERM ended the run, after a checkpoint.

    Raises:
        ConfigError: If the recipe, the folder, the images, ``init`` or a teacher do not
            fit; before anything is built or written.
        MachineError: If a device or weights are missing, the disk is full, or the folder is in use.
        FacerenError: If too many steps in a row had gradients that are not finite.
        PeerError: If another process failed: that one tells why.
    """
    with joined() as processes:
        with processes.together():
            plan = load_recipe(recipe_path(recipe), overrides)
            folder = RunFolder(output or RUNS / plan.name)
            folder.check(plan, allow_change=allow_change)
            generator, teachers = initial_network(plan), teachers_of(plan)
            cv2.setNumThreads(0)  # its threads would compete with those of torch
            unused = leaves_unused(plan)
            fabric = build_fabric(device, plan.train.precision, processes, unused=unused)
            check_division(plan, generator, processes.count)
            sets = yield from (read_sets(plan) if processes.first else _silently(read_sets(plan)))
        stepper = build_stepper(plan, generator, teachers, fabric)
        with ExitStack() as held:
            with processes.together():
                if processes.first:
                    held.enter_context(locked(folder.path))
                inputs = inputs_of(plan, sets.training)
                stepper.state.go_on(folder.state, inputs, allow_change=allow_change)
            with processes.together():
                _check_alike(processes, plan, stepper)
                validator = None
                if processes.first:
                    validator = build_validator(sets.validation, plan, fabric.device)
                    folder.begin(plan)
            if processes.first:
                yield _started(plan, folder, stepper, sets)
            yield from _trained(plan, folder, stepper, sets, validator, processes)


def _check_alike(processes: Processes, plan: Recipe, stepper: Stepper) -> None:
    """Raise MachineError if other processes begin elsewhere, or with other inputs."""
    recipe = {"recipe": recipe_sha256(plan)[:DIGITS]}
    step = {"step of the run": stepper.state.counters.step}
    processes.check_alike(step | recipe | stepper.state.inputs)


def _trained(
    plan: Recipe,
    folder: RunFolder,
    stepper: Stepper,
    sets: ImageSets,
    validator: Validator | MarkValidator | None,
    processes: Processes,
) -> Iterator[Event]:
    """Take the steps; yield what the first process does."""
    samples = SampleSet(
        sets.training, plan.data, plan.seed, plan.train.batch, plan.detector is not None
    )
    with stop_on_signals() as stop, processes.apart():
        steps = Loop(plan, folder, stepper, samples, validator, stop).run()
        yield from (_with_curves(steps, folder) if processes.first else _silently(steps))


def _with_curves(events: Yields[Event, None, None], folder: RunFolder) -> Iterator[Event]:
    """Pass the events on; draw the curves anew after each validation, if matplotlib is there."""
    with closing(events):  # which closes the log: on a full disk that fails, too
        for event in events:
            if isinstance(event, Validated) and can_draw():
                atomic_write(folder.curves, draw_curves(read_log(folder.path / LOG_NAME)))
            yield event


def _silently(events: Yields[Any, None, Result]) -> Yields[Any, None, Result]:
    """Do the work without telling."""
    yield from ()  # so that this is a generator, too
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def _started(plan: Recipe, folder: RunFolder, stepper: Stepper, sets: ImageSets) -> Started:
    generator, fabric = stepper.state.generator, stepper.fabric
    told = notes(plan, sets, fabric.device)
    if fabric.world_size > 1 and (why := why_inseparable(generator)):
        told += (f"each process looks at its share of a batch alone: this is {why}",)
    return Started(
        folder=folder.path,
        step=stepper.state.counters.step,
        steps=plan.train.steps,
        minutes=plan.train.minutes,
        device=str(fabric.device),
        processes=fabric.world_size,
        precision="bf16" if use_bf16(plan.train.precision, fabric.device) else "fp32",
        parameters=sum(parameter.numel() for parameter in generator.parameters()),
        images=len(sets.training),
        validation_images=len(sets.validation),
        skipped=sets.training.skipped + sets.validation.skipped,
        notes=told,
    )
