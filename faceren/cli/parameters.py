"""The command line from dataclasses: a field is an option, its variable, default and help.

What nobody gave comes from ``faceren.toml`` or a preset. An option on the command line goes before
its environment variable, that before the file, the file before the preset. The file is TOML, with
the names of options: ``strength = 0.7``, ``max-identity-distance = 0.5``, ``preset = "gentle"``.

A file that lies beside photos came with them, from whomever: it may say how photos shall look, and
nothing of what is read, written or run. A file that was named on the command line may say all that
the options say.
"""

import dataclasses
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from inspect import Parameter, Signature, get_annotations, signature
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from typer import Context, Option
from typer.core import TyperCommand
from typer.models import OptionInfo, ParameterInfo

from faceren.checks import HUGE, Bounds, check_value, describe, hints_of, nearest, whole_number
from faceren.commands.options import FolderOptions, RunOptions, starting_with
from faceren.errors import ConfigError
from faceren.files import read_bounded
from faceren.restoration.options import PRESETS, Preset, RestoreOptions, flag_of
from faceren.runs.storage import STORED, is_stored, on_disk, spelled

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
        hint = hints.get(name, Preset)
        if isinstance(value, str) and "a path" in describe(hint):
            if not value:  # which would mean the file's own folder
                raise ConfigError(f"{path}: {word}: expected a path, got an empty text")
            value = path.parent / value
        elif isinstance(value, list):
            value = tuple(value)
        elif isinstance(value, int) and not isinstance(value, bool) and "float" in describe(hint):
            value = float(value)  # as on the command line
        check_value(f"{path}: {name.replace('_', '-')}", value, hint)
        values[name] = value
    return values


GROUPS = ("Arguments", "Everyday", "Output", "Undo and redo", "Faces", "Machine", "Options")
"""In the order of the help; an option without a group is one of the last."""
VARIABLES = (
    "Every option but --json is also an environment variable: --min-face is FACEREN_MIN_FACE. "
    "An option goes before its variable."
)
WIDEST = 120
"""Columns of the help in a terminal that has more."""


class Command(TyperCommand):
    """A command whose options are shown by the group that each names (``rich_help_panel``).

    Its epilog is examples, one a line.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an empty text where a path is wanted, which would mean the current folder.

        It is what ``-o "$OUT"`` gives where there is no such variable.
        """
        hints = get_annotations(self.callback) if self.callback is not None else {}
        takers = {flag: p for p in self.params for flag in p.opts if not getattr(p, "is_flag", 0)}
        argument = next((p for p in self.params if p.param_type_name == "argument"), None)
        for before, text in pairwise(["", *args]):
            flag, equals, value = text.partition("=")
            taker = takers.get(flag) if equals else takers.get(before, argument)
            if value or (text and not equals) or taker is None:
                continue
            if _is_path(hints.get(taker.name)):
                raise ConfigError(f"{taker.opts[0]}: expected a path, got an empty text")
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, group by group."""
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in GROUPS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            is_argument = parameter.param_type_name == "argument"
            own = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None)
            if record is not None and is_argument:
                record = (record[0].partition(" <")[0], record[1])  # its name says what it is
            if record is not None:
                groups.setdefault(own or GROUPS[-1], []).append(record)
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples and where else an option may come from."""
        if self.epilog:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.epilog.splitlines()))
        formatter.write_paragraph()
        formatter.write_text(VARIABLES)


def _is_path(hint: Any) -> bool:
    return hint is Path or any(map(_is_path, get_args(hint)))


PREFIX = "FACEREN_"
"""How the names of environment variables begin; the option's in capitals follows."""
RENAMED = {"min-identity": "max-identity-distance"}
"""Options by the names of earlier versions, which are still understood; so are their variables."""
METAVARS = {Path: "PATH", int: "N", float: "NUMBER", str: "TEXT"}
"""What help calls a value of which the option says nothing."""

Quiet = Annotated[bool, Option("--quiet", "-q", help="Errors only.", rich_help_panel="Output")]
Verbose = Annotated[bool, Option("--verbose", "-v", help="Say all that there is to say.")]
Output = Annotated[
    Path | None,
    Option("--output", "-o", help="Output folder.", metavar="OUT", rich_help_panel="Everyday"),
    STORED,
]


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function as Typer reads it: dataclasses among its parameters become options.

    Each field that is annotated with ``Option`` (or ``Argument``) becomes one, with the field's
    default; so does a parameter that is annotated alike. What is given is checked when the
    dataclass is made, not by Typer. Every option but ``--json`` has an environment variable. A path
    in a store is refused where the annotation has no ``STORED``: it would be taken for one below
    the current folder.

    Args:
        function: A command. It is called with the dataclasses, made of what was given.
    """
    written = signature(function, eval_str=True).parameters.values()
    records: dict[str, Any] = {
        p.name: p.annotation for p in written if dataclasses.is_dataclass(p.annotation)
    }
    parameters = [asked for parameter in written for asked in _options(parameter)]
    parameters = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    on_disks = {p.name: _called(p) for p in parameters if STORED not in get_args(p.annotation)}

    def command(**given: Any) -> None:
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        values = {k: _placed(v, on_disks.get(k)) for k, v in values.items()}
        for name, kind in records.items():
            own = [f.name for f in dataclasses.fields(kind) if f.name in values]
            values[name] = kind(**{field: values.pop(field) for field in own})
        function(**values)

    vars(command)["__signature__"] = Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__name__, command.__doc__ = function.__name__, function.__doc__
    return command


def _called(parameter: Parameter) -> str:
    """Return what messages call an option: its flag; an argument has none."""
    info = next((x for x in get_args(parameter.annotation) if isinstance(x, OptionInfo)), None)
    return parameter.name if info is None else "--" + _flag(parameter, info).replace("_", "-")


def _placed(value: Any, on_disks: str | None) -> Any:
    """Return a path as it is meant: a ``file://`` address is one on a disk; others as they are.

    Args:
        value: Of any option.
        on_disks: What an option is called that takes no path in a store; None if it takes them.

    Raises:
        ConfigError: If it is in a store, and must not be.
    """
    if isinstance(value, tuple):
        return tuple(_placed(item, on_disks) for item in value)
    if not isinstance(value, Path):
        return value
    if on_disks is not None and is_stored(value):
        raise ConfigError(
            f"{on_disks}: expected a path on a disk, got {spelled(value)}; copy it from the store, "
            f"or to it, by other means"
        )
    return on_disk(value)


def given_by(context: Context) -> dict[str, str]:
    """Return the parameters that somebody gave and that are not off, with their flags.

    Args:
        context: Of the command.
    """
    given = {}
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT" and context.params[name]:
            given[name] = option.opts[0]
    return given


def _options(parameter: Parameter) -> Iterator[Parameter]:
    """Yield what Typer is to ask for one parameter: the fields of a dataclass one by one."""
    record: Any = parameter.annotation
    if not dataclasses.is_dataclass(record):
        yield _for_typer(parameter)
        return
    hints = hints_of(parameter.annotation)
    for field in dataclasses.fields(record):
        if any(isinstance(extra, ParameterInfo) for extra in get_args(hints[field.name])):
            asked = Parameter(field.name, parameter.kind, annotation=hints[field.name])
            has_default = field.default is not dataclasses.MISSING
            yield _for_typer(asked.replace(default=field.default) if has_default else asked)


def _for_typer(parameter: Parameter) -> Parameter:
    """Return a parameter with a type that Typer knows, with its flag and its variable."""
    kind, *extras = get_args(parameter.annotation) or (parameter.annotation,)
    info = next((copy(extra) for extra in extras if isinstance(extra, ParameterInfo)), None)
    if info is None:  # Typer's own context
        return parameter
    marks = [extra for extra in extras if extra == STORED]
    values = get_args(kind)
    if isinstance(info, OptionInfo):
        info.envvar = None if parameter.name == "json" else _variables(_flag(parameter, info))
        info.show_envvar = False  # the help says once how they are called
        info.metavar = info.metavar or _metavar(parameter.annotation)
        if kind is bool and info.default is ...:
            info.default = "--" + parameter.name.replace("_", "-")  # and no --no-…
        if get_origin(kind) is Literal and info.autocompletion is None:
            info.autocompletion = starting_with(map(str, values))
    if info.parser is not None:
        kind = str
    elif get_origin(kind) is Literal and len(set(map(type, values))) > 1:
        kind, info.parser = str, word_or_number
    elif get_origin(kind) is Literal:
        kind = type(values[0])
    elif get_origin(kind) is tuple:
        kind = list[values[0]]  # type: ignore[valid-type]
    elif get_origin(kind) in (Union, types.UnionType) and type(None) not in values:
        kind, info.parser = str, word_or_number
    default = list(parameter.default) if parameter.default == () else parameter.default
    return parameter.replace(annotation=Annotated[kind, info, *marks], default=default)


def _flag(parameter: Parameter, info: OptionInfo) -> str:
    """Return the name of an option: that of its long flag, if it says one."""
    flags = [info.default, *(info.param_decls or ())]
    long = [flag for flag in flags if isinstance(flag, str) and flag.startswith("--")]
    return long[0].partition("/")[0][2:].replace("-", "_") if long else parameter.name


def _variables(name: str) -> str | list[str]:
    """Return the variable of an option, with that of its earlier name if it had one."""
    names = [name, *(old for old, new in RENAMED.items() if new == name.replace("_", "-"))]
    variables = [PREFIX + known.replace("-", "_").upper() for known in names]
    return variables if len(variables) > 1 else variables[0]


def _metavar(hint: Any) -> str | None:
    """Return what help calls the value of an option: its words, its range, or its kind."""
    kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    for bounds in extras:
        if isinstance(bounds, Bounds) and bounds.high != HUGE:
            return f"{bounds.low:g}..{bounds.high:g}"
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        words = "|".join(map(str, parts))
        return f"[{words}]" if len(parts) > 1 else words
    if get_origin(kind) in (Union, types.UnionType):
        known = [_metavar(part) for part in parts if part is not type(None)]
        return "|".join(filter(None, known))
    return METAVARS.get(parts[0] if get_origin(kind) is tuple else kind)


def word_or_number(text: str | int) -> str | int:
    """Return a text of digits as a number, another as it is: ``auto`` or 16."""
    number = whole_number(str(text))
    return text if number is None else number
