import pytest
import torch

from faceren.errors import ConfigError, ShapeError
from faceren.networks.generator import build_generator
from faceren.networks.stages import residual_map, stage_outputs
from tests.networks.literal import randomise
from tests.networks.shapes import TINY

NAMES = ("head_0", "middle_0", "ups_0", "ups_1")


def network():
    return randomise(build_generator(TINY)).eval()


def faces():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("mode", "guided"),
    [
        ("single", [(name,) for name in NAMES]),
        ("cumulative", [NAMES[: count + 1] for count in range(4)]),
        ("without", [tuple(n for n in NAMES if n != name) for name in NAMES]),
    ],
)
def test_each_mode_guides_the_right_blocks(mode, guided):
    generator, x = network(), faces()
    stages = stage_outputs(generator, x, mode=mode, constant=0.25)
    assert [stage.guided for stage in stages] == guided
    with torch.no_grad():
        for stage in stages:
            constants = {name: 0.25 for name in NAMES if name not in stage.guided}
            assert stage.output.equal(generator(x, constant_guidance=constants))
            assert not stage.output.requires_grad


def test_the_last_accumulation_is_the_plain_output():
    generator, x = network(), faces()
    last = stage_outputs(generator, x, mode="cumulative")[-1]
    with torch.no_grad():
        assert last.output.equal(generator(x))
    assert not last.output.equal(stage_outputs(generator, x, mode="single")[-1].output)


def test_unknown_mode_is_named():
    with pytest.raises(
        ConfigError, match="mode: expected one of .*, got 'singel'; did you mean 'single'"
    ):
        stage_outputs(network(), faces(), mode="singel")


def test_residual_map_by_hand():
    damaged = torch.tensor([0.0, 1.0, 0.5, 0.2]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    restored = torch.tensor([1.0, -3.0, 0.5, 0.4]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    expected = torch.tensor([1.0, 0.0, 0.5, 0.6]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    torch.testing.assert_close(residual_map(damaged, restored), expected)
    with pytest.raises(ShapeError, match=r"got \(1, 3, 2, 2\) and \(1, 3, 2, 1\)"):
        residual_map(damaged, restored[..., :1])
