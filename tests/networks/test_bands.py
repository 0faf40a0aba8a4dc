"""The frequency bands of an image, and the output that scales them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from faceren.config import GeneratorConfig
from faceren.errors import ConfigError
from faceren.networks.bands import doubled, gain_channels, gains_of, octaves, scaled_octaves
from faceren.networks.generator import build_generator
from tests.networks.shapes import BASE, COMPACT, TINY
from tests.networks.twins import randomise


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
