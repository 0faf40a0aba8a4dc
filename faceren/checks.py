"""One way to check a value: against the type that is written beside its name.

A frozen dataclass states for each field what it takes, ``Annotated[float, Bounds(0, 1)]`` say or a
``Literal``, and calls ``check_fields`` when it is made. Operations of the simulator, recipes,
network shapes, and what the commands are asked for are all checked so.
"""

import difflib
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from faceren.errors import ConfigError

Json = dict[str, Any]
"""A JSON object, as in a line of a manifest: what is in it has still to be checked."""
HUGE = float(2**53)
"""Bound of numbers that have none: beyond it doubles no longer hold every integer."""

MOST_DIGITS = 9
"""Of a whole number in a word of a command line."""
LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Bounds:
    """The closed range of a number; stands in the annotation of a field."""

    low: float
    high: float = HUGE


def check_fields(record: Any, label: Callable[[str], str] | None = None) -> None:
    """Raise ConfigError unless every field of a dataclass is what its annotation says.

    Args:
        record: An instance of a dataclass.
        label: Returns what messages call a field; default ``Class.field``.
    """
    for name, hint in hints_of(record.__class__).items():
        called = label(name) if label else f"{type(record).__name__}.{name}"
        check_value(called, getattr(record, name), hint)


def check_value(label: str, value: object, hint: Any) -> None:
    """Raise ConfigError unless a value is what a type hint says.

    Args:
        label: What the message calls the value.
        value: Anything.
        hint: A type; ``Annotated`` with ``Bounds``, ``Literal``, unions and tuples are looked into.
    """
    if fits(value, hint):
        return
    close = did_you_mean(value, _choices(hint)) if isinstance(value, str) else ""
    raise ConfigError(f"{label}: expected {describe(hint)}, got {shortened(value)}{close}")


def shortened(value: object) -> str:
    """Return at most 80 characters that show a value, however deep lists and tables lie in it."""
    try:
        return f"{value!r:.80}"
    except RecursionError:
        return f"a {type(value).__name__} of too many levels"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest of ``known``; nothing if none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest of ``known``, or all of them if none is."""
    names = list(known)
    return did_you_mean(word, names) or f"; known: {', '.join(names)}"


def whole_number(word: str) -> int | None:
    """Return a word of up to MOST_DIGITS decimal digits as the number that it is, else None."""
    is_number = word.isascii() and word.isdecimal() and len(word) <= MOST_DIGITS
    return int(word) if is_number else None


@lru_cache(maxsize=256)
def hints_of(kind: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass, with what ``Annotated`` adds."""
    return get_type_hints(kind, include_extras=True)


def fits(value: object, hint: Any) -> bool:
    """Return whether a value is what a type hint says.

    Numbers are finite ones only, and a bool is none; texts and paths have no NUL, which would end a
    name on the way to the system.
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        bounds = [extra for extra in parts[1:] if isinstance(extra, Bounds)]
        return fits(value, parts[0]) and all(
            value is None or b.low <= value <= b.high  # type: ignore[operator]
            for b in bounds
        )
    if origin is Literal:
        return any(value == known and type(value) is type(known) for known in parts)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = parts[:1] * len(value) if parts[1:] == (...,) else parts
        return len(value) == len(kinds) and all(map(fits, value, kinds))
    if hint is None or hint is type(None):
        return value is None
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    if hint is float:
        return isinstance(value, (int, float)) and -LARGEST <= value <= LARGEST  # no NaN either
    if isinstance(value, (str, Path)) and "\0" in str(value):
        return False
    return isinstance(value, origin or hint)


def describe(hint: Any) -> str:
    """Return a type hint in words, for a message."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        for extra in parts[1:]:
            if isinstance(extra, Bounds):
                kind = describe(parts[0]).removeprefix("a ")
                if extra.high == HUGE:
                    return f"{kind} of at least {extra.low:.12g}"
                return f"{kind} from {extra.low:.12g} to {extra.high:.12g}"
        return describe(parts[0])
    if origin is Literal:
        words = ", ".join(map(repr, parts))
        return words if len(parts) == 1 else f"one of {words}"
    if origin in (Union, types.UnionType):
        return " or ".join(describe(part) for part in parts)
    if origin is tuple:
        if parts[1:] == (...,):
            return f"several of: {describe(parts[0])}"
        return f"{len(parts)} values, each {describe(parts[0])}"
    names = {bool: "a bool", int: "int", float: "float", str: "a text", Path: "a path"}
    kind = getattr(hint, "__name__", str(hint))
    return "nothing" if hint in (None, type(None)) else names.get(hint, f"a {kind}")


def _choices(hint: Any) -> tuple[str, ...]:
    """Return the texts that a hint allows, wherever they stand in it."""
    if get_origin(hint) is Literal:
        return tuple(part for part in get_args(hint) if isinstance(part, str))
    return tuple(text for part in get_args(hint) for text in _choices(part))
