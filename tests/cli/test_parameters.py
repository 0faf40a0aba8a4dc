"""A field of a dataclass is an option, its environment variable and its default."""

from dataclasses import asdict, dataclass, make_dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

import pytest
from typer import Argument, Option, Typer
from typer.testing import CliRunner

from faceren.checks import Bounds
from faceren.cli.parameters import settings_for, with_options
from faceren.commands.options import (
    DegradeOptions,
    EvaluateOptions,
    FolderOptions,
    RunOptions,
    commas,
)
from faceren.commands.restore import header_of
from faceren.errors import ConfigError
from faceren.restoration.options import PRESETS, RestoreOptions, preset
from tests.runs import make_run


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def test_a_preset_is_nothing_but_values_of_options():
    assert preset("normal") == RestoreOptions()
    assert preset("gentle") == RestoreOptions(strength=0.6, max_identity_distance=0.25)
    assert preset("strong") == RestoreOptions(faces="all", grain="off")
    for name in PRESETS:
        assert settings_for([], None, name, ()).over(RestoreOptions()) == preset(name)
    with pytest.raises(ConfigError, match="--preset: .*did you mean 'gentle'"):
        preset("gentel")


def test_what_is_given_goes_before_the_file_and_the_file_before_the_preset(photos):
    (photos / "faceren.toml").write_text('preset = "gentle"\nstrength = 1\nmin-face = 20\n')
    settings = settings_for([photos], None, None, {"min_face"})
    made = settings.over(RestoreOptions(min_face=7.0))
    assert made == RestoreOptions(strength=1.0, max_identity_distance=0.25, min_face=7.0)
    assert isinstance(made.strength, float)  # or the digest of a photo's settings were another
    assert settings.said.startswith(f"{photos / 'faceren.toml'}: --strength 1.0")
    strong = settings_for([photos], None, "strong", ())
    assert strong.over(RestoreOptions()) == RestoreOptions(
        strength=1.0, min_face=20.0, faces="all", grain="off"
    )


def test_words_and_numbers_of_one_option_stay_what_they_are(run, photos, monkeypatch):
    for text, scale in (('"auto"', "auto"), ("2", 2)):
        (photos / "faceren.toml").write_text(f"scale = {text}")
        assert settings_for([photos], None, None, ()).over(RestoreOptions()).scale == scale
    asked = []
    command = import_module("faceren.cli.restore")  # as an attribute it is the function

    def show_restoration(inputs, output, options, *_, **__):
        asked.append(options)
        return 0

    monkeypatch.setattr(command, "show_restoration", show_restoration)
    monkeypatch.setenv("FACEREN_SCALE", "auto")
    for flags in ((), ("--scale", "4")):
        assert run("restore", photos, "-o", "out", *flags)[0] == 0
    assert [options.scale for options in asked] == ["auto", 4]
    said = run("restore", photos, "-o", "out", "--scale", "aut")[2]
    assert "--scale: expected one of 1, 2, 4, 'auto', got 'aut'; did you mean 'auto'?" in said


def test_a_file_that_was_named_may_say_all_and_its_paths_are_relative_to_it(photos, tmp_path):
    (photos / "faceren.toml").write_text("strength = 0.1")
    named = tmp_path / "mine.toml"
    named.write_text('device = "cpu"\nonly = "list.txt"\nexclude = ["a*", "b*"]\nsave_faces = true')
    settings = settings_for([photos], named, None, ())
    assert settings.over(RunOptions()) == RunOptions(device="cpu")
    assert settings.over(FolderOptions()) == FolderOptions(
        only=tmp_path / "list.txt", exclude=("a*", "b*"), save_faces=True
    )
    assert settings.over(RestoreOptions()) == RestoreOptions()


@pytest.mark.parametrize("option", ["model", "weights-dir", "only", "overwrite", "device"])
def test_a_file_beside_photos_decides_nothing_but_how_they_look(photos, option):
    (photos / "faceren.toml").write_text(f'{option} = "x"')
    with pytest.raises(ConfigError, match=f"{option} is not taken from a file that lies beside"):
        settings_for([photos], None, None, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("strength = 2", "strength: expected float from 0 to 1, got 2.0"),
        ("strenght = 1", "unknown option 'strenght'; did you mean 'strength'"),
        ('preset = "mild"', "preset: expected one of"),
        ("strength", "expected a TOML file"),
        ("[[[", "expected a TOML file"),
        ("a = " + "[" * 2000, "expected a TOML file"),
        ("#" * 70000, "expected a TOML file"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(photos, text, said):
    (photos / "faceren.toml").write_text(text)
    with pytest.raises(ConfigError, match="faceren.toml.*" + said):
        settings_for([photos], None, None, ())


def test_an_empty_path_in_a_file_is_refused(photos, tmp_path):
    (tmp_path / "my.toml").write_text('weights-dir = ""')
    with pytest.raises(ConfigError, match="weights-dir: expected a path, got an empty text"):
        settings_for([photos], tmp_path / "my.toml", None, ())


def test_two_files_are_one_too_many(photos, tmp_path):
    (tmp_path / "more").mkdir()
    for folder in (photos, tmp_path / "more"):
        (folder / "faceren.toml").touch()
    with pytest.raises(ConfigError, match="expected one faceren.toml"):
        settings_for([photos, tmp_path / "more"], None, None, ())
    assert settings_for([photos, photos], None, None, ()).values == {}


def test_the_command_line_says_which_settings_it_found(run, photos):
    (photos / "faceren.toml").write_text("strength = 0.5")
    status, _, said = run("restore", photos, "-o", "out", "--dry-run")
    assert status == 3  # there is no photo
    assert said.splitlines()[0] == f"settings of {photos / 'faceren.toml'}: --strength 0.5"


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


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (("train", "compact", "-o", "s3://a/run"), "--output"),
        (("train", "s3://a/my.yaml"), "recipe"),
        (("benchmark", "s3://a/faces"), "clean"),
        (("benchmark", "--json-file", "s3://a/b.json"), "--json-file"),
        (("export", "base", "-o", "s3://a/base.onnx"), "--output"),
        (("open", "s3://a/out"), "output"),
        (("restore", "a.png", "-o", "out", "--log", "s3://a/log"), "--log"),
        (("degrade", "a.png", "--sheet", "s3://a/s.png"), "--sheet"),
    ],
)
def test_what_takes_no_store_says_so_and_makes_no_folder_of_that_name(
    words, called, run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, out, said = run(*words)
    address = next(word for word in words if word.startswith("s3:"))
    assert (status, out) == (2, "")
    assert said == (
        f"error: {called}: expected a path on a disk, got {address}; copy it from the store, or to "
        f"it, by other means\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_address_is_a_path_of_every_option(run, tmp_path):
    made = make_run(tmp_path)
    assert run("restore", "--verify", f"file://{made}")[0] == 0
    (tmp_path / "list").write_text("three.jpg\n")
    lists = f"file://{tmp_path}/list"
    assert run("restore", "-o", f"file://{made}", "--revert", lists, "--no-report")[0] == 0
    original = tmp_path / "photos" / "three.jpg"
    assert (made / "three.jpg").read_bytes() == original.read_bytes()
