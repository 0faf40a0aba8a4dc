from dataclasses import FrozenInstanceError, replace

import pytest

from faceren.config import GeneratorConfig
from faceren.errors import ConfigError


def test_defaults_are_the_published_shape():
    config = GeneratorConfig()
    assert config.stride == 32
    assert [config.channels(level) for level in range(6)] == [64, 128, 256, 512, 1024, 1024]


def test_configurations_are_values():
    config = GeneratorConfig(width=48)
    assert replace(config, width=80) != config
    assert replace(config) == config
    with pytest.raises(FrozenInstanceError):
        config.width = 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"variant": "lipspad"},
            "variant: expected one of 'hifacegan'.*, got 'lipspad'; did you mean 'lipspade'",
        ),
        (
            {"suppression": "xyz"},
            "suppression: expected one of 'adaptive', 'lip', 'fixed', got 'xyz'$",
        ),
        (
            {"normalisation": "batch"},
            "normalisation: expected one of 'instance', 'layer', 'none', got 'batch'",
        ),
        ({"encoder_normalisation": 1}, "encoder_normalisation: expected one of .*, got 1"),
        ({"modulation": "two-plus"}, "did you mean 'one-plus'"),
        ({"shortcut": "none"}, "shortcut: expected one of"),
        ({"head": "residua"}, "did you mean 'residual'"),
        ({"kernel_activation": "relu"}, "kernel_activation: expected one of"),
        ({"width": 0}, "width: expected int of at least 1, got 0"),
        ({"width": 64.0}, "width: expected int of at least 1, got 64.0"),
        ({"width": True}, "width: expected int of at least 1, got True"),
        ({"depth": 1}, "depth: expected int of at least 2, got 1"),
        ({"middle_blocks": 0}, "middle_blocks: expected int of at least 1, got 0"),
        ({"stem_stride": "4"}, "stem_stride: expected int of at least 1, got '4'"),
        ({"hidden": -3}, "hidden: expected"),
        ({"kernel_dim": 0}, "kernel_dim: expected"),
        ({"modulation_kernel": 5}, "modulation_kernel: expected one of 1, 3, got 5"),
        ({"guidance_channels": 19}, "only variant 'spade'.*got 19 with variant 'hifacegan'"),
    ],
)
def test_configurations_that_cannot_be_built_are_named(fields, message):
    with pytest.raises(ConfigError, match=message):
        GeneratorConfig(**fields)


def test_parsing_maps_fit_spade():
    assert GeneratorConfig(variant="spade", guidance_channels=19).guidance_channels == 19
