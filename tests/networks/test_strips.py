import pytest
import torch
import torch.nn.functional as F

from faceren.networks import strips
from faceren.networks.strips import conv3x3, direct3x3, pointwise


@pytest.mark.parametrize("bias", [True, False])
def test_small_maps_are_convolved_as_large_ones(monkeypatch, bias):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 5, 9, 14, generator=generator, dtype=torch.float64)
    kernel = torch.rand(7, 5, 3, 3, generator=generator, dtype=torch.float64)
    offset = torch.rand(7, generator=generator, dtype=torch.float64) if bias else None
    expected = F.conv2d(x, kernel, offset, padding=1)
    with torch.inference_mode():
        torch.testing.assert_close(direct3x3(x, kernel, offset), expected)
        torch.testing.assert_close(conv3x3(x, kernel, offset), expected)
        monkeypatch.setattr(strips, "SMALL", 0)
        assert torch.equal(direct3x3(x, kernel, offset), expected)


def test_training_convolves_small_maps_with_a_gradient():
    x = torch.rand(1, 2, 4, 4, requires_grad=True)
    kernel = torch.rand(3, 2, 3, 3)
    direct3x3(x, kernel, None).sum().backward()
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
