"""``faceren open``: the review page as a page that acts, in the browser."""

import webbrowser
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from faceren.cli.screen import Screen, ScreenOptions
from faceren.commands.options import RunOptions
from faceren.restoration.options import RestoreOptions

Port = Annotated[int, Option(help="Where to serve it; 0: a free one.", min=0, max=65535)]
Idle = Annotated[
    float, Option(help="Minutes without a request after which it ends; 0: never.", min=0)
]
Browser = Annotated[bool, Option("--browser/--no-browser", help="Open the browser.")]


def open_page(
    *,
    output: Annotated[
        Path, Argument(help="Folder that restore wrote, or a new one.", metavar="OUT")
    ],
    port: Port = 0,
    idle: Idle = 60.0,
    browser: Browser = True,
    options: RestoreOptions,
    how: RunOptions,
    shown: ScreenOptions,
) -> None:
    """Look at restored photos in the browser, and act on them there.

    What you tick there is done at once.
    The page is for this computer alone. Photos that you drop onto it are restored into OUT.
    """
    screen = shown.screen()
    raise Exit(show_open(output, options, how, screen, port=port, idle=idle, browser=browser))


def show_open(
    output: Path,
    options: RestoreOptions,
    how: RunOptions,
    screen: Screen,
    *,
    port: int = 0,
    idle: float = 60.0,
    browser: bool = True,
) -> int:
    """Serve the page until it ends; return the exit status."""
    with screen.loading():
        from faceren.commands.review import review
        from faceren.runs.manifest import MANIFEST_NAME
        from faceren.server.serve import serve

    def on_open(address: str) -> None:
        screen.item({"address": address})
        screen.say(f"{output} is open at {address}; end it with Ctrl-C")
        if browser and not webbrowser.open(address):
            screen.say("no browser was found: open that address in one of this computer")

    ended = serve(output, options, how, port=port, idle_minutes=idle, on_open=on_open)
    if (output / MANIFEST_NAME).exists():
        review(output, check="there", max_pixels=how.max_pixels)  # the page from disk is current
    screen.say("nobody looked for a while: ended" if ended == "idle" else "ended")
    return 0
