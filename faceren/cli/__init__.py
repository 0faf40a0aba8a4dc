"""Command line: a module for each command with its options, its call and what it shows."""

import logging
import sys
import threading
from typing import Annotated

from typer import Exit, Option, Typer, echo

import faceren
from faceren.cli.benchmark import benchmark
from faceren.cli.degrade import degrade
from faceren.cli.evaluate import evaluate
from faceren.cli.export import export
from faceren.cli.parameters import with_options
from faceren.cli.restore import restore
from faceren.cli.screen import Screen
from faceren.cli.train import train
from faceren.errors import EXTRAS, FacerenError, MachineError, may_pass, not_installed, told

INTERRUPTED = 130

app = Typer(
    name="faceren",
    help="Restore faces in old photographs; degrade, train, evaluate, compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it loads in half the time, and reads well in a pipe
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        echo(f"faceren {faceren.__version__}")
        raise Exit


@app.callback()
def _root(
    version: Annotated[
        bool, Option("--version", "-V", callback=_show_version, is_eager=True, help="Show version.")
    ] = False,
    debug: Annotated[
        bool,
        Option("--debug", help="Show where an unforeseen error came from.", envvar="FACEREN_DEBUG"),
    ] = False,
) -> None:
    """Restore faces in old photographs; degrade, train, evaluate, compare."""
    if debug:
        handler = logging.StreamHandler()  # to stderr
        logging.getLogger("faceren").addHandler(handler)
        logging.getLogger("faceren").setLevel(logging.DEBUG)


for command in (restore, degrade, train, evaluate, benchmark, export):
    app.command()(with_options(command))


def main() -> None:
    """Run the app; an expected error is one line and an exit status, a bug keeps its traceback."""
    threading.excepthook = _thread_ended
    try:
        app([hyphens(argument) for argument in sys.argv[1:]], prog_name="faceren")
    except FacerenError as error:
        Screen().error(str(error))
        raise SystemExit(error.exit_status) from None
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        Screen().error(f"this needs {not_installed(module)}")
        raise SystemExit(MachineError.exit_status) from None
    except (OSError, MemoryError) as error:
        if not may_pass(error):
            raise
        logging.getLogger("faceren").debug("the machine failed", exc_info=error)
        Screen().error(f"{told(error)}; put that right, then the same command goes on")
        raise SystemExit(MachineError.exit_status) from None
    except SystemExit as exit_:
        if exit_.code == INTERRUPTED:
            Screen().error("interrupted; the same command goes on where it stopped")
        raise


def _thread_ended(found: threading.ExceptHookArgs) -> None:
    """Tell of a thread that a bug has ended; whoever waits for it tells of the disk."""
    if may_pass(found.exc_value):
        logging.getLogger("faceren").debug("the machine failed", exc_info=found.exc_value)
    else:
        threading.__excepthook__(found)


def hyphens(argument: str) -> str:
    """Accept the peers' underscores: ``--batch_size=4`` is ``--batch-size=4``."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value
