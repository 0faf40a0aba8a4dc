"""The command line from dataclasses: a field is an option, its variable and its default."""

import dataclasses
import types
from collections.abc import Callable, Iterator
from copy import copy
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from typer import Option
from typer.models import OptionInfo, ParameterInfo

from faceren.checks import hints_of, whole_number

PREFIX = "FACEREN_"
"""How the names of environment variables begin; the option's in capitals follows."""

Quiet = Annotated[bool, Option("--quiet", "-q", help="Errors only.")]
Json = Annotated[bool, Option(help="One JSON object a photo (or event) on stdout.")]
Output = Annotated[Path | None, Option("--output", "-o", help="Output folder.")]


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function as Typer reads it: dataclasses among its parameters become options.

    Each field that is annotated with ``Option`` (or ``Argument``) becomes one, with the field's
    default; so does a parameter that is annotated alike. What is given is checked when the
    dataclass is made, not by Typer. Every option but ``--json`` has an environment variable.

    Args:
        function: A command. It is called with the dataclasses, made of what was given.
    """
    written = signature(function, eval_str=True).parameters.values()
    records: dict[str, Any] = {
        p.name: p.annotation for p in written if dataclasses.is_dataclass(p.annotation)
    }
    parameters = [asked for parameter in written for asked in _options(parameter)]
    parameters = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]

    def command(**given: Any) -> None:
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        for name, kind in records.items():
            own = [f.name for f in dataclasses.fields(kind) if f.name in values]
            values[name] = kind(**{field: values.pop(field) for field in own})
        function(**values)

    vars(command)["__signature__"] = Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__name__, command.__doc__ = function.__name__, function.__doc__
    return command


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
    if isinstance(info, OptionInfo):
        info.envvar = None if parameter.name == "json" else PREFIX + parameter.name.upper()
        if kind is bool and info.default is ...:
            info.default = "--" + parameter.name.replace("_", "-")  # and no --no-…
    values = get_args(kind)
    if info.parser is not None:
        kind = str
    elif get_origin(kind) is Literal:
        kind, info.metavar = type(values[0]), f"[{'|'.join(map(str, values))}]"
    elif get_origin(kind) is tuple:
        kind = list[values[0]]  # type: ignore[valid-type]
    elif get_origin(kind) in (Union, types.UnionType) and type(None) not in values:
        kind, info.parser = str, word_or_number
    default = list(parameter.default) if parameter.default == () else parameter.default
    return parameter.replace(annotation=Annotated[kind, info], default=default)


def word_or_number(text: str | int) -> str | int:
    """Return a text of digits as a number, another as it is: ``auto`` or 16."""
    number = whole_number(str(text))
    return text if number is None else number
