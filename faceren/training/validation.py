"""Measure the averaged weights on images that are not trained on, damaged always alike.

A network is measured by the distance to what is clean, a detector of marks by the marks it finds.
Shape letters: N batch, S side of the validation image in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from faceren.arrays import Rgb8
from faceren.assets import asset
from faceren.degradation import apply, apply_traced, draw_pair, item_seed
from faceren.images import to_uint8, write_png
from faceren.metrics.fidelity import KnownFace, know_face, psnr, ssim, why_no_fed
from faceren.networks.baselines.baseline import with_guide
from faceren.networks.perceptual import LpipsAlexNet
from faceren.training.data import Images
from faceren.training.events import Scores
from faceren.training.losses import target_of
from faceren.training.recipe import Recipe
from faceren.training.samples import Framing, frame, to_float

GAP = 8
"""White pixels between the pictures of a sheet."""
FACES = 12
"""Images of each task whose FED is measured: a face takes dlib longer than the network."""


@dataclass(frozen=True)
class Case:
    """One validation pair."""

    task: str
    damaged: Rgb8
    """Both are (S, S, 3)."""
    clean: Rgb8
    face: KnownFace | None = None
    """The face of the clean image, if FED is measured on this pair."""


@dataclass(frozen=True)
class Measured:
    """One validation."""

    scores: dict[str, Scores]
    """Means of the output, by task."""
    rows: list[tuple[Rgb8, Rgb8, Rgb8]]
    """Input, output, clean: the rows of the sheet."""


def make_cases(images: Images, recipe: Recipe) -> list[Case]:
    """Return the validation pairs: every image under every task, its damage seeded by its name.

    The first FACES of each task have their face for FED, if dlib is installed and finds it.
    """
    size, cases = recipe.validate.size, []
    compared = 0 if why_no_fed() else FACES
    for task in recipe.validate.tasks or (recipe.data.task,):
        for number, entry in enumerate(images.entries):
            clean = frame(images.read(number), Framing(size / entry.short), size)
            pair = draw_pair(task, seed=item_seed(recipe.seed, entry.key), size=size)
            target = apply(clean, pair.tone)
            face = know_face(target) if number < compared else None
            cases.append(Case(task, apply(target, pair.damage), target, face))
    return cases


class Validator:
    """Measures a generator on fixed pairs.

    Args:
        cases: See ``make_cases``.
        recipe: For the rows of the sheet.
        device: Where to compute.
    """

    def __init__(self, cases: Sequence[Case], recipe: Recipe, device: torch.device) -> None:
        self.cases = cases
        self.sheet = recipe.validate.sheet
        self.device = device
        self.lpips = LpipsAlexNet(asset("lpips-alexnet")).eval().to(device)
        self.input_scores = self.measure(None).scores
        """What doing nothing would score, by task."""

    @torch.no_grad()
    def measure(self, generator: nn.Module | None) -> Measured:
        """Return scores and sheet rows of a generator in ``eval()``, or of the input if None.

        One image at a time, in float32, so that neither neighbours nor precision decide.
        """
        found: dict[str, list[Scores]] = {}
        rows = []
        for case in self.cases:
            pair = torch.from_numpy(np.stack([case.damaged, case.clean])).to(self.device)
            damaged, clean = to_float(pair).chunk(2)
            output = damaged
            if generator is not None:
                output = generator(with_guide(generator, damaged, clean)).clamp(0, 1)
            scores = found.setdefault(case.task, [])
            if len(scores) < self.sheet and generator is not None:
                rows.append((case.damaged, to_uint8(output.nan_to_num()), case.clean))
            scored = {
                "psnr": float(psnr(output, clean)),
                "ssim": float(ssim(output, clean)),
                "lpips": float(self.lpips(output, clean)),
            }
            if case.face is not None:
                scored["fed"] = case.face.fed(to_uint8(output.nan_to_num()))
            scores.append(scored)
        means: dict[str, Scores] = {}
        for task, scores in found.items():
            for name in dict.fromkeys(name for one in scores for name in one):
                figures = [one[name] for one in scores if name in one]  # not all have a face
                means.setdefault(task, {})[name] = float(np.mean(figures))
        return Measured(means, rows)


def overall(scores: dict[str, Scores], select: str) -> float:
    """Return the mean over tasks of what selects the best weights; higher is better."""
    mean = float(np.mean([one[select] for one in scores.values()]))
    return -mean if select == "lpips" else mean


def write_sheet(path: Path, rows: Sequence[tuple[Rgb8, ...]]) -> None:
    """Write pictures side by side, one row an image, as a PNG."""
    height, width = rows[0][0].shape[:2]
    across, down = width + GAP, height + GAP
    sheet = np.full((down * len(rows) + GAP, across * len(rows[0]) + GAP, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * down + GAP, x * across + GAP
            sheet[top : top + height, left : left + width] = picture
    write_png(path, sheet)


CERTAIN = 0.5
"""Probability from which a pixel counts as marked."""


def make_mark_cases(images: Images, recipe: Recipe) -> list[Case]:
    """Return every image under every task, its damage seeded by its name; ``clean`` is the target.

    Args:
        images: Those to validate on.
        recipe: Which tasks, and which size.
    """
    size, cases = recipe.validate.size, []
    for task in recipe.validate.tasks or (recipe.data.task,):
        for number, entry in enumerate(images.entries):
            # pixels as they are, where there are enough: marks have no size of their own
            scale = max(size / entry.short, min(1.0, 1.5 * size / entry.short))
            clean = frame(images.read(number), Framing(scale), size)
            pair = draw_pair(task, seed=item_seed(recipe.seed, entry.key), size=size)
            worn = apply_traced(apply(clean, pair.tone), pair.damage)
            cases.append(Case(task, worn.image, target_of(worn.marks)))
    return cases


class MarkValidator:
    """Measures a detector on fixed pictures.

    Args:
        cases: See ``make_mark_cases``.
        recipe: For the rows of the sheet.
        device: Where to compute.
    """

    def __init__(self, cases: Sequence[Case], recipe: Recipe, device: torch.device) -> None:
        self.cases = cases
        self.sheet = recipe.validate.sheet
        self.device = device
        tasks = dict.fromkeys(case.task for case in cases)
        self.input_scores: dict[str, Scores] = {task: _scores(0, 0, 0) for task in tasks}
        """What finding nothing would score, by task."""

    @torch.no_grad()
    def measure(self, detector: nn.Module) -> Measured:
        """Return precision, recall and F1 of the counted pixels of all pictures, and sheet rows.

        Args:
            detector: In ``eval()``; of (N, 3, S, S) it makes logits (N, 1, S, S).
        """
        counts: dict[str, NDArray[np.int64]] = {}
        rows: list[tuple[Rgb8, Rgb8, Rgb8]] = []
        for case in self.cases:
            pair = torch.from_numpy(np.stack([case.damaged, case.clean])).to(self.device)
            damaged, target = to_float(pair).chunk(2)
            share = detector(damaged).sigmoid()
            marked, counted = target[:, :1] > 0, target[:, 1:2] > 0
            found = (share >= CERTAIN) & counted
            marked = marked & counted
            count = counts.setdefault(case.task, np.zeros(3, np.int64))
            count += [int(x.sum()) for x in (found & marked, found, marked)]
            if len(rows) < self.sheet:
                gray = (share[0, 0] * 255).round().to(torch.uint8).cpu().numpy()
                shown = np.where(case.clean[..., 1] > 0, case.clean[..., 0], 128)
                rows.append((case.damaged, _rgb(gray), _rgb(shown.astype(np.uint8))))
        return Measured({task: _scores(*count.tolist()) for task, count in counts.items()}, rows)


def _rgb(plane: NDArray[np.uint8]) -> Rgb8:
    return np.repeat(plane[..., None], 3, 2)


def _scores(both: int, found: int, marked: int) -> Scores:
    precision, recall = both / max(1, found), both / max(1, marked)
    f1 = 2 * both / max(1, found + marked)
    return {"precision": precision, "recall": recall, "f1": f1}
