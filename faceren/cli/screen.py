"""What a person sees while a command runs, on stderr, and what a program reads, on stdout."""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from typer import Option

from faceren.cli.parameters import Quiet
from faceren.errors import ConfigError, MachineError
from faceren.files import atomic_write, read_bounded

if TYPE_CHECKING:
    from rich.table import Table

Item = TypeVar("Item")

SAID = logging.getLogger("faceren.said")
"""Gets every message that a person sees, or would without ``--quiet``; ``--log`` writes it down."""
SAID.propagate = False
SAID.addHandler(logging.NullHandler())
LOG_FORMAT = "%(asctime)s %(message)s"
LOG_BEGINS = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
"""How a file that we wrote begins."""


@dataclass(frozen=True, kw_only=True)
class ScreenOptions:
    """What is shown, and what is written down of it."""

    json: Annotated[
        bool,
        Option(help="One JSON object a photo (or event) on stdout.", rich_help_panel="Output"),
    ] = False
    log: Annotated[
        Path | None,
        Option(
            help="Write every message there, too, with its time; a log that is there goes on.",
            metavar="FILE",
            rich_help_panel="Output",
        ),
    ] = None
    quiet: Quiet = False

    def screen(self) -> "Screen":
        """Return the screen that shows it.

        Raises:
            ConfigError: If the file of the log is there and no log of ours.
            MachineError: If it cannot be written.
        """
        end_log()
        if self.log is not None:
            _begin_log(self.log)
        return Screen(quiet=self.quiet, as_json=self.json)


def _begin_log(path: Path) -> None:
    try:
        if path.exists():
            begin = read_bounded(path, 2**30)[:19] if path.is_file() else b"-"
            if begin and not LOG_BEGINS.match(begin):
                raise ConfigError(
                    f"--log {path}: expected a new file or a log of faceren, this is another file"
                )
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise MachineError(f"--log {path}: cannot be written ({error.strerror})") from error
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    SAID.addHandler(handler)
    SAID.setLevel(logging.INFO)


def end_log() -> None:
    """Close the file of ``--log``, if there is one."""
    for handler in [h for h in SAID.handlers if isinstance(h, logging.FileHandler)]:
        SAID.removeHandler(handler)
        handler.close()


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 photo``, ``2 photos``, ``1,000 photos``.

    Args:
        number: How many.
        one: The noun.
        many: Its plural, if it is not the noun with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def one_line(text: object) -> str:
    """Return a text with control characters escaped, so that a name cannot break a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


class Screen:
    """Messages and progress on stderr, JSON on stdout.

    Args:
        quiet: Nothing but errors on stderr.
        as_json: Whether ``item`` prints anything.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        from rich.console import Console  # here, so that --help need not load it

        self.console = Console(stderr=True, soft_wrap=True, highlight=False)
        self.quiet = quiet
        self.as_json = as_json

    def say(self, text: str) -> None:
        """Print one line, unless quiet."""
        SAID.info("%s", one_line(text))
        if not self.quiet:
            self.console.print(one_line(text), markup=False)

    def error(self, text: object) -> None:
        """Print one line that starts with ``error:``."""
        SAID.error("error: %s", one_line(text))
        self.console.print(f"error: {one_line(text)}", style="red", markup=False)

    def item(self, value: dict[str, Any]) -> None:
        """Print one JSON object on one line of stdout, if JSON was asked for."""
        if self.as_json:
            print_json(value)

    def table(self, table: "Table") -> None:
        """Print a table, unless quiet."""
        if not self.quiet:
            self.console.print(table)

    def show(self, lines: Iterable[str]) -> None:
        """Print lines that were asked for on stdout."""
        sys.stdout.write("".join(f"{one_line(line)}\n" for line in lines))

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Say that something is being loaded while the block runs, on a terminal only."""
        if self.quiet or not self.console.is_terminal:
            yield
            return
        with self.console.status("loading…"):
            yield

    def progress(self, items: Iterable[Item], total: int | None, unit: str) -> Iterator[Item]:
        """Yield ``items`` under a progress bar with rate and time left, on a terminal only."""
        with self.bar(unit) as show:
            for done, item in enumerate(items, start=1):
                yield item
                show(done, total)

    @contextmanager
    def bar(self, unit: str) -> Iterator[Callable[[int, int | None], None]]:
        """Show a progress bar, on a terminal only; call what it gives with done and total."""
        if self.quiet or not self.console.is_terminal:
            yield lambda done, total: None
            return
        from rich import progress

        columns = (
            progress.SpinnerColumn(),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn(f"{unit}  {{task.fields[rate]}}"),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(unit, total=None, rate="")

            def show(done: int, total: int | None) -> None:
                speed = bar.tasks[0].speed
                rate = f"{speed:.2f}/s" if speed else ""
                bar.update(task, completed=done, total=total, rate=rate)

            yield show


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on one line of stdout."""
    sys.stdout.write(_as_json(value) + "\n")
    sys.stdout.flush()


def _as_json(value: dict[str, Any], *, indent: int | None = None) -> str:
    """Return an object as JSON; what is no printable text, in a name say, stands as escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    if text.replace("\n", "").isprintable():
        return text
    return json.dumps(value, indent=indent, default=str).replace("\x7f", "\\u007f")


def check_figures(option: str, path: Path | None) -> None:
    """Refuse a place for figures where a file of another kind may be, before the work.

    Args:
        option: What named it, for the message.
        path: The file; None is none.

    Raises:
        ConfigError: If it is a folder, a pipe or a device, or has the name of a picture or a
            manifest.
    """
    from faceren.images.checks import SUFFIXES  # loads NumPy, which --help does without
    from faceren.runs.manifest import MANIFEST_NAME

    if path is None:
        return
    if path.suffix.lower() in SUFFIXES or path.name == MANIFEST_NAME:
        raise ConfigError(
            f"{option} {path}: expected a name for a file of figures, got that of a picture or a "
            f"manifest, which would be lost"
        )
    if path.exists() and not path.is_file():
        raise ConfigError(
            f"{option} {path}: expected a new or a plain file, this is a folder, a pipe or a device"
        )


def write_json(target: Path, value: dict[str, Any]) -> None:
    """Write a JSON object to a file."""
    atomic_write(target, (_as_json(value, indent=1) + "\n").encode())
