"""A field of a dataclass is an option, its environment variable and its default."""

from dataclasses import asdict, dataclass, make_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import pytest
from typer import Argument, Option, Typer
from typer.testing import CliRunner

from faceren.checks import Bounds
from faceren.cli.parameters import with_options
from faceren.commands.options import (
    DegradeOptions,
    EvaluateOptions,
    FolderOptions,
    RunOptions,
    commas,
)
from faceren.commands.restore import header_of
from faceren.errors import ConfigError
from faceren.restoration.options import RestoreOptions


@dataclass(frozen=True, kw_only=True)
class Trip:
    """Options of every kind."""

    places: Annotated[tuple[Path, ...], Argument(help="Where to.")] = ()
    by: Annotated[Literal["foot", "rail"], Option(help="How.")] = "foot"
    legs: Annotated[Literal[1, 2], Option(help="How many.")] = 1
    bags: Annotated[Literal["none"] | Annotated[int, Bounds(1)], Option(help="Bags.")] = "none"
    first_class: Annotated[bool, Option(help="Dear.")] = False
    budget: Annotated[float | None, Option("--budget", "-b", help="Money.")] = None
    skip: Annotated[tuple[str, ...], Option(help="Left out.")] = ()
    meals: Annotated[tuple[str, ...], Option(parser=commas, help="Eaten.")] = ("tea", "soup")
    secret: int = 7


@pytest.fixture
def ask():
    """Run a command of one dataclass; return what it was called with, and what was printed."""

    def asked(kind, *arguments, **variables):
        got = []

        def travel(*, trip: kind, json: Annotated[bool, Option(help="JSON.")] = False) -> None:
            got.append((trip, json))

        app = Typer(rich_markup_mode=None)
        app.command()(with_options(travel))
        result = CliRunner().invoke(app, arguments, env=variables)
        return (got[0] if got else None), result.output

    return asked


def test_what_is_not_given_is_the_default_of_the_field(ask):
    assert ask(Trip)[0] == (Trip(), False)


def test_what_is_given_has_the_type_of_the_field(ask):
    flags = ("--by=rail", "--legs=2", "--bags=3", "--first-class", "-b", "2", "--json")
    lists = ("--skip=a", "--skip=b", "--meals=tea,cake", "here", "there")
    (trip, json), _ = ask(Trip, *flags, *lists)
    assert json
    assert trip == Trip(
        places=(Path("here"), Path("there")), by="rail", legs=2, bags=3, first_class=True,
        budget=2.0, skip=("a", "b"), meals=("tea", "cake"),
    )  # fmt: skip


def test_every_option_but_json_has_a_variable(ask):
    variables = {"BY": "rail", "LEGS": "2", "BAGS": "3", "FIRST_CLASS": "1", "BUDGET": "2"}
    variables |= {"SKIP": "a b", "MEALS": "tea,cake", "JSON": "1", "SECRET": "8", "PLACES": "x"}
    (trip, json), _ = ask(Trip, **{f"FACEREN_{name}": text for name, text in variables.items()})
    assert not json
    assert trip == Trip(
        by="rail", legs=2, bags=3, first_class=True, budget=2.0, skip=("a", "b"),
        meals=("tea", "cake"),
    )  # fmt: skip


def test_help_shows_choices_ranges_and_defaults(ask):
    _, text = ask(Trip, "--help")
    words = " ".join(text.split())
    assert "--by [foot|rail] How. [default: foot]" in words
    assert "--legs [1|2] How many." in words
    assert "--bags none|N Bags." in words
    assert "env var" not in words  # the help of our commands says it once
    assert "default: tea, soup" in words
    assert "--first-class Dear." in words
    assert "no-first-class" not in words
    assert "secret" not in words.lower()


def a_copy_with(kind, name, hint, default):
    """Return a dataclass with one field more."""
    return make_dataclass("Copy", [(name, hint, default)], bases=(kind,), frozen=True, kw_only=True)


def test_a_restore_option_more_is_one_field_more(ask):
    hint = Annotated[Literal["soft", "hard"], Option(help="How light falls.")]
    longer = a_copy_with(RestoreOptions, "light", hint, "soft")
    assert "--light [soft|hard]" in ask(longer, "--help")[1]
    (options, _), _ = ask(longer, FACEREN_LIGHT="hard")
    assert options == longer(light="hard")
    assert ask(longer, "--light", "hard")[0][0] == options
    assert asdict(options) == asdict(RestoreOptions()) | {"light": "hard"}  # the header's options
    assert longer().digest("0") == RestoreOptions().digest("0")  # what is done stays done
    assert options.digest("0") != longer().digest("0")
    with pytest.raises(ConfigError, match="--light: .*'dim'"):
        longer(light="dim")


def test_the_header_of_a_run_holds_every_field_of_the_options():
    hint = Annotated[Literal["soft", "hard"], Option(help="How light falls.")]
    longer = a_copy_with(RestoreOptions, "light", hint, "soft")
    info = SimpleNamespace(name="n")
    restorer = SimpleNamespace(
        checkpoint=SimpleNamespace(info=info, sha256="0"),
        self_ensemble=False,
        computed="onnx cpu fp32",
    )
    header = header_of(SimpleNamespace(restorer=restorer, options=longer(light="hard")), "base")
    assert header["options"]["light"] == "hard"
    assert header["options"]["strength"] == 1


@pytest.mark.parametrize(
    "kind", [RestoreOptions, RunOptions, FolderOptions, DegradeOptions, EvaluateOptions]
)
def test_defaults_on_the_command_line_are_those_in_python(ask, kind):
    assert ask(kind)[0][0] == kind()
