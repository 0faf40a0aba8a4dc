"""What a person sees while a command runs: messages and a progress bar, on stderr."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


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
        with self.bar(unit) as tell:
            for done, item in enumerate(items, start=1):
                yield item
                tell(done, total)

    @contextmanager
    def bar(self, unit: str) -> Iterator[Callable[[int, int | None], None]]:
        """Show a progress bar, on a terminal only; call what it gives with done and total."""
        if self.quiet or not self.console.is_terminal:
            yield lambda done, total: None
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
            task = bar.add_task(unit, total=None, rate="")

            def tell(done: int, total: int | None) -> None:
                speed = bar.tasks[0].speed
                rate = f"{speed:.2f}/s" if speed else ""
                bar.update(task, completed=done, total=total, rate=rate)

            yield tell
