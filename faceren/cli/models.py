"""``faceren models`` and ``faceren export``: what ships, and a network for other programs."""

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
    from faceren.commands import models as command

    shown.screen().say(f"wrote {command.export(model, output)}")


def models(*, shown: ScreenOptions) -> None:
    """List the models that ship with faceren."""
    from faceren.commands.models import models as command

    screen = shown.screen()
    for model in command():
        screen.item(model.to_json())
        if not shown.json:
            screen.show(model.lines())
