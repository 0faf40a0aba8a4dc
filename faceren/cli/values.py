"""Option values that need more than a type."""

from faceren.errors import ConfigError

UNITS = {"M": 2**20, "G": 2**30}


def number_or_auto(flag: str, value: str) -> int | None:
    """Return a positive number, or None for ``auto``; raise ConfigError naming the flag."""
    if value == "auto":
        return None
    if value.isdigit() and int(value) > 0:
        return int(value)
    raise ConfigError(f"{flag}: expected auto or a positive number, got {value!r}")


def byte_count(flag: str, value: str) -> int:
    """Return the bytes of a size such as ``500M`` or ``3G``; raise ConfigError naming the flag."""
    number, unit = value[:-1], value[-1:].upper()
    if unit in UNITS and number.isdigit() and int(number) > 0:
        return int(number) * UNITS[unit]
    raise ConfigError(f"{flag}: expected a size such as 500M or 3G, got {value!r}")
