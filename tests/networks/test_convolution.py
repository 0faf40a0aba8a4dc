import pytest
import torch
import torch.nn.functional as F

from faceren.networks import convolution
from faceren.networks.convolution import activated, conv3x3, pointwise


@pytest.mark.parametrize("bias", [True, False])
def test_small_maps_are_convolved_as_large_ones(monkeypatch, bias):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 5, 9, 14, generator=generator, dtype=torch.float64)
    kernel = torch.rand(7, 5, 3, 3, generator=generator, dtype=torch.float64)
    offset = torch.rand(7, generator=generator, dtype=torch.float64) if bias else None
    expected = F.conv2d(x, kernel, offset, padding=1)
    with torch.inference_mode():
        torch.testing.assert_close(conv3x3(x, kernel, offset), expected)
        monkeypatch.setattr(convolution, "SMALL", 0)
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
