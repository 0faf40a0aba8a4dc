"""``faceren.toml`` and presets take the place of defaults, never of what was given."""

import pytest

from faceren.cli.settings import settings_for
from faceren.commands.options import FolderOptions, RunOptions
from faceren.errors import ConfigError
from faceren.restoration.options import PRESETS, RestoreOptions, preset


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def test_a_preset_is_nothing_but_values_of_options():
    assert preset("normal") == RestoreOptions()
    assert preset("gentle") == RestoreOptions(strength=0.6, max_identity_distance=0.4)
    assert preset("strong") == RestoreOptions(faces="all", grain="off")
    for name in PRESETS:
        assert settings_for([], None, name, ()).over(RestoreOptions()) == preset(name)
    with pytest.raises(ConfigError, match="--preset: .*did you mean 'gentle'"):
        preset("gentel")


def test_what_is_given_goes_before_the_file_and_the_file_before_the_preset(photos):
    (photos / "faceren.toml").write_text('preset = "gentle"\nstrength = 1\nmin-face = 20\n')
    settings = settings_for([photos], None, None, {"min_face"})
    made = settings.over(RestoreOptions(min_face=7.0))
    assert made == RestoreOptions(strength=1.0, max_identity_distance=0.4, min_face=7.0)
    assert isinstance(made.strength, float)  # or the digest of a photo's settings were another
    assert settings.said.startswith(f"{photos / 'faceren.toml'}: --strength 1.0")
    strong = settings_for([photos], None, "strong", ())
    assert strong.over(RestoreOptions()) == RestoreOptions(
        strength=1.0, min_face=20.0, faces="all", grain="off"
    )


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
