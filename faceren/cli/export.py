"""``faceren export``: a network as an ONNX file."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from faceren.cli.screen import ScreenOptions


def export(
    *,
    model: Annotated[str, Argument(help="Shipped model or a checkpoint.", metavar="MODEL")],
    output: Annotated[Path, Option("--output", "-o", help="The .onnx file.", metavar="FILE")],
    shown: ScreenOptions,
) -> None:
    """Write a network as an ONNX file, for other programs."""
    from faceren.commands import export as command

    shown.screen().say(f"wrote {command.export(model, output)}")
