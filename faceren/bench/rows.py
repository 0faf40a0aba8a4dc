"""What a benchmark yields: rows, each of one section of the report."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol


class Row(Protocol):
    """One measured line; every suite yields frozen dataclasses of this form."""

    section: ClassVar[str]
    """List of the report that the row belongs to."""

    def to_json(self) -> dict[str, Any]:
        """Return the row as numbers and names."""
        ...

    def line(self) -> str:
        """Return the row as it is shown while the benchmark goes on."""
        ...


@dataclass(frozen=True)
class LeftOut:
    """Something that was not measured here, and why."""

    section: ClassVar[str] = "left_out"
    what: str
    why: str
    failed: bool = False
    """It was asked for, and failed."""

    def to_json(self) -> dict[str, Any]:
        """Return what and why."""
        return asdict(self)

    def line(self) -> str:
        """Return one sentence."""
        return f"{'failed' if self.failed else 'left out'}: {self.what} ({self.why})"
