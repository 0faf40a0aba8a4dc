from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from faceren.config import GeneratorConfig
from faceren.errors import ConfigError, ShapeError
from faceren.networks.generator import (
    Generator,
    build_generator,
    doubled,
    gain_channels,
    gains_of,
    mirrored_mean,
    octaves,
    scaled_octaves,
    unused_parameters,
)
from tests.networks.literal import LiteralGenerator, copy_weights, randomise
from tests.networks.shapes import BASE, COMPACT, TINY
from tests.training.tiny import CONFIG


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def enlarged(line):
    """Linear interpolation halfway between the centres of pixels, written out."""
    padded = np.concatenate([line[:1], line, line[-1:]])
    left = 0.25 * padded[:-2] + 0.75 * padded[1:-1]
    right = 0.75 * padded[1:-1] + 0.25 * padded[2:]
    return np.stack([left, right], axis=1).reshape(2 * len(line), *line.shape[1:])


def softened(plane):
    """Mean over 2 x 2 pixels, and that enlarged back."""
    height, width = plane.shape
    small = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return small, enlarged(enlarged(small).T).T


def test_octaves_are_what_halving_loses():
    image = random(1, 1, 16, 24)
    plane = image[0, 0].numpy()
    for band in octaves(image, 3):
        small, soft = softened(plane)
        np.testing.assert_allclose(band[0, 0].numpy(), plane - soft, atol=1e-12)
        plane = small


def test_octaves_and_the_remainder_are_the_image():
    image = random(2, 3, 32, 16)
    whole = torch.nn.functional.avg_pool2d(image, 8)
    for band in reversed(octaves(image, 3)):
        whole = doubled(whole) + band
    assert (whole - image).abs().max() < 1e-12


@pytest.fixture
def threads():
    """Set the number of threads; it is put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_enlarging_is_linear_and_the_same_with_any_number_of_threads(threads):
    image = random(1, 3, 97, 130).float()
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(doubled(image))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    theirs = torch.nn.functional.interpolate(image, scale_factor=2, mode="bilinear")
    assert (found[0] - theirs).abs().max() < 1e-6


@pytest.mark.parametrize("shape", [COMPACT, BASE], ids=["compact", "base"])
@pytest.mark.parametrize("side", [128, 256, 384, 512, 1024])  # coarsest maps: 4 to 32 pixels
def test_the_shipped_shapes_give_the_same_bits_with_any_number_of_threads(threads, shape, side):
    network = randomise(build_generator(shape)).eval().to(memory_format=torch.channels_last)
    faces = random(1, 3, side, side).sigmoid().float().contiguous(memory_format=torch.channels_last)
    found = []
    for count in (1, 2, 5) if side != 1024 else (1, 5):
        threads(count)
        with torch.inference_mode():
            found.append(network(faces))
    assert all(torch.equal(found[0], other) for other in found[1:])
    assert (found[0] - faces).abs().max() > 0.05


def gains(gray, colour, *, count=3, side=32):
    pair = torch.tensor([gray, colour], dtype=torch.float64)[None, :, None, None]
    return [pair.expand(1, 2, side >> b, side >> b) for b in range(count)]


def test_zero_keeps_every_bit():
    image = random(1, 3, 32, 32).float()
    assert torch.equal(scaled_octaves(image, [g.float() for g in gains(0, 0)]), image)


def test_minus_one_leaves_the_coarse_remainder():
    image = random(1, 3, 32, 32)
    coarse = torch.nn.functional.avg_pool2d(image, 8)
    for _ in range(3):
        coarse = doubled(coarse)
    assert (scaled_octaves(image, gains(-1, -1)) - coarse).abs().max() < 1e-12


def test_gray_and_colour_are_scaled_apart():
    image = random(1, 3, 32, 32)
    without_colour = scaled_octaves(image, gains(0, -1))
    assert (without_colour.mean(1) - image.mean(1)).abs().max() < 1e-12
    first = octaves(without_colour, 1)[0]
    assert (first - first.mean(1, keepdim=True)).abs().max() < 0.3 * octaves(image, 1)[0].std()
    without_gray = scaled_octaves(image, gains(-1, 0))
    kept = without_gray - without_gray.mean(1, keepdim=True)
    assert (kept - (image - image.mean(1, keepdim=True))).abs().max() < 1e-12


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_each_octave_has_gains_of_its_own_size(stride):
    count, channels = 4, sum(gain_channels(b, stride) for b in range(4))
    parts = gains_of(random(2, channels, 64 // stride, 32 // stride), count, stride)
    assert [tuple(part.shape) for part in parts] == [(2, 2, 64 >> b, 32 >> b) for b in range(4)]


def test_gains_finer_than_the_features_come_from_channels_and_coarser_ones_from_means():
    channels = random(1, 2 * (4 + 1 + 1), 8, 8)
    fine, same, coarse = gains_of(channels, 3, 2)
    for dy in range(2):
        for dx in range(2):
            assert torch.equal(fine[0, 1, dy::2, dx::2], channels[0, 4 + 2 * dy + dx])
    assert torch.equal(same, channels[:, 8:10])
    assert coarse[0, 0, 1, 2].item() == pytest.approx(channels[0, 10, 2:4, 4:6].mean().item())


def test_the_head_scales_the_input_and_adds():
    network = randomise(build_generator(TINY).double()).eval()
    twin = build_generator(replace(TINY, head="residual")).double().eval()
    twin.load_state_dict({k: v for k, v in network.state_dict().items() if "to_gains" not in k})
    torch.nn.init.zeros_(network.to_gains.weight)
    torch.nn.init.constant_(network.to_gains.bias, -1)
    faces = random(2, 3, 64, 64).sigmoid()
    coarse = torch.nn.functional.avg_pool2d(faces, 16)
    for _ in range(4):
        coarse = doubled(coarse)
    with torch.no_grad():
        added = twin(faces) - faces
        assert added.std() > 0.05
        assert (network(faces) - coarse - added).abs().max() < 1e-9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stem_stride": 3}, "stem_stride: a 'bands' head needs a power of two, got 3"),
        ({"octaves": 6}, "multiples of 32 pixels, which cannot be halved 6 times"),
        ({"octaves": 0}, "octaves: expected int of at least 1, got 0"),
    ],
)
def test_impossible_octaves(values, message):
    with pytest.raises(ConfigError, match=message):
        replace(TINY, **values)


def test_other_heads_do_not_care():
    assert GeneratorConfig(stem_stride=3, octaves=9).head == "tanh"


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
