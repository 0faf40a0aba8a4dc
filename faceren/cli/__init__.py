"""Command line: a module for each command with its options, its call and what it shows."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Annotated, Any

from typer import Context, Exit, Option, Typer, echo

import faceren
from faceren.checks import did_you_mean
from faceren.cli.benchmark import benchmark
from faceren.cli.degrade import degrade
from faceren.cli.evaluate import evaluate
from faceren.cli.models import export, models
from faceren.cli.open import open_page
from faceren.cli.parameters import PREFIX, RENAMED, WIDEST, Command, with_options
from faceren.cli.restore import restore
from faceren.cli.screen import Screen, end_log
from faceren.cli.train import train
from faceren.errors import (
    EXTRAS,
    FacerenError,
    MachineError,
    PeerError,
    may_pass,
    not_installed,
    told,
)

INTERRUPTED = 130
QUIET = logging.NullHandler()
"""Takes what libraries log, which would else go to stderr."""
EXAMPLES: dict[Callable[..., None], str] = {
    restore: """\
faceren restore old_photos/ -o out/
faceren restore old_photos/ -o out/ --preset gentle --dry-run""",
    open_page: """\
faceren open out/
faceren open out/ --no-browser --port 8765""",
    degrade: """\
faceren degrade faces/ --task full -o damaged/
faceren degrade faces/ --sheet sheet.png""",
    train: """\
faceren train compact -O data.train=faces/ -o runs/compact
faceren train my_recipe.yaml -O train.lr=1e-4""",
    evaluate: """\
faceren evaluate renewed/ --metrics psnr,ssim,lpips
faceren evaluate renewed/ --reference faces/ --html scores.html""",
    benchmark: """\
faceren benchmark --suite speed
faceren benchmark faces/ --suite quality --tasks full,denoise""",
    export: """\
faceren export base -o base.onnx
faceren export runs/compact/best.safetensors -o mine.onnx""",
    models: """\
faceren models
faceren models --json""",
}
"""Two of each command, which its help shows."""

app = Typer(
    name="faceren",
    help="Restore faces in old photographs; degrade, train, evaluate, compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: it loads in half the time, and reads well in a pipe
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
)


def _show_version(value: bool) -> None:
    if value:
        echo(f"faceren {faceren.__version__}")
        raise Exit


@app.callback()
def _root(
    context: Context,
    *,
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
        for name in ("faceren", "py.warnings"):
            logging.getLogger(name).addHandler(handler)
        logging.getLogger("faceren").setLevel(logging.DEBUG)
    for problem in unknown_variables(context.command):
        Screen().say(f"warning: {problem}")


for command, examples in EXAMPLES.items():
    name = command.__name__.removesuffix("_page")
    app.command(name, cls=Command, epilog=examples)(with_options(command))


def unknown_variables(group: Any) -> list[str]:
    """Return what is wrong with the environment variables whose names begin like ours.

    Args:
        group: The commands, as Typer made them.
    """
    options = [option for command in group.commands.values() for option in command.params]
    known = set()
    for option in (*options, *group.params):
        names = [option.envvar] if isinstance(option.envvar, str) else option.envvar
        known |= set(names or ())
    found = [n for n in os.environ if n.startswith(PREFIX) and not n.startswith(f"{PREFIX}TEST_")]
    return [
        f"the variable {name} is no option of any command{did_you_mean(name, sorted(known))}"
        for name in sorted(set(found) - known)
    ]


def main() -> None:
    """Run the app; an expected error is one line and an exit status, a bug keeps its traceback."""
    threading.excepthook = _thread_ended
    logging.captureWarnings(capture=True)  # a library's warnings are for --debug
    logging.getLogger().addHandler(QUIET)
    try:
        app([hyphens(argument) for argument in sys.argv[1:]], prog_name="faceren")
    except PeerError as error:
        raise SystemExit(error.exit_status) from None
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
    finally:
        end_log()


def _thread_ended(found: threading.ExceptHookArgs) -> None:
    """Tell of a thread that a bug has ended; whoever waits for it tells of the disk."""
    if may_pass(found.exc_value):
        logging.getLogger("faceren").debug("the machine failed", exc_info=found.exc_value)
    else:
        threading.__excepthook__(found)


def hyphens(argument: str) -> str:
    """Accept the peers' underscores, ``--batch_size=4``, and the names of earlier versions."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    name = name.replace("_", "-")
    return f"--{RENAMED.get(name, name)}{equals}{value}"
