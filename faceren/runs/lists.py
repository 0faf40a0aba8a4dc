"""Lists of photos and faces, as the review page exports them and people write them.

One photo a line: its path below the output folder, or the path of its input. For one face of it, a
tab and the face's number from 1 follow. A line that starts with a quotation mark holds the path as
a JSON string: so a path may have a line break, or be no text (surrogate escapes).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from faceren.errors import ConfigError


@dataclass(frozen=True)
class Choice:
    """A line of a list."""

    name: str
    """As written; it may still be a whole line with a tab that belongs to the name."""
    face: int | None = None
    """Index from 0; None is the whole photo."""


def read_list(path: Path, option: str) -> list[Choice]:
    """Return the lines of a list.

    Args:
        path: A text file in UTF-8.
        option: The option that named it, for messages.

    Raises:
        ConfigError: If it cannot be read or a line makes no sense.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{option}: expected a text file with one photo a line, {error}"
        ) from error
    lines = enumerate(text.split("\n"), start=1)
    place = f"{option} {path}: line"
    return [_choice(line, f"{place} {number}") for number, line in lines if line.strip()]


def _choice(line: str, place: str) -> Choice:
    line = line.removesuffix("\r")
    if line.startswith('"'):
        try:
            name, end = json.JSONDecoder().raw_decode(line)
        except ValueError as error:
            raise ConfigError(f"{place}: a quoted path must be a JSON string, {error}") from error
        rest = line[end:].strip()
    else:
        name, tab, rest = line.rpartition("\t")
        if not tab or not rest.strip().isdecimal():
            return Choice(line)  # a tab, if there is one, belongs to the name
    if not rest:
        return Choice(name)
    if not rest.isdecimal() or int(rest) < 1:
        raise ConfigError(f"{place}: expected a face's number from 1 after the path, got {rest!r}")
    return Choice(name, int(rest) - 1)


def photos_only(choices: Iterable[Choice], option: str) -> list[str]:
    """Return the names of a list in which faces make no sense.

    Raises:
        ConfigError: If it names a face.
    """
    names = []
    for choice in choices:
        if choice.face is not None:
            raise ConfigError(
                f"{option}: expected photos, got face {choice.face + 1} of {choice.name!r}; "
                f"a photo is restored whole"
            )
        names.append(choice.name)
    return names


def resolved(
    choices: Iterable[Choice], keys: Mapping[str, str], option: str
) -> dict[str, frozenset[int] | None]:
    """Return what a list asks for each photo: indices of faces, or None for the whole of it.

    Args:
        choices: The list.
        keys: From every name that a photo may go by to its key.
        option: For messages.

    Raises:
        ConfigError: If a name fits no photo.
    """
    wanted: dict[str, frozenset[int] | None] = {}
    for choice in choices:
        if choice.name not in keys:
            raise ConfigError(f"{option}: {choice.name!r} is none of the photos of this run")
        key = keys[choice.name]
        earlier = wanted.get(key, frozenset())
        if choice.face is None or earlier is None:
            wanted[key] = None
        else:
            wanted[key] = earlier | {choice.face}
    return wanted
