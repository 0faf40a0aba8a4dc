"""What a person sees while a command runs: messages and a progress bar, on stderr."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")


def one_line(text: object) -> str:
    """Return a text with control characters escaped, so that a name cannot break a line."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)
    )


class Screen:
    """Messages and progress on stderr; nothing but errors if ``quiet``."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = Console(stderr=True, soft_wrap=True, highlight=False)
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print one line, unless quiet."""
        if not self.quiet:
            self.console.print(one_line(text), markup=False)

    def error(self, text: object) -> None:
        """Print one line that starts with ``error:``."""
        self.console.print(f"error: {one_line(text)}", style="red", markup=False)

    def progress(self, items: Iterable[Item], total: int | None, unit: str) -> Iterator[Item]:
        """Yield ``items`` under a progress bar with rate and time left, on a terminal only."""
        if self.quiet or not self.console.is_terminal:
            yield from items
            return
        columns = (
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(f"{unit}  {{task.fields[rate]}}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(unit, total=total, rate="")
            for item in items:
                yield item
                speed = bar.tasks[0].speed
                bar.update(task, advance=1, rate=f"{speed:.2f}/s" if speed else "")
