"""Training samples: each a pure function of (seed, index), so that runs can be repeated.

Neither the batch, nor the process that makes a sample, nor what was drawn before decides anything.
Letters: N batch, S side of the training image in pixels.
"""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from faceren.arrays import Rgb8
from faceren.degradation import SINGLE_TASKS, apply, apply_traced, draw_pair, item_seed
from faceren.errors import ImageError
from faceren.training.data import Images
from faceren.training.losses import target_of
from faceren.training.processes import Portion, divided
from faceren.training.recipe import DataRecipe

SHRINKING = 0.75
"""Below this scale an image is shrunk by area averaging before it is warped."""


@dataclass(frozen=True)
class Framing:
    """Which part of an image a sample shows."""

    scale: float
    """Output pixels per image pixel."""
    angle: float = 0.0
    """Degrees, counter-clockwise."""
    right: float = 0.0
    """Shift of the image's centre against the output's, output pixels."""
    down: float = 0.0
    mirrored: bool = False
    quarters: int = 0
    """Quarter turns at the end, counter-clockwise."""


def frame(image: Rgb8, framing: Framing, size: int) -> Rgb8:
    """Return the framed part, (S, S, 3); what lies outside the image is its reflection.

    Args:
        image: (H, W, 3).
        framing: Which part; scale 1 without shift or rotation copies pixels unchanged if the
            sides of image and output are both even or both odd.
        size: S.
    """
    scale = framing.scale
    if scale < SHRINKING:
        sides = [max(1, round(n * scale)) for n in image.shape[1::-1]]
        image = np.asarray(cv2.resize(image, sides, interpolation=cv2.INTER_AREA), np.uint8)
        scale = 1.0
    height, width = image.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, framing.angle, scale)
    matrix[0, 2] += (size - 1) / 2 - centre[0] + framing.right
    matrix[1, 2] += (size - 1) / 2 - centre[1] + framing.down
    framed = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    framed = np.rot90(framed[:, ::-1] if framing.mirrored else framed, framing.quarters)
    return np.ascontiguousarray(framed, np.uint8)


@dataclass(frozen=True)
class SampleSet(Dataset[tuple[Rgb8, Rgb8, bool]]):
    """Every sample that a recipe can draw, by index from 0 without end."""

    images: Images
    recipe: DataRecipe
    seed: int
    batch: int = 1
    """Indices that each step takes up, though a large one uses fewer."""
    detects: bool = False
    """Whether the target is which pixels are marked, rather than the picture without damage."""

    def large(self, step: int) -> bool:
        """Return whether the images of a step are large, as its number alone decides."""
        share = self.recipe.large
        return share > 0 and bool(np.random.default_rng([self.seed, step, 1]).random() < share)

    def images_in(self, step: int) -> int:
        """Return how many images a step has: ``batch``, or large ones of about as many pixels."""
        pixels = (self.recipe.large_size / self.recipe.size) ** 2
        return max(1, round(self.batch / pixels)) if self.large(step) else self.batch

    def __getitem__(self, index: int) -> tuple[Rgb8, Rgb8, bool]:
        """Return the damaged input and the target, (S, S, 3), and whether the face is whole.

        Raises:
            ImageError: If none of the images can be read any more.
        """
        rng = np.random.default_rng([self.seed, index])
        large = self.large(index // self.batch)
        size = self.recipe.large_size if large else self.recipe.size
        crop = bool(rng.random() < self.recipe.crops) and not large
        pool: Sequence[int] = range(len(self.images))
        if crop:
            pool = self._to_crop or pool
        elif large:
            pool = self._filling
        elif self.recipe.weights:
            share = [w * bool(f) for w, f in zip(self.recipe.weights, self._folders, strict=True)]
            pool = self._folders[rng.choice(len(share), p=np.array(share) / sum(share))]
        number = pool[int(rng.integers(len(pool)))]
        image, number = self._read(number)
        framing, whole = self._framing(rng, image, size, crop=crop)
        clean = frame(image, framing, size)
        seed = int(rng.integers(2**53))
        if self.recipe.fixed_damage:
            seed = item_seed(self.seed, self.images.entries[number].key)
        pair = draw_pair(self._task(rng), seed=seed, size=whole)
        target = apply(clean, pair.tone)
        if self.detects:
            worn = apply_traced(target, pair.damage)
            return worn.image, target_of(worn.marks), not crop
        return apply(target, pair.damage), target, not crop

    def _task(self, rng: np.random.Generator) -> str:
        """Return what damages a sample: ``full``, a single one of the paper's, or the task."""
        drawn = rng.random()
        if drawn < self.recipe.full:
            return "full"
        if drawn < self.recipe.full + self.recipe.single:
            return SINGLE_TASKS[int(rng.integers(len(SINGLE_TASKS)))]
        return self.recipe.task

    @cached_property
    def _to_crop(self) -> list[int]:
        """Numbers of the images that fill the output at every scale of a crop."""
        wide = self.recipe.size / self.recipe.crop_zoom[0]
        return [n for n, entry in enumerate(self.images.entries) if entry.short >= wide]

    @cached_property
    def _filling(self) -> list[int]:
        """Numbers of the images that fill a large output; ``read_sets`` ensures that some do."""
        entries = enumerate(self.images.entries)
        return [n for n, entry in entries if entry.short >= self.recipe.large_size]

    @cached_property
    def _folders(self) -> list[list[int]]:
        """Numbers of the images of each folder."""
        folders: list[list[int]] = [[] for _ in self.recipe.train]
        for number, entry in enumerate(self.images.entries):
            folders[entry.folder].append(number)
        return folders

    def _read(self, number: int) -> tuple[Rgb8, int]:
        """Return an image, or the next readable one if its file broke since the run began."""
        for _ in range(len(self.images)):
            try:
                return self.images.read(number), number
            except ImageError:
                number = (number + 1) % len(self.images)
        raise ImageError("data.train: none of the images can be read any more; is the disk there?")

    def _framing(
        self, rng: np.random.Generator, image: Rgb8, size: int, *, crop: bool
    ) -> tuple[Framing, int]:
        """Return the framing and the shorter side that the whole image has at its scale."""
        recipe, short = self.recipe, min(image.shape[:2])
        least = size / short  # the whole face fills the output
        scale = rng.uniform(*recipe.zoom) * least
        room = [recipe.shift * size] * 2
        if crop and short * recipe.crop_zoom[0] >= size:
            scale = rng.uniform(*recipe.crop_zoom)
            room = [(n * scale - size) / 2 for n in image.shape[1::-1]]
        right, down = (float(rng.uniform(-n, n)) for n in room)
        angle = float(rng.normal(0, recipe.rotation)) if recipe.rotation else 0.0
        mirrored = bool(rng.random() < recipe.flip)
        quarters = int(rng.integers(1, 4)) if recipe.turns and rng.random() < recipe.turns else 0
        framing = Framing(float(scale), angle, right, down, mirrored, quarters)
        return framing, max(1, round(short * scale))


@dataclass(frozen=True)
class Steps:
    """The sample indices of each step from ``first`` on: those of one process, pass by pass.

    A process for which a step has no image gets one of another's, so that it takes part.
    """

    samples: SampleSet
    """Its ``batch`` is that of all processes; a multiple of ``processes``."""
    first: int
    rank: int
    processes: int
    passes: int = 1
    """Passes in which a process takes its images of a step, one list each."""

    def portions(self, step: int) -> list[Portion]:
        """Return which of a step's images this process takes, by pass."""
        return divided(self.samples.images_in(step), self.processes, self.passes)[self.rank]

    def __iter__(self) -> Iterator[list[int]]:
        for step in count(self.first):
            for portion in self.portions(step):
                start = step * self.samples.batch + portion.first
                yield list(range(start, start + max(1, portion.count)))


Batch = list[Tensor]
"""Damaged and clean, (N, S, S, 3) uint8; and for each, (N,) bool, whether the face is whole."""


def build_loader(samples: SampleSet, steps: Steps, *, pinned: bool) -> "DataLoader[Any]":
    """Return the batches of the steps, in order, made by ``data.workers`` processes.

    Args:
        samples: Where they come from.
        steps: Which of them.
        pinned: Put them into page-locked memory, for a GPU.
    """
    workers = samples.recipe.workers
    forks = workers and "fork" in multiprocessing.get_all_start_methods()
    return DataLoader(
        samples,
        batch_sampler=steps,  # endless, so it has no length
        num_workers=workers,
        worker_init_fn=_start_worker,
        pin_memory=pinned,
        # forked processes share the decoded images; others would each get a copy
        multiprocessing_context="fork" if forks else None,
        prefetch_factor=4 if workers else None,
        persistent_workers=bool(workers),
    )


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    # a signal to the whole group means the main process, which ends its workers itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def turned(images: Tensor, views: int) -> Tensor:
    """Return (N, C, S, S) images so many times, (views * N, C, S, S), turned by a quarter more."""
    if views == 1:
        return images
    return torch.cat([images.rot90(quarters, (2, 3)) for quarters in range(views)])


def to_float(images: Tensor) -> Tensor:
    """Return (N, S, S, 3) uint8 as (N, 3, S, S) float32 in [0, 1], channels-last in memory."""
    return images.permute(0, 3, 1, 2).float().div(255)
