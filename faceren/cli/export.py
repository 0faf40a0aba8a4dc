"""``faceren export``: a network for other programs."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from faceren.cli.screen import ScreenOptions


def export(
    *,
    model: Annotated[str, Argument(help="Shipped model or a checkpoint.", metavar="MODEL")],
    output: Annotated[
        Path,
        Option(
            "--output", "-o", help="Ends in .onnx, or for spandrel in .safetensors.", metavar="FILE"
        ),
    ],
    shown: ScreenOptions,
) -> None:
    """Write a network for ONNX Runtime, or for spandrel (ComfyUI)."""
    from faceren.commands import export as command

    shown.screen().say(f"wrote {command.export(model, output)}")
