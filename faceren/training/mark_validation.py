"""Measure a detector of marks on pictures that are not trained on, always with the same damage.

Shape letters: S side of the validation picture in pixels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from faceren.arrays import Rgb8
from faceren.degradation import apply, apply_traced, draw_pair, item_seed
from faceren.training.data import Images
from faceren.training.events import Scores
from faceren.training.marks import target_of
from faceren.training.recipe import Recipe
from faceren.training.samples import Framing, frame, to_float
from faceren.training.validation import Case, Measured

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
