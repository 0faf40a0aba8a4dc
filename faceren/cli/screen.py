"""What a person sees while a command runs, on stderr, and what a program reads, on stdout."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from faceren.files import atomic_write

Item = TypeVar("Item")


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
        if not self.quiet:
            self.console.print(one_line(text), markup=False)

    def error(self, text: object) -> None:
        """Print one line that starts with ``error:``."""
        self.console.print(f"error: {one_line(text)}", style="red", markup=False)

    def item(self, value: dict[str, Any]) -> None:
        """Print one JSON object on one line of stdout, if JSON was asked for."""
        if self.as_json:
            print_json(value)

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


def write_json(target: str, value: dict[str, Any]) -> None:
    """Write a JSON object to a file, or to stdout if ``target`` is ``-``."""
    if target == "-":
        print_json(value)
    else:
        atomic_write(Path(target), (_as_json(value, indent=1) + "\n").encode())
