from dataclasses import FrozenInstanceError, replace

import pytest

from faceren.config import BASE, COMPACT, GeneratorConfig, check_choice, nearest
from faceren.errors import ConfigError


def test_defaults_are_the_published_shape():
    config = GeneratorConfig()
    assert config.stride == 32
    assert [config.channels(level) for level in range(6)] == [64, 128, 256, 512, 1024, 1024]


@pytest.mark.parametrize(("config", "width"), [(COMPACT, 48), (BASE, 64)])
def test_shipped_shapes(config, width):
    assert config.stride == 32
    assert [config.channels(level) / width for level in range(4)] == [1, 2, 4, 4]


def test_configurations_are_values():
    assert replace(COMPACT, width=80) != COMPACT
    assert replace(COMPACT) == COMPACT
    with pytest.raises(FrozenInstanceError):
        COMPACT.width = 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variant": "lipspad"}, "variant: unknown value 'lipspad'; did you mean 'lipspade'"),
        ({"suppression": "xyz"}, "suppression: unknown value 'xyz'; known: adaptive, lip, fixed"),
        ({"normalisation": "batch"}, "normalisation: unknown value 'batch'"),
        ({"encoder_normalisation": 1}, "encoder_normalisation: unknown value 1"),
        ({"modulation": "two-plus"}, "did you mean 'one-plus'"),
        ({"shortcut": "none"}, "shortcut: unknown"),
        ({"head": "residua"}, "did you mean 'residual'"),
        ({"kernel_activation": "relu"}, "kernel_activation: unknown"),
        ({"width": 0}, "width: expected an integer of at least 1, got 0"),
        ({"width": 64.0}, "width: expected an integer of at least 1, got 64.0"),
        ({"width": True}, "width: expected an integer of at least 1, got True"),
        ({"depth": 1}, "depth: expected an integer of at least 2, got 1"),
        ({"middle_blocks": 0}, "middle_blocks: expected an integer of at least 1, got 0"),
        ({"stem_stride": "4"}, "stem_stride: expected an integer of at least 1, got '4'"),
        ({"hidden": -3}, "hidden: expected"),
        ({"kernel_dim": 0}, "kernel_dim: expected"),
        ({"modulation_kernel": 5}, "modulation_kernel: expected 1 or 3, got 5"),
        ({"guidance_channels": 19}, "only variant 'spade'.*got 19 with variant 'hifacegan'"),
    ],
)
def test_configurations_that_cannot_be_built_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        GeneratorConfig(**fields)


def test_parsing_maps_fit_spade():
    assert GeneratorConfig(variant="spade", guidance_channels=19).guidance_channels == 19


def test_nearest_lists_all_when_none_is_close():
    assert nearest("qqq", ["a", "b"]) == "; known: a, b"
    assert nearest("widht", ["width", "depth"]) == "; did you mean 'width'?"


def test_check_choice_accepts_what_is_known():
    from faceren.config import Head

    assert check_choice("head", "tanh", Head) is None
