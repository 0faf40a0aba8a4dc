"""The pictures of the paper, made from a benchmark's own faces: its figures 2, 5 and 6.

Figure 5 (section 4.3) is what each stage of a generator contributes, and what it changed.
Shape letters: N batch, H and W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from faceren.arrays import Rgb8
from faceren.bench.output.report import Report
from faceren.bench.quality.ablation import Ablation, PatchRow
from faceren.bench.quality.suite import FaceSet, MethodRow, Quality
from faceren.checks import check_value
from faceren.degradation.files import Resize
from faceren.errors import ShapeError
from faceren.images import read_rgb, to_tensor, to_uint8
from faceren.inference import TorchRestorer
from faceren.networks.generator import START, Generator
from faceren.pages.pictures import Cell, contact_sheet

Mode = Literal["single", "cumulative", "without"]
PLAIN = 0.5
"""The constant guidance of the published figure."""


@dataclass(frozen=True)
class Stage:
    """What a generator made while some of its stages had a constant instead of features."""

    guided: tuple[str, ...]
    """Stages that kept their features, from coarse to fine: the start map and the blocks."""
    passed: Tensor | None
    """What passed through of the input, (N, 3, H, W); None where nothing does."""
    added: Tensor
    """What the decoder made, (N, 3, H, W), not clamped; the sum of both is the output."""


@torch.no_grad()
def stage_outputs(
    network: Generator, faces: Tensor, *, mode: Mode, constant: float = PLAIN
) -> list[Stage]:
    """Return one output for each stage of the generator, from coarse to fine (Fig. 5a).

    The start map is the first of them: it is made of the input, too, and would show it in every
    other one.

    Args:
        network: Any generator; its published figure has the variant ``hifacegan``.
        faces: (N, 3, H, W), RGB in [0, 1].
        mode: ``single``: only this stage has its features (upper row); ``cumulative``: this one
            and all coarser ones (lower row); ``without``: all but this one.
        constant: What replaces the features of the other stages.

    Raises:
        ConfigError: If ``mode`` is none of these.
        ShapeError: If ``faces`` has another shape.
    """
    check_value("mode", mode, Mode)
    names = [START, *network.blocks]
    stages = []
    for index, name in enumerate(names):
        guided = {
            "single": [name],
            "cumulative": names[: index + 1],
            "without": [other for other in names if other != name],
        }[mode]
        constants = {other: constant for other in names if other not in guided}
        passed, added = network.parts(faces, constant_guidance=constants)
        stages.append(Stage(tuple(guided), passed, added))
    return stages


def residual_map(damaged: Tensor, restored: Tensor) -> Tensor:
    """Return what a restoration changed, as an image: 1/2 is nothing (Fig. 5b).

    Args:
        damaged: (N, 3, H, W), RGB in [0, 1].
        restored: The same shape; clamped to [0, 1].

    Returns:
        (N, 3, H, W) in [0, 1]: half the difference, around 1/2.

    Raises:
        ShapeError: If the shapes differ.
    """
    if damaged.shape != restored.shape:
        raise ShapeError(
            f"expected equal shapes, got {tuple(damaged.shape)} and {tuple(restored.shape)}"
        )
    return (restored.clamp(0, 1) - damaged) / 2 + 0.5


SHOWN = 3
"""Faces that a grid shows, a row each."""
SIDE = 192
"""Side of a picture in a sheet, pixels."""


@dataclass(frozen=True)
class Figure:
    """A sheet of pictures."""

    name: str
    """Name of its file, without suffix."""
    title: str
    caption: str
    image: Rgb8


def figures(report: Report, faces: FaceSet, restorer: TorchRestorer, *, size: int) -> list[Figure]:
    """Return every figure that the rows of quality have pictures for.

    Args:
        report: With its rows.
        faces: The clean faces that they were made of.
        restorer: The universal network, for the figure that looks into it.
        size: Shorter side that the faces were degraded at, pixels.

    Raises:
        ImageError: If a picture cannot be read any more.
    """
    rows = report.of(Quality)
    inputs = [row for row in rows if row.kind == "input"]
    if not inputs:
        return []
    networks = {row.task: row for row in reversed(rows) if row.kind == "network"}
    pairs = [(row, networks[row.task]) for row in inputs if row.task in networks]
    shown: list[MethodRow] = [*rows, *report.of(Ablation)]
    damaged = next((row for row in inputs if row.task == "full"), inputs[0])
    network = restorer.checkpoint.network
    return [
        strip(inputs, faces, size),
        *(grid([row for row in shown if row.task == task], faces, size) for task in report.tasks),
        *([stages(damaged, restorer, network)] if isinstance(network, Generator) else []),
        *([residuals(pairs, faces)] if pairs else []),
        systems(
            [damaged, *(row for row in shown if row.task == damaged.task and row != damaged)], faces
        ),
    ]


def strip(inputs: Sequence[Quality], faces: FaceSet, size: int) -> Figure:
    """Return one face and what each task does to it (Fig. 2)."""
    name = faces.names(1)[0]
    cells = [Cell(clean(faces, name, size), "clean")]
    cells += [Cell(read_rgb(row.folder / name), row.task) for row in inputs]
    caption = "One clean face and its degraded twins, as Fig. 2 of the paper shows its tasks."
    return Figure("fig2_tasks", "The tasks", caption, contact_sheet([cells], side=SIDE))


def grid(rows: Sequence[MethodRow], faces: FaceSet, size: int) -> Figure:
    """Return some faces of one task under every method, the clean ones last (Fig. 6).

    Below each face its middle is shown at its own pixels, if it is larger than a picture here.
    """
    task, headers = rows[0].task, [*(row.method for row in rows), "clean"]
    lines = []
    for name in faces.names(SHOWN):
        images = [*(read_rgb(row.folder / name) for row in rows), clean(faces, name, size)]
        lines.append([*(Cell(image) for image in images[:-1]), Cell(images[-1], name)])
        if min(images[-1].shape[:2]) > SIDE:
            lines.append([Cell(middle(image), "1:1") for image in images])
    caption = (
        f"{task}: every method on the same faces, as Fig. 6 of the paper compares its own; below "
        f"each the middle of the face, pixel by pixel."
    )
    sheet = contact_sheet(lines, side=SIDE, headers=headers)
    return Figure(f"fig6_{task}", f"Side by side: {task}", caption, sheet)


def middle(image: Rgb8) -> Rgb8:
    """Return the middle of an image, (192, 192, 3), as its pixels are."""
    top, left = ((length - SIDE) // 2 for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + SIDE, left : left + SIDE])


def stages(row: Quality, restorer: TorchRestorer, network: Generator) -> Figure:
    """Return what each stage of a network adds to a degraded face (Fig. 5a).

    What passes through of the input is shown by itself, in a third line: no stage has made it.
    """
    damaged = to_tensor(read_rgb(row.folder / sorted(row.images)[0])).to(restorer.device)
    restored = to_uint8(restorer.restore(damaged.cpu()))
    lines = [[Cell(to_uint8(damaged.cpu()), row.task)], [Cell(restored, "restored")]]
    modes: tuple[Mode, ...] = ("single", "cumulative")
    for line, mode in zip(lines, modes, strict=True):
        with restorer.autocast():
            outputs = stage_outputs(network, damaged, mode=mode)
        for stage in outputs:
            caption = stage.guided[-1] if mode == "single" else f"to {stage.guided[-1]}"
            plain = 0.0 if stage.passed is None else 0.5
            line.append(Cell(_shown(stage.added + plain), caption))
    if outputs[-1].passed is not None:
        lines.append([Cell(lines[0][0].image, "input")])
        for stage in outputs:
            if stage.passed is not None:
                lines[-1].append(Cell(_shown(stage.passed), f"to {stage.guided[-1]}"))
    caption = (
        "What the decoder adds with the features of one stage only (above), and of it and all "
        "coarser ones (below); the others have a constant, as in Fig. 5(a) of the paper, and so "
        "has the map that it starts from, a stage of its own. A third line shows what passes "
        "through of the input meanwhile."
    )
    sheet = contact_sheet(lines, side=SIDE)
    return Figure("fig5a_stages", "What each stage contributes", caption, sheet)


def _shown(image: Tensor) -> Rgb8:
    return to_uint8(image.float().cpu().clamp(0, 1))


def systems(rows: Sequence[MethodRow], faces: FaceSet) -> Figure:
    """Return what each system changed on one task (Fig. 5b); gray is nothing.

    Args:
        rows: The input's, then those of the systems.
        faces: The clean faces.
    """
    before, *others = rows
    name = faces.names(1)[0]
    damaged = read_rgb(before.folder / name)
    lines = [[Cell(damaged)], [Cell(to_uint8(residual_map(*2 * [to_tensor(damaged)])))]]
    for row in others:
        restored = read_rgb(row.folder / name)
        change = residual_map(to_tensor(damaged), to_tensor(restored))
        for line, image in zip(lines, (restored, to_uint8(change)), strict=True):
            line.append(Cell(image))
    caption = f"{before.task}: each system's face, and what it changed, halved, around gray."
    sheet = contact_sheet(lines, side=SIDE, headers=[row.method for row in rows])
    return Figure("fig5b_systems", "What every system changed", caption, sheet)


def residuals(pairs: Sequence[tuple[Quality, Quality]], faces: FaceSet) -> Figure:
    """Return what a network changed, task by task (Fig. 5b); gray is nothing."""
    name, columns = faces.names(1)[0], []
    for before, after in pairs:
        damaged, restored = (to_tensor(read_rgb(row.folder / name)) for row in (before, after))
        change = to_uint8(residual_map(damaged, restored))
        columns.append([Cell(to_uint8(image)) for image in (damaged, restored)] + [Cell(change)])
    lines = [list(line) for line in zip(*columns, strict=True)]
    headers = [before.task for before, _ in pairs]
    caption = "Degraded, restored, and the difference, halved, around gray, as Fig. 5(b)."
    sheet = contact_sheet(lines, side=SIDE, headers=headers)
    return Figure("fig5b_residuals", "What the network changed", caption, sheet)


def clean(faces: FaceSet, name: str, size: int) -> Rgb8:
    """Return a clean face at the size at which it was degraded.

    Args:
        faces: The set.
        name: Of the degraded twin, a PNG file.
        size: Its shorter side, pixels.
    """
    path = next(i.path for i in faces.found if i.relative.with_suffix(".png").as_posix() == name)
    image = read_rgb(path)
    scaling = Resize.to_side(image, size)
    return image if scaling is None else scaling(image)


def patch_sheet(rows: Sequence[PatchRow]) -> Figure:
    """Return the sheet: a line for each face, as it was enlarged and as each method restored it."""
    methods = list(dict.fromkeys(row.method for row in rows))
    lines: dict[int, list[Cell]] = {}
    for row in rows:
        if row.face not in lines:
            lines[row.face] = [Cell(read_rgb(row.enlarged), f"{row.face}: {row.native} px")]
        lines[row.face].append(Cell(read_rgb(row.restored)))
    caption = "Faces cut at the photograph's own pixels, bicubic to 512, restored (section 5.2)."
    sheet = contact_sheet(list(lines.values()), side=SIDE, headers=["bicubic", *methods])
    return Figure("crops", "Faces of an old photograph", caption, sheet)
