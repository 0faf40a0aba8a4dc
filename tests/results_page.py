"""The page of results, ``models/BENCHMARK.md``: the paper's systems and ours, trained alike.

``python -m tests.results_page FACES --train OTHER_FACES`` makes it anew: it trains every network of
``models/baselines`` and, on each task, ``models/lean.yaml`` for equal minutes of processor time (in
``runs/`` of the current folder, as ``faceren train`` does), runs ``faceren benchmark`` by both
protocols, and writes the page. The same command goes on where it was stopped.
"""

import argparse
import datetime
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from faceren.assets import DEFAULT_MODEL, packaged_peers, recipe_path, shipped_models
from faceren.bench.request import Request
from faceren.checks import Json
from faceren.cli.benchmark import show_benchmark
from faceren.cli.screen import Screen
from faceren.commands.options import commas
from faceren.commands.train import train
from faceren.files import atomic_write
from faceren.images import find_images, read_rgb, write_png
from faceren.metrics.names import Protocol
from faceren.training.data import evenly
from faceren.training.events import Finished, Started
from faceren.training.recipe_file import load_recipe
from tests.results_text import PAPER_TASKS, Measured, Trained, page

PAGE = Path(__file__).parents[1] / "models" / "BENCHMARK.md"
RUNS, SHOWN, GUIDES, OUTPUT = (Path(name) for name in ("runs", "faces", "guides", "benchmark"))
"""In the current folder: weights, chosen faces, their mirror images, what the benchmark leaves."""
OTHERS = (
    *("arcnn", "ridnet", "vdnet", "deblurgan", "deblurganv2", "edsr"),
    *("srresnet", "superfan", "waveletsr", "srfbn", "esrgan", "gfrnet"),
)
"""Recipes of the paper's systems; each names its task."""
METRICS = ("psnr", "ssim", "ms-ssim", "fed", "lle", "lpips", "niqe")
"""The paper's but for FID, which says nothing of so few faces."""


@dataclass(frozen=True)
class Run:
    """One training: a recipe, a folder, and what differs from the recipe."""

    recipe: str
    name: str
    overrides: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Return the recipe's file."""
        return recipe_path(Path(self.recipe))

    @property
    def task(self) -> str:
        """Return the task that it is trained for."""
        return load_recipe(self.path, self.overrides).data.task


def runs(tasks: Sequence[str] = PAPER_TASKS) -> list[Run]:
    """Return every training for some tasks: each of the paper's systems on its own, and ours."""
    ours = [Run("lean", f"lean-{task}", (f"data.task={task}",)) for task in PAPER_TASKS]
    every = [*(Run(name, name) for name in OTHERS), *ours]
    return [run for run in every if run.task in tasks]


def trained(run: Run, asked: argparse.Namespace) -> Trained:
    """Train one network, or go on, or read what its training was.

    Raises:
        KeyboardInterrupt: If it was stopped; its state is saved.
    """
    kept = RUNS / f"{run.name}.json"
    if kept.is_file():
        return Trained(**json.loads(kept.read_text()))
    overrides = (
        *run.overrides,
        f"name={run.name}",
        f"data.train=[{json.dumps(str(asked.train))}]",
        f"data.max_side={asked.size}",
        "data.workers=0",  # so that the samples' making is in the processor time, too
        "train.clock=cpu",
        f"train.minutes={asked.minutes}",
        "train.precision=bf16",
        "train.warmup=20",
        "train.ema=0.99",
        "validate.every=1000000",
        "validate.images=1",  # nothing is chosen by it
    )
    started, ended = None, None
    for event in train(run.path, overrides=overrides, output=RUNS / run.name):
        started = event if isinstance(event, Started) else started
        ended = event if isinstance(event, Finished) else ended
    assert isinstance(started, Started)
    assert isinstance(ended, Finished)
    if ended.interrupted:
        raise KeyboardInterrupt
    done = Trained(
        run.name,
        run.recipe,
        run.overrides,
        started.parameters,
        started.images,
        ended.step,
        ended.images_seen,
        ended.seconds / 60,
    )
    atomic_write(kept, (json.dumps(asdict(done)) + "\n").encode())
    return done


def chosen_faces(asked: argparse.Namespace) -> None:
    """Copy so many faces, evenly chosen, and write the mirror image of each for guided networks."""
    found = list(find_images([asked.faces]))
    for number in evenly(len(found), asked.limit):
        face = found[number]
        copy, guide = (folder / face.path.name for folder in (SHOWN, GUIDES))
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(face.path, copy)
        write_png(guide.with_suffix(".png"), cv2.flip(read_rgb(face.path), 1))


def parser() -> argparse.ArgumentParser:
    """Return what the command takes."""
    taken = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    taken.add_argument("faces", type=Path, help="clean faces to measure on")
    taken.add_argument("--train", type=Path, required=True, help="other clean faces")
    taken.add_argument("--minutes", type=float, default=6.0, help="processor time of each")
    taken.add_argument("--size", type=int, default=256, help="side of a face, pixels")
    taken.add_argument("--limit", type=int, default=24, help="number of faces")
    taken.add_argument(
        "--tasks", type=commas, default=PAPER_TASKS, help="of these, all if not given"
    )
    taken.add_argument("--only-train", action="store_true", help="stop before the measuring")
    return taken


def measured(asked: argparse.Namespace) -> dict[Protocol, Json]:
    """Run the benchmark by both protocols; return what it found.

    Raises:
        SystemExit: If something failed, after it was said.
    """
    shutil.rmtree(SHOWN, ignore_errors=True)
    shutil.rmtree(GUIDES, ignore_errors=True)
    chosen_faces(asked)
    models = [name for name in shipped_models() if name != DEFAULT_MODEL]
    if "sr4x" in asked.tasks:
        models += [f"sr4x={name}" for name in packaged_peers()]
    for run in runs(asked.tasks):
        models.append(f"{run.task}={RUNS / run.name / 'last.safetensors'}")
    found: dict[Protocol, Json] = {}
    protocols: tuple[Protocol, ...] = ("standard", "paper")
    for protocol in protocols:
        request = Request(
            clean=SHOWN,
            suite="quality",
            tasks=asked.tasks,
            models=tuple(models),
            metrics=METRICS,
            protocol=protocol,
            size=asked.size,
            guides=GUIDES,
            output=OUTPUT,
            device="cpu",
        )
        report = show_benchmark(request, Screen())
        if report.failed:
            raise SystemExit("something was left out that was asked for: see above")
        found[protocol] = json.loads(json.dumps(report.to_json(), default=str))
    return found


def main(arguments: Sequence[str]) -> None:
    """Train, measure, write the page."""
    asked = parser().parse_args(arguments)
    done = []
    for run in runs(asked.tasks):
        done.append(trained(run, asked))
        sys.stdout.write(f"{done[-1]}\n")
        sys.stdout.flush()
    if asked.only_train:
        return
    # the folders' own names are nobody's business
    command = (
        f"python -m tests.results_page FACES --train OTHER_FACES --minutes {asked.minutes:g} "
        f"--size {asked.size} --limit {asked.limit} --tasks {','.join(asked.tasks)}"
    )
    text = page(
        Measured(
            command=command,
            date=str(datetime.datetime.now(datetime.UTC).date()),
            trained=done,
            reports=measured(asked),
            shipped=shipped_models(),
        )
    )
    atomic_write(PAGE, text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])
