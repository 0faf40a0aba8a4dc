from dataclasses import replace

import pytest
import torch
from torch import Tensor

from faceren.config import GeneratorConfig
from faceren.errors import ConfigError, ShapeError
from faceren.networks.generator import (
    Generator,
    build_generator,
    mirrored_mean,
    unused_parameters,
)
from tests.networks.literal import LiteralGenerator, copy_weights, randomise
from tests.networks.shapes import BASE, COMPACT, TINY
from tests.training.tiny import CONFIG

PUBLISHED = GeneratorConfig(suppression="lip", width=2)
RESIDUAL = replace(TINY, head="residual")


def faces(*sides: int, count: int = 1, channels: int = 3, double: bool = True) -> Tensor:
    drawn = torch.rand(count, channels, *sides, generator=torch.Generator().manual_seed(1))
    return torch.rand_like(drawn).copy_(drawn).double() if double else drawn


def difference(ours: Tensor, expected: Tensor) -> float:
    return float((ours - expected).abs().max() / expected.abs().max())


def make(config: GeneratorConfig, *, seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return randomise(build_generator(config).double(), seed=seed).eval()


@pytest.mark.parametrize(
    ("variant", "count"),
    [("hifacegan", 130_568_012), ("lipspade", 120_269_708), ("spade", 91_986_380)],
)
def test_parameter_counts_are_the_published_ones(variant, count):
    with torch.device("meta"):
        network = build_generator(GeneratorConfig(variant=variant, suppression="lip"))
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(
    ("variant", "width", "count"),
    [
        ("hifacegan", 48, 79_873_084),
        ("lipspade", 48, 72_223_660),
        ("spade", 48, 56_312_668),
        ("hifacegan", 16, 14_294_876),
        ("hifacegan", 8, 5_274_868),
    ],
)
def test_parameter_counts_at_other_widths(variant, width, count):
    with torch.device("meta"):
        config = GeneratorConfig(variant=variant, width=width, suppression="lip")
        network = build_generator(config)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize("variant", ["hifacegan", "lipspade", "spade"])
@pytest.mark.parametrize("suppression", ["adaptive", "lip", "fixed"])
def test_equals_the_literal_network(variant, suppression):
    config = replace(PUBLISHED, variant=variant, suppression=suppression)
    literal = randomise(LiteralGenerator(config).double())
    fast = build_generator(config).double().eval()
    copy_weights(literal, fast)
    x = faces(64, 96)
    with torch.no_grad():
        expected = literal(x)
        assert expected.std() > 0.05
        assert difference(fast(x), expected) < 1e-9


@pytest.mark.parametrize(
    "config",
    [
        RESIDUAL,
        replace(RESIDUAL, suppression="lip", middle_blocks=2),
        replace(RESIDUAL, kernel_activation="tanh", normalisation="none"),
        replace(TINY, variant="lipspade", head="tanh"),
        replace(PUBLISHED, width=3, depth=3, stem_stride=2, modulation="one-plus", hidden=5),
        replace(
            PUBLISHED, depth=2, max_multiplier=3, shortcut="plain", encoder_normalisation="layer"
        ),
    ],
)
def test_other_members_of_the_family_equal_the_literal_network(config):
    literal = randomise(LiteralGenerator(config).double())
    fast = build_generator(config).double().eval()
    copy_weights(literal, fast)
    x = faces(2 * config.stride, 3 * config.stride)
    with torch.no_grad():
        assert difference(fast(x), literal(x)) < 1e-9


def test_float32_loses_little():
    network = make(replace(PUBLISHED, width=8))
    x = faces(64, 64)
    with torch.no_grad():
        exact = network(x)
        assert difference(network.float()(x.float()), exact) < 1e-4


def test_parsing_map_guides_spade():
    config = replace(PUBLISHED, variant="spade", guidance_channels=19)
    literal = randomise(LiteralGenerator(config).double())
    fast = build_generator(config).double().eval()
    copy_weights(literal, fast)
    x, parsing = faces(64, 64), faces(64, 64, channels=19)
    with torch.no_grad():
        assert difference(fast(x, parsing), literal(x, parsing)) < 1e-9
        assert difference(fast(x, parsing), fast(x, parsing.flip(1))) > 0.01


@pytest.mark.parametrize("config", [PUBLISHED, TINY, replace(PUBLISHED, suppression="adaptive")])
def test_a_face_does_not_depend_on_its_neighbours(config):
    network = make(config)
    batch = faces(64, 64, count=3)
    with torch.no_grad():
        together = network(batch)
        for index in range(3):
            assert difference(together[index : index + 1], network(batch[index : index + 1])) < 1e-5


def test_untrained_published_network_is_black():
    torch.manual_seed(0)
    with torch.no_grad():
        output = build_generator(replace(PUBLISHED, width=16))(faces(64, 64, double=False))
    assert 0 < output.abs().max() < 1e-4


@pytest.mark.parametrize("config", [COMPACT, RESIDUAL])
def test_untrained_network_that_adds_is_the_identity(config):
    x = faces(64, 64, double=False)
    with torch.no_grad():
        assert torch.equal(build_generator(config)(x), x)


@pytest.mark.parametrize("variant", ["hifacegan", "lipspade", "spade"])
@pytest.mark.parametrize("config", [PUBLISHED, TINY])
def test_gradient_reaches_every_live_parameter_and_no_dead_one(config, variant):
    network = make(replace(config, variant=variant)).train()
    (network(faces(64, 64, count=2)) * faces(64, 64, count=2).flip(3)).sum().backward()
    reached = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert {n for n, _ in network.named_parameters()} - reached == set(unused_parameters(network))


def test_unused_parameters_are_named():
    ends = [f"to_rgb_unused.{i}.{kind}" for i in range(3) for kind in ("weight", "bias")]
    assert unused_parameters(build_generator(PUBLISHED)) == ends
    lipspade = build_generator(replace(PUBLISHED, variant="lipspade"))
    assert unused_parameters(lipspade) == ["fc.weight", "fc.bias", *ends]
    assert unused_parameters(build_generator(TINY)) == []


@pytest.mark.parametrize(
    "config", [replace(TINY, width=8, hidden=8), replace(PUBLISHED, width=4, depth=3)]
)
def test_overfits_two_images(config):
    torch.manual_seed(0)
    network = build_generator(config)
    ramp = torch.linspace(0.2, 0.9, 64)
    across, down = ramp.expand(3, 64, 64), ramp[:, None].expand(3, 64, 64)
    tint = torch.tensor([0.9, 0.5, 0.2])[:, None, None]
    x, targets = torch.stack([across, down.flip(1)]), torch.stack([down, (1 - across) * tint])
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(80):
        loss = (network(x) - targets).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_constant_guidance_replaces_single_blocks():
    network = make(replace(TINY, middle_blocks=2))
    x = faces(64, 64)
    with torch.no_grad():
        outputs = {n: network(x, constant_guidance={n: 0.5}) for n in network.blocks}
        full = network(x)
        assert list(outputs) == ["head_0", "middle_0", "middle_1", "ups_0", "ups_1"]
        assert all(difference(output, full) > 1e-3 for output in outputs.values())
        different = outputs["head_0"], network(x, constant_guidance={"head_0": 0.25})
        assert difference(*different) > 1e-4


def test_constant_guidance_is_a_constant_map():
    config = replace(PUBLISHED, variant="spade")
    literal = randomise(LiteralGenerator(config).double())
    fast = build_generator(config).double().eval()
    copy_weights(literal, fast)
    x = faces(64, 64)
    literal.ups[3].register_forward_pre_hook(lambda _, args: (args[0], args[1] * 0 + 0.5))
    with torch.no_grad():
        assert difference(fast(x, constant_guidance={"ups_3": 0.5}), literal(x)) < 1e-9


@pytest.mark.parametrize("config", [COMPACT, BASE])
def test_budget_of_the_shipped_networks(config):
    limit = {COMPACT: 10e9, BASE: 40e9}[config]
    assert 0 < count_macs(config, 512) <= limit


def test_cost_of_the_published_network():
    published = GeneratorConfig(suppression="lip")
    assert count_macs(published, 512) == pytest.approx(697.44e9, rel=1e-4)
    assert count_macs(published, 256) == pytest.approx(174.36e9, rel=1e-4)


def count_macs(config: GeneratorConfig, side: int) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network, x = build_generator(config).eval(), torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as counter:
        network(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 40, 64), r"multiples of 32, got \(1, 3, 40, 64\)"),
        ((1, 1, 64, 64), r"expected \(N, 3, H, W\).*got \(1, 1, 64, 64\)"),
        ((3, 64, 64), r"got \(3, 64, 64\)"),
        ((1, 3, 32, 64), r"sides of at least 64, got \(32, 64\)"),
    ],
)
def test_wrong_shapes_are_named(shape, message):
    with pytest.raises(ShapeError, match=message):
        build_generator(PUBLISHED)(torch.zeros(shape))


def test_wrong_guidance_is_named():
    network = build_generator(replace(PUBLISHED, variant="spade", guidance_channels=19))
    x = torch.zeros(1, 3, 64, 64)
    with pytest.raises(ShapeError, match=r"guidance of shape \(1, 19, 64, 64\), got none"):
        network(x)
    with pytest.raises(ShapeError, match=r"guidance \(1, 19, 64, 64\), got \(1, 3, 64, 64\)"):
        network(x, x)


def test_unknown_block_is_named():
    with pytest.raises(ConfigError, match="no block 'ups_9'; did you mean 'ups_1'"):
        build_generator(TINY)(torch.zeros(1, 3, 64, 64), constant_guidance={"ups_9": 0.5})


def test_the_mean_of_a_ramp_and_its_mirror_image_is_flat():
    ramp = torch.arange(8.0).expand(1, 3, 4, 8)
    faces = torch.rand(1, 3, 4, 8, generator=torch.Generator().manual_seed(0))
    found = mirrored_mean(lambda x: x + ramp, faces)
    torch.testing.assert_close(found, faces + 3.5)


def test_mirrored_faces_come_back_mirrored_to_the_bit():
    network = randomise(build_generator(CONFIG)).float().eval()
    faces = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = mirrored_mean(network, faces)
        theirs = mirrored_mean(network, faces.flip(-1)).flip(-1)
        alone = network(faces)
    assert torch.equal(found, theirs)
    assert (found - alone).abs().max() > 1e-3  # alone it does not treat both alike
    assert (network(faces.flip(-1)).flip(-1) - alone).abs().max() > 1e-3
