"""The networks that are compared: their sizes, their sums, and that all of them learn."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from faceren.config import PUBLISHED_SHAPES, BaselineConfig
from faceren.errors import ConfigError, ShapeError
from faceren.networks.baselines.baseline import Baseline, unused_parameters, with_guide
from faceren.networks.baselines.faces import inverse_haar, sampled
from faceren.networks.baselines.layers import DIV2K_MEAN
from tests.networks.shapes import BASELINES

EVERY = sorted(BASELINES)
SIDES = {"deblurganv2": 64}
"""Pixels, where 32 are too few."""


def tiny(architecture, seed=0):
    torch.manual_seed(seed)
    return Baseline(BaselineConfig(architecture=architecture, **BASELINES[architecture]))


def picture(side=64, count=1):
    """Smooth random colours, (count, 3, side, side)."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)


def squares(count=2, side=64):
    """Random colours in squares of 8 pixels, whose edges no interpolation gives back."""
    coarse = torch.rand(count, 3, side // 8, side // 8, generator=torch.Generator().manual_seed(4))
    return F.interpolate(coarse, (side, side), mode="nearest")


def seen(network, damaged):
    return with_guide(network, damaged, damaged)


def parameters(architecture, **shape):
    with torch.device("meta"):
        network = Baseline(BaselineConfig(architecture=architecture, **shape))
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_architecture_has_a_smallest_shape():
    assert set(BASELINES) == set(PUBLISHED_SHAPES)


@pytest.mark.parametrize(
    ("architecture", "shape", "published"),
    [
        ("edsr", {}, 43_089_923),  # "43 M", EDSR-PyTorch prints it
        ("edsr", {"width": 64, "blocks": 16}, 1_517_571),  # "1.5 M"
        ("esrgan", {}, 16_697_987),  # "16.7 M"
        ("srresnet", {"blocks": 5}, 734_219),  # README of leftthomas/SRGAN
        ("deblurgan", {}, 11_378_179),  # as the authors' program has
    ],
)
def test_published_numbers_of_parameters(architecture, shape, published):
    assert parameters(architecture, **shape) == published


@pytest.mark.parametrize(
    ("architecture", "shape", "thousands"),
    [
        ("srfbn", {}, 3631),  # table of the SRFBN paper
        ("srfbn", {"scale": 3}, 2833),
        ("srfbn", {"scale": 2}, 2140),
        ("srfbn", {"width": 32, "blocks": 3}, 483),  # SRFBN-S
        ("ridnet", {}, 1499),
        ("vdnet", {}, 7817),  # as the authors' program has
        ("deblurganv2", {}, 2108),  # OpenVINO's conversion: 2.1083 M
    ],
)
def test_published_numbers_of_parameters_in_thousands(architecture, shape, thousands):
    assert parameters(architecture, **shape) / 1000 == pytest.approx(thousands, rel=1e-3)


def test_kernels_of_arcnn_are_those_of_its_paper_on_three_channels():
    network = Baseline(BaselineConfig(architecture="arcnn"))
    kernels = sum(p.numel() for p in network.parameters() if p.ndim == 4)
    of_two_more_channels = 2 * (9 * 9 * 64 + 5 * 5 * 16)
    assert kernels - of_two_more_channels == 106_448


@pytest.mark.parametrize("architecture", EVERY)
def test_shape_in_is_shape_out_and_every_parameter_gets_a_gradient(architecture):
    network = tiny(architecture)
    face = picture(SIDES.get(architecture, 32), count=2)
    output = network(seen(network, face))
    assert output.shape == face.shape
    weight = torch.rand(output.shape, generator=torch.Generator().manual_seed(2))
    (output * weight).sum().backward()
    unused = set(unused_parameters(network))
    for name, parameter in network.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.any())
        assert reached == (name not in unused), name
    assert bool(unused) == (architecture == "vdnet")


@pytest.mark.parametrize("architecture", EVERY)
def test_a_few_steps_lower_the_loss_on_one_picture(architecture):
    network, clean = tiny(architecture), squares(side=SIDES.get(architecture, 32))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    damaged = (clean + 0.1 * noise).clamp(0, 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss = F.l1_loss(network(with_guide(network, damaged, clean)), clean)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.99 * losses[0]


@pytest.mark.parametrize(
    "architecture", ["edsr", "srresnet", "esrgan", "srfbn", "superfan", "waveletsr"]
)
def test_those_that_enlarge_see_the_means_of_squares(architecture):
    network = tiny(architecture).eval()
    face = picture()
    small = F.interpolate(face, scale_factor=0.25, mode="area")
    with torch.no_grad():
        assert torch.allclose(network(face), network.body(small), atol=1e-5)
        shuffled = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
        assert torch.allclose(network(shuffled), network(face), atol=1e-4)


@pytest.mark.parametrize("scale", [2, 16])
@pytest.mark.parametrize("architecture", ["edsr", "srresnet", "esrgan", "superfan", "waveletsr"])
def test_other_scales(architecture, scale):
    shape = BASELINES[architecture] | {"scale": scale}
    network = Baseline(BaselineConfig(architecture=architecture, **shape))
    assert network.body(torch.rand(1, 3, 4, 4)).shape == (1, 3, 4 * scale, 4 * scale)


def test_edsr_without_residual_gives_the_mean_colour_of_its_training_images():
    network = tiny("edsr")
    nn.init.zeros_(network.body.tail[1].weight)
    nn.init.zeros_(network.body.tail[1].bias)
    output = network(picture()).mean((0, 2, 3))
    assert torch.allclose(output, torch.tensor(DIV2K_MEAN), atol=1e-6)


@pytest.mark.parametrize("architecture", ["ridnet", "vdnet", "deblurgan", "deblurganv2"])
def test_those_that_add_a_residual_return_their_input_without_it(architecture):
    network = tiny(architecture)
    last = {
        "ridnet": lambda body: body.tail,
        "vdnet": lambda body: body.DNet.last,
        "deblurgan": lambda body: body.model[-2],
        "deblurganv2": lambda body: body.final,
    }[architecture](network.body)
    nn.init.zeros_(last.weight)
    if architecture != "ridnet":  # whose bias takes back the mean that is added
        nn.init.zeros_(last.bias)
    assert torch.allclose(network(picture()), picture(), atol=1e-5)


def test_a_feedback_block_is_fed_its_own_output_four_times():
    network = tiny("srfbn")
    fed = []
    network.body.block.register_forward_hook(lambda _, inputs, output: fed.append((inputs, output)))
    network(picture())
    assert len(fed) == 4
    assert torch.equal(fed[0][0][0], fed[0][0][1])
    for (_, output), (inputs, _) in itertools.pairwise(fed):
        assert torch.equal(inputs[1], output)


def haar(image):
    """Return means and differences of 2x2 squares, the definition written out."""
    a, b = image[..., ::2, ::2], image[..., ::2, 1::2]
    c, d = image[..., 1::2, ::2], image[..., 1::2, 1::2]
    return torch.cat([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], 1) / 4


def test_haar_packets_are_put_together_again():
    image = picture(16)
    assert torch.allclose(inverse_haar(haar(image)), image, atol=1e-6)
    assert torch.allclose(inverse_haar(inverse_haar(haar(haar(image)))), image, atol=1e-6)


def test_wavelet_groups_do_not_see_one_another():
    network = tiny("waveletsr").eval()
    predict, features = network.body.predict[1], torch.rand(1, 64, 4, 4)
    after_mixing = predict[0](features)
    changed = after_mixing.clone()
    changed[:, : changed.shape[1] // 3] += 1  # the first of three subbands
    before, after = (predict[2](predict[1](x)) for x in (after_mixing, changed))
    assert not torch.allclose(before[:, :3], after[:, :3])
    assert torch.equal(before[:, 3:], after[:, 3:])


def test_a_flow_samples_where_it_points():
    image = picture(8)
    assert torch.allclose(sampled(image, torch.zeros(1, 2, 8, 8)), image, atol=1e-5)
    right = torch.zeros(1, 2, 8, 8)
    right[:, 0] = 2 / 8  # a pixel, in halves of the side
    assert torch.allclose(sampled(image, right)[..., :-1], image[..., 1:], atol=1e-5)
    assert torch.allclose(sampled(image, right)[..., -1], image[..., -1], atol=1e-5)


def test_the_guide_in_training_is_the_mirrored_clean_face():
    network, damaged, clean = tiny("gfrnet"), picture(count=2), picture(count=2).flip(2)
    pair = with_guide(network, damaged, clean)
    assert torch.equal(pair[:, :3], damaged)
    assert torch.equal(pair[:, 3:], clean.flip(-1))
    assert with_guide(tiny("arcnn"), damaged, clean) is damaged


def test_no_face_depends_on_its_neighbours():
    for architecture in EVERY:
        network = tiny(architecture).eval().double()
        faces = picture(SIDES.get(architecture, 32), count=2).double()
        with torch.no_grad():
            both, alone = network(seen(network, faces)), network(seen(network, faces[:1]))
        assert torch.allclose(both[:1], alone, atol=1e-5), architecture


@pytest.mark.parametrize(
    ("architecture", "shape", "message"),
    [
        ("gfrnet", (1, 3, 64, 64), r"gfrnet: expected \(N, 6, H, W\), a face and its guide, got"),
        ("arcnn", (1, 6, 64, 64), r"arcnn: expected \(N, 3, H, W\), got \(1, 6, 64, 64\)"),
        ("deblurganv2", (1, 3, 72, 64), "multiples of 32, got"),
    ],
)
def test_images_of_another_shape_are_refused(architecture, shape, message):
    with pytest.raises(ShapeError, match=message):
        tiny(architecture)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"architecture": "rcan"}, "baseline.architecture: expected one of"),
        ({"architecture": "edsr", "scale": 5}, "power of two for edsr, got 5"),
        ({"architecture": "srresnet", "scale": 3}, "power of two for srresnet, got 3"),
        ({"architecture": "edsr", "scale": 1}, "power of two for edsr, got 1"),
        ({"architecture": "ridnet", "scale": 4}, "ridnet does not enlarge, got 4"),
        ({"architecture": "arcnn", "width": 6}, "multiple of 4 for arcnn, got 6"),
        ({"architecture": "arcnn", "blocks": 2}, "at most 1 for arcnn, got 2"),
        ({"architecture": "gfrnet", "blocks": 9}, "at most 8 for gfrnet, got 9"),
        ({"architecture": "edsr", "width": 4096}, "baseline.width"),
    ],
)
def test_impossible_shapes_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        BaselineConfig(**values)


def test_zeros_stand_for_the_published_shape():
    config = BaselineConfig(architecture="edsr")
    assert (config.width, config.blocks, config.scale) == PUBLISHED_SHAPES["edsr"]
    assert config == BaselineConfig(architecture="edsr", width=256, blocks=32, scale=4)
