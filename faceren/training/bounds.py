"""Checks of a recipe's numbers, with messages that name the key."""

from faceren.errors import ConfigError

HUGE = float(2**53)
"""Bound of numbers that have none."""


def within(section: str, values: object, bounds: dict[str, tuple[float, float]]) -> None:
    """Raise ConfigError unless each named field is in its closed range (None is no number)."""
    for name, (low, high) in bounds.items():
        value = getattr(values, name)
        if value is not None and not low <= value <= high:
            upper = f" to {high:g}" if high != HUGE else " or more"
            raise ConfigError(f"{section}.{name}: expected {low:g}{upper}, got {value:g}")


def rising(section: str, name: str, pair: tuple[float, float]) -> None:
    """Raise ConfigError unless the pair is above 0 and in order."""
    if not 0 < pair[0] <= pair[1]:
        raise ConfigError(
            f"{section}.{name}: expected [low, high] with 0 < low <= high, got {pair}"
        )
