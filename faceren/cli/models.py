"""``faceren models``: the models that ship with faceren."""

from faceren.cli.screen import ScreenOptions


def models(*, shown: ScreenOptions) -> None:
    """List the models that ship with faceren."""
    from faceren.commands.models import models as command

    screen = shown.screen()
    for model in command():
        screen.item(model.to_json())
        if not shown.json:
            screen.show(model.lines())
