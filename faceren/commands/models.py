"""The models that ship with faceren, and what their files say of themselves."""

from dataclasses import asdict, dataclass
from pathlib import Path

from faceren.assets import DEFAULT_MODEL, PREFIX, asset, shipped_models
from faceren.checks import Json
from faceren.weights import read_header


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model."""

    name: str
    """As ``--model`` takes it."""
    default: bool
    path: Path
    size: int
    """Bytes."""
    self_ensemble: bool
    """Whether ``--ensemble auto`` takes the mean over mirror images."""
    training_data: str
    licence: str

    def to_json(self) -> Json:
        """Return what ``--json`` prints."""
        return asdict(self) | {"path": str(self.path)}

    def lines(self) -> list[str]:
        """Return what a person reads, a line each."""
        mean = ", restores mirror images, too" if self.self_ensemble else ""
        return [
            f"{self.name}{' (default)' if self.default else ''}: {self.size / 1e6:.1f} MB{mean}",
            f"  {self.path}",
            f"  {self.licence}",
        ]


def models() -> list[Model]:
    """Return the models that ship with faceren, the default first.

    Raises:
        MachineError: If a file is missing or damaged.
    """
    found = []
    for name in sorted(shipped_models(), key=lambda name: name != DEFAULT_MODEL):
        path = asset(PREFIX + name)
        info = read_header(path)[1]
        found.append(
            Model(
                name=name,
                default=name == DEFAULT_MODEL,
                path=path,
                size=path.stat().st_size,
                self_ensemble=info.self_ensemble,
                training_data=info.training_data,
                licence=info.licence,
            )
        )
    return found
