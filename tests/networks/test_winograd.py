import pytest
import torch
import torch.nn.functional as F

from faceren.networks import strips, winograd


def drawn(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def test_one_dimension_by_hand():
    # 4 outputs of a 3-tap filter from 6 inputs: y = A ((G g) * (B d))
    inputs, taps = torch.arange(6.0).double(), torch.tensor([1.0, 10.0, 100.0]).double()
    spread = torch.linalg.inv(winograd.vandermonde(6)).T @ inputs
    product = winograd.vandermonde(4).T @ ((winograd.vandermonde(3) @ taps) * spread)
    torch.testing.assert_close(product, torch.tensor([210.0, 321, 432, 543]).double())


@pytest.mark.parametrize("sides", [(4, 4), (12, 8), (16, 20)])
def test_equals_the_direct_sum(monkeypatch, sides):
    monkeypatch.setattr(winograd, "TILES_AT_ONCE", 3)
    x, kernel = drawn(1, 5, *sides), drawn(7, 5, 3, 3)
    values = winograd.transform_kernel(kernel)
    parts = list(winograd.convolve(strips.frame(x)[0], values))
    assert [rows.start for rows, _ in parts][1:] == [rows.stop for rows, _ in parts][:-1]
    whole = torch.cat([pixels for _, pixels in parts]).permute(2, 0, 1)[None]
    torch.testing.assert_close(whole, F.conv2d(x, kernel, padding=1), rtol=1e-12, atol=1e-12)


def test_error_in_single_precision_stays_near_that_of_the_direct_sum():
    x, kernel = drawn(1, 64, 32, 32), drawn(32, 64, 3, 3) / 24
    exact = F.conv2d(x, kernel, padding=1)
    values = winograd.transform_kernel(kernel.float())
    parts = winograd.convolve(strips.frame(x.float())[0], values)
    ours = torch.cat([pixels for _, pixels in parts]).permute(2, 0, 1)[None]
    direct = F.conv2d(x.float(), kernel.float(), padding=1)
    assert (ours - exact).norm() < 15 * (direct - exact).norm()


def test_a_strip_s_frame_is_zero_and_its_inside_the_map():
    x = drawn(2, 3, 4, 5)
    framed = strips.frame(x)
    assert torch.equal(framed.permute(0, 3, 1, 2), F.pad(x, (1, 1, 1, 1)))
    assert strips.sides(framed) == (4, 5)


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("strip", [1, 40, 10**6])
def test_direct_strips_equal_a_convolution(monkeypatch, side, strip):
    monkeypatch.setattr(strips, "STRIP", strip)
    x, kernel = drawn(2, 3, 6, 5), drawn(4, 3, side, side)
    out = torch.empty(2, 6, 5, 4).double()
    strips.write(strips.convolve(strips.frame(x), kernel), None, out)
    expected = F.conv2d(x, kernel, padding=side // 2).permute(0, 2, 3, 1)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "sides", "dtype", "answer"),
    [
        ((128, 128, 3, 3), (64, 64), torch.float32, True),
        ((128, 128, 1, 1), (64, 64), torch.float32, False),
        ((128, 128, 3, 3), (64, 66), torch.float32, False),
        ((128, 128, 3, 3), (32, 32), torch.float32, False),
        ((128, 48, 3, 3), (64, 64), torch.float32, False),
        ((128, 128, 3, 3), (64, 64), torch.bfloat16, False),
    ],
)
def test_only_wide_kernels_on_large_maps_are_worth_it(shape, sides, dtype, answer):
    kernel = torch.empty(shape, dtype=dtype)
    assert strips.pays(kernel, torch.device("cpu"), *sides) is answer
    assert strips.pays(kernel, torch.device("cuda"), *sides) is False


def test_gradients_go_through_the_direct_convolution():
    x = drawn(1, 128, 64, 64).float()
    kernel = torch.nn.Parameter(drawn(128, 128, 3, 3).float() / 34)
    bias = torch.nn.Parameter(drawn(128).float())
    plain = strips.conv3x3(x, kernel, bias)
    assert plain.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(strips.conv3x3(x, kernel, bias), plain, rtol=1e-4, atol=1e-4)
