"""Where the options of a restoration come from that nobody gave: ``faceren.toml``, a preset.

An option on the command line goes before its environment variable, that before the file, the file
before the preset. The file is TOML, with the names of options: ``strength = 0.7``,
``max-identity-distance = 0.5``, ``preset = "gentle"``.

A file that lies beside photos came with them, from whomever: it may say how photos shall look, and
nothing of what is read, written or run. A file that was named on the command line may say all that
the options say.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from faceren.checks import check_value, describe, hints_of, nearest
from faceren.commands.options import FolderOptions, RunOptions
from faceren.errors import ConfigError
from faceren.files import read_bounded
from faceren.restoration.options import PRESETS, Preset, RestoreOptions, flag_of

SETTINGS_NAME = "faceren.toml"
LARGEST = 2**16
"""Bytes of such a file."""
Record = TypeVar("Record", RestoreOptions, RunOptions, FolderOptions)
NAMED = (RestoreOptions, RunOptions, FolderOptions)
"""What a file may set that was named."""
FOUND = (RestoreOptions,)
"""What a file may set that lies beside photos."""


@dataclass(frozen=True)
class Settings:
    """What takes the place of defaults."""

    values: Mapping[str, Any]
    """By field."""
    said: str = ""
    """Where they come from, for people."""

    def over(self, record: Record) -> Record:
        """Return a dataclass of options with these values in their places."""
        own = {f.name: self.values[f.name] for f in fields(record) if f.name in self.values}
        return replace(record, **own) if own else record


def settings_for(
    inputs: Sequence[Path], named: Path | None, preset: str | None, given: Iterable[str]
) -> Settings:
    """Return the values of the options that were not given, as far as they are not the defaults.

    Args:
        inputs: Photos and folders; ``faceren.toml`` in one of the folders, or beside a photo,
            counts unless a file is named.
        named: ``--config``.
        preset: ``--preset``; None if it was not given.
        given: Fields that have a value already.

    Raises:
        ConfigError: If a file or the preset makes no sense, or there are two files.
    """
    path = named or _beside(inputs)
    values = {} if path is None else read_settings(path, NAMED if named else FOUND)
    name = values.pop("preset", "normal")
    name = preset or name
    check_value("--preset", name, Preset)
    every = {**PRESETS[cast(Preset, name)], **values}
    values = {name: value for name, value in every.items() if name not in set(given)}
    said = ", ".join(f"{flag_of(name)} {value}" for name, value in values.items())
    return Settings(values, f"{path}: {said or 'nothing that was not given'}" if path else "")


def _beside(inputs: Sequence[Path]) -> Path | None:
    """Return the file beside the inputs, if there is one.

    Raises:
        ConfigError: If there are two.
    """
    folders = [path if path.is_dir() else path.parent for path in inputs if path.exists()]
    places = [folder / SETTINGS_NAME for folder in folders]
    found = {place.resolve(): place for place in places if place.is_file()}
    if len(found) > 1:
        raise ConfigError(
            f"expected one {SETTINGS_NAME} beside the inputs, got "
            f"{' and '.join(map(str, found.values()))}; name one with --config"
        )
    return next(iter(found.values()), None)


def read_settings(path: Path, kinds: Sequence[type]) -> dict[str, Any]:
    """Return what a file sets, by field.

    Args:
        path: A TOML file.
        kinds: The dataclasses whose options it may set; ``preset`` it always may.

    Raises:
        ConfigError: If it cannot be read, or names an option that it may not set.
    """
    try:
        table = tomllib.loads(read_bounded(path, LARGEST).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"--config {path}: expected a TOML file, {error}") from error
    hints = {name: hint for kind in kinds for name, hint in hints_of(kind).items()}
    every = {field.name for kind in NAMED for field in fields(kind)}
    values: dict[str, Any] = {}
    for word, value in table.items():
        name = word.replace("-", "_")
        if name in every - set(hints):
            raise ConfigError(
                f"{path}: {word} is not taken from a file that lies beside photos; name the file, "
                f"with --config {path.name}, or give {flag_of(name)}"
            )
        if name not in hints and name != "preset":
            known = [option.replace("_", "-") for option in (*hints, "preset")]
            raise ConfigError(f"{path}: unknown option {word!r:.60}{nearest(word, known)}")
        values[name] = _value(path, name, value, hints.get(name, Preset))
    return values


def _value(path: Path, name: str, value: object, hint: Any) -> object:
    """Return a value of the file as the field takes it; paths are relative to the file."""
    if isinstance(value, str) and "a path" in describe(hint):
        value = path.parent / value
    elif isinstance(value, list):
        value = tuple(value)
    elif isinstance(value, int) and not isinstance(value, bool) and "float" in describe(hint):
        value = float(value)  # as on the command line
    check_value(f"{path}: {name.replace('_', '-')}", value, hint)
    return value
