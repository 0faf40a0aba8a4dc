"""The curves of a training run, from its log, as one PNG; matplotlib draws without a screen."""

import importlib.util
import io
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np

from faceren.checks import Json
from faceren.pages.tables import arrow

Curve = tuple[list[float], list[float]]
"""Images seen, and a figure."""

LOSS = "loss"
INPUT = "input"
"""What the validation lines call the figures of the damaged input."""
PANEL = (3.2, 2.5)
"""Width and height of a panel in inches."""
COLOURS = ("#2a6f97", "#c98a2b", "#7b4b94", "#5b8c5a", "#b3403a", "#6b6b6b")
"""One a task, from the first again if there are more."""


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def curves(lines: Sequence[Json]) -> dict[str, dict[str, Curve]]:
    """Return the curves of a log: by panel (``loss`` or a metric), then by task.

    Args:
        lines: Of the log, in its order: ``kind`` train or validate, ``step``, figures by name.

    Returns:
        The curve of the loss is called ``loss``; the figure of the damaged input, a constant, is
        called ``input TASK``. What is not finite is left out.
    """
    train = [line for line in lines if line["kind"] == "train"]
    steps, seen = [line["step"] for line in train], [line["images_seen"] for line in train]
    panels: dict[str, dict[str, Curve]] = {}

    def add(panel: str, curve: str, images: float, value: float | None) -> None:
        if value is not None:
            places, values = panels.setdefault(panel, {}).setdefault(curve, ([], []))
            places.append(images)
            values.append(value)

    for line in train:
        add(LOSS, LOSS, line["images_seen"], line["loss"])
    for line in lines:
        if line["kind"] == "validate" and train:
            images = float(np.interp(line["step"], [0, *steps], [0, *seen]))
            tasks = {k: v for k, v in line.items() if k not in ("kind", "step", INPUT)}
            tasks |= {f"{INPUT} {task}": figures for task, figures in line[INPUT].items()}
            for task, figures in tasks.items():
                for metric, value in figures.items():
                    add(metric, task, images, value)
    return panels


def draw_curves(lines: Sequence[Json]) -> bytes:
    """Return a PNG with a panel for the loss and one for each metric of the validation.

    Args:
        lines: Of the log; a line for each task, the damaged input's figure dashed.
    """
    from matplotlib.figure import Figure

    panels = curves(lines)
    figure = Figure((PANEL[0] * max(1, len(panels)), PANEL[1]), layout="constrained", dpi=110)
    for number, (title, found) in enumerate(panels.items(), start=1):
        axes: Any = figure.add_subplot(1, len(panels), number)
        drawn = {n: ([place / 1000 for place in x], y) for n, (x, y) in found.items()}
        tasks = [name for name in found if not name.startswith(f"{INPUT} ")]
        for task, colour in zip(tasks, cycle(COLOURS), strict=False):
            axes.plot(*drawn[task], color=colour, linewidth=1, marker=".", label=task)
            if f"{INPUT} {task}" in found:
                axes.plot(*drawn[f"{INPUT} {task}"], color=colour, linestyle="--")
        axes.set_title(title if title == LOSS else f"{title} {arrow(title)}", fontsize=9)
        axes.set_xlabel("thousand images seen", fontsize=7)
        axes.tick_params(labelsize=7)
        if tasks != [LOSS]:
            axes.legend(fontsize=7, title="dashed: the input", title_fontsize=7)
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()
