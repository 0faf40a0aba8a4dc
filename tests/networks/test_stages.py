from dataclasses import replace

import pytest
import torch

from faceren.errors import ConfigError, ShapeError
from faceren.networks.generator import build_generator
from faceren.networks.stages import residual_map, stage_outputs
from tests.networks.literal import randomise
from tests.networks.shapes import TINY

NAMES = ("start", "head_0", "middle_0", "ups_0", "ups_1")


def network():
    return randomise(build_generator(TINY)).eval()


def faces():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("mode", "guided"),
    [
        ("single", [(name,) for name in NAMES]),
        ("cumulative", [NAMES[: count + 1] for count in range(5)]),
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
            whole = generator(x, constant_guidance=constants)
            assert whole.equal(stage.added if stage.passed is None else stage.passed + stage.added)
            assert not stage.added.requires_grad


@pytest.mark.parametrize("head", ["tanh", "residual", "bands"])
def test_the_last_accumulation_is_the_plain_output(head):
    generator = randomise(build_generator(replace(TINY, head=head))).eval()
    x = faces()
    last = stage_outputs(generator, x, mode="cumulative")[-1]
    with torch.no_grad():
        whole = generator(x)
    if head == "tanh":
        assert last.passed is None
        assert last.added.equal(whole)
    else:
        assert (last.passed + last.added).equal(whole)
        assert last.passed.equal(x) == (head == "residual")
    assert not last.added.equal(stage_outputs(generator, x, mode="single")[-1].added)


def test_without_any_features_nothing_of_the_input_is_left():
    generator = network()
    constants = dict.fromkeys(NAMES, 0.5)
    with torch.no_grad():
        ours, other = (
            generator.parts(x, constant_guidance=constants)[1] for x in (faces(), 1 - faces())
        )
        del constants["start"]  # which is made of the input, too
        leaking = [
            generator.parts(x, constant_guidance=constants)[1] for x in (faces(), 1 - faces())
        ]
    assert ours.equal(other)
    assert not leaking[0].equal(leaking[1])


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
