import pytest
import torch
import torch.nn.functional as F

from faceren.networks import spade
from faceren.networks.spade import (
    SpadeResBlock,
    activated,
    conv3x3,
    normalise,
    pointwise,
    resize_nearest,
)


@pytest.mark.parametrize("bias", [True, False])
def test_small_maps_are_convolved_as_large_ones(monkeypatch, bias):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 5, 9, 14, generator=generator, dtype=torch.float64)
    kernel = torch.rand(7, 5, 3, 3, generator=generator, dtype=torch.float64)
    offset = torch.rand(7, generator=generator, dtype=torch.float64) if bias else None
    expected = F.conv2d(x, kernel, offset, padding=1)
    with torch.inference_mode():
        torch.testing.assert_close(conv3x3(x, kernel, offset), expected)
        monkeypatch.setattr(spade, "SMALL", 0)
        assert torch.equal(conv3x3(x, kernel, offset), expected)


def test_training_convolves_small_maps_with_a_gradient():
    x = torch.rand(1, 2, 4, 4, requires_grad=True)
    kernel = torch.rand(3, 2, 3, 3)
    conv3x3(x, kernel, None).sum().backward()
    assert x.grad[0, 0, 1, 1].item() == pytest.approx(kernel[:, 0].sum().item(), rel=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_a_pointwise_convolution_is_torchs(bias):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 5, 9, 14, generator=generator, dtype=torch.float64)
    kernel = torch.rand(7, 5, 1, 1, generator=generator, dtype=torch.float64)
    offset = torch.rand(7, generator=generator, dtype=torch.float64) if bias else None
    expected = F.conv2d(x, kernel, offset)
    assert torch.equal(pointwise(x, kernel, offset), expected)  # with a gradient: torch's own
    with torch.inference_mode():
        torch.testing.assert_close(pointwise(x, kernel, offset), expected)


@pytest.mark.parametrize("count", [1, 100, 2**14, 2**14 + 3])
def test_an_activation_in_pieces_is_the_whole(count):
    x = torch.linspace(-8, 8, count, dtype=torch.float64).view(1, -1)
    with torch.inference_mode():
        assert activated(x, torch.tanh).shape == x.shape
        torch.testing.assert_close(activated(x, torch.tanh), x.tanh(), rtol=1e-14, atol=0)


def features(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize(("kind", "axes"), [("instance", (2, 3)), ("layer", (1,))])
def test_normalise_gives_zero_mean_and_unit_variance(kind, axes):
    out = normalise(5 + 3 * features(2, 6, 7, 8), kind)
    assert out.mean(axes).abs().max() < 1e-12
    torch.testing.assert_close(
        out.var(axes, unbiased=False), torch.ones_like(out.mean(axes)), atol=1e-4, rtol=0
    )


def test_normalise_by_hand():
    x = torch.tensor([1.0, 3.0]).double().view(1, 2, 1, 1)
    expected = torch.tensor([-1.0, 1.0]).double().view(1, 2, 1, 1) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(normalise(x, "layer"), expected, rtol=1e-12, atol=0)
    assert normalise(x, "none") is x


def test_instance_statistics_survive_nearest_upsampling():
    x = features(1, 3, 4, 5)
    large = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    after = normalise(x, "instance").repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(normalise(large, "instance"), after, rtol=1e-12, atol=1e-12)


def test_resize_nearest_keeps_a_map_of_the_same_sides():
    x = features(1, 3, 4, 5)
    assert resize_nearest(x, 4, 5) is x
    assert resize_nearest(x, 8, 10).equal(x.repeat_interleave(2, 2).repeat_interleave(2, 3))


SETTINGS = {
    "hidden": 4,
    "kernel": 3,
    "normalisation": "instance",
    "modulation": "plain",
    "spade_shortcut": True,
    "spectral": False,
    "upsample": False,
}


def block(**changes):
    return SpadeResBlock(8, 4, 3, **(SETTINGS | {"upsample": True} | changes)).double()


def test_block_doubles_the_sides_and_changes_the_channels():
    assert block()(features(2, 8, 5, 6), features(2, 3, 10, 12)).shape == (2, 4, 10, 12)
    assert block(upsample=False)(features(2, 8, 5, 6), features(2, 3, 3, 3)).shape == (2, 4, 5, 6)


@pytest.mark.parametrize("modulation", ["plain", "one-plus"])
def test_gamma_and_beta_of_zero(modulation):
    network = block(modulation=modulation, upsample=False, spade_shortcut=False)
    for conv in network.modulate:
        torch.nn.init.zeros_(conv.weight)
    x, guidance = features(1, 8, 5, 5), features(1, 3, 5, 5)
    if modulation == "plain":  # the main path is the biases of its last convolution
        torch.testing.assert_close(
            network(x, guidance) - network.conv_s(x),
            network.conv_1.bias.view(1, -1, 1, 1).expand(1, 4, 5, 5),
        )
    else:  # the modulation does nothing
        relu = torch.nn.functional.leaky_relu
        main = network.conv_0(relu(normalise(x, "instance"), 0.2))
        main = network.conv_1(relu(normalise(main, "instance"), 0.2))
        torch.testing.assert_close(network(x, guidance), network.conv_s(x) + main)


def test_spectral_norm_divides_by_the_largest_singular_value():
    network = block(spectral=True).train()
    for _ in range(60):  # power iterations
        network(features(1, 8, 4, 4), features(1, 3, 8, 8))
    weight = network.eval().conv_0.weight.flatten(1)
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("spade_shortcut", [True, False])
@pytest.mark.parametrize("upsample", [True, False])
def test_inference_leaves_its_input_alone(spade_shortcut, upsample):
    network = block(spade_shortcut=spade_shortcut, upsample=upsample)
    x, guidance = features(1, 8, 8, 8), features(1, 3, 8, 8)
    before = x.clone(), guidance.clone()
    with torch.no_grad():
        network(x, guidance)
    assert torch.equal(x, before[0])
    assert torch.equal(guidance, before[1])


def test_an_identity_shortcut_leaves_its_input_alone():
    network = SpadeResBlock(4, 4, 3, **SETTINGS).double()
    x, guidance = features(1, 4, 8, 8), features(1, 3, 8, 8)
    before = x.clone()
    with torch.no_grad():
        network(x, guidance)
    assert torch.equal(x, before)


@pytest.mark.parametrize("kernel", [1, 3])
def test_inference_computes_what_training_does(kernel):
    network = block(modulation="one-plus", kernel=kernel)
    x, guidance = features(2, 8, 8, 12), features(2, 3, 16, 24)
    with torch.no_grad():
        found = network(x, guidance)
    torch.testing.assert_close(found, network(x, guidance), rtol=1e-10, atol=1e-11)


def test_modulation_pixel_by_pixel_comes_out_the_same(monkeypatch):
    monkeypatch.setattr(spade, "PIXELS", 7)
    network = block(modulation="one-plus", normalisation="layer", kernel=1)
    x, guidance = features(2, 8, 5, 6), features(2, 3, 10, 12)
    with torch.no_grad():
        quick = network(x, guidance)
    torch.testing.assert_close(quick, network(x, guidance), rtol=1e-12, atol=1e-12)
