"""``faceren export``: a network as an ONNX file."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from faceren.cli.parameters import Quiet
from faceren.cli.screen import Screen


def export(
    *,
    model: Annotated[str, Argument(help="Shipped model or a checkpoint.", metavar="MODEL")],
    output: Annotated[Path, Option("--output", "-o", help="The .onnx file.", metavar="FILE")],
    quiet: Quiet = False,
) -> None:
    """Write a network as an ONNX file, for other programs."""
    from faceren.commands import export as command

    screen = Screen(quiet=quiet)
    screen.say(f"wrote {command.export(model, output)}")
