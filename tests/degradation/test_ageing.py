"""What happens to a photograph scales with it, and happens in the order of life."""

import numpy as np
import pytest

from faceren.degradation import ageing
from faceren.degradation.pixels import Sampler
from faceren.degradation.resolution import (
    EdgeSoftness,
    Jpeg,
    MotionBlur,
    Sharpen,
    Shrink,
    SoftFocus,
)
from faceren.degradation.wear import Crease, Dust, Hairs


def draws(count: int = 400) -> list[Sampler]:
    return [Sampler(seed) for seed in range(count)]


def test_a_scan_shrinks_sharpens_and_compresses_in_this_order() -> None:
    order = (Shrink, Sharpen, Jpeg)
    found = [[order.index(type(o)) for o in ageing.scan(sampler, 1.0)] for sampler in draws()]
    assert all(kinds == sorted(kinds) for kinds in found)
    shares = np.mean([[kind in kinds for kind in range(3)] for kinds in found], 0)
    assert shares == pytest.approx([0.945, 0.5, 0.9], abs=0.07)


def test_shake_has_an_odd_kernel_no_longer_than_said() -> None:
    sides = [o.kernel for s in draws() for o in ageing.shake(s, 1.0, longest=9)]
    assert set(sides) == {3, 5, 7, 9}
    doubled = [o.kernel for s in draws() for o in ageing.shake(s, 2.0, longest=9)]
    assert max(doubled) == 19


def test_a_portrait_lens_is_sharp_in_the_middle_and_sometimes_glows() -> None:
    lenses = [ageing.portrait_lens(sampler, 1.0) for sampler in draws()]
    assert {type(lens[0]) for lens in lenses} == {EdgeSoftness}
    assert sum(isinstance(lens[-1], SoftFocus) for lens in lenses) == pytest.approx(160, abs=30)


def test_dust_is_white_then_black_and_hairs_are_rare() -> None:
    for sampler in draws(50):
        white, black, *hairs = ageing.dust(sampler, 1.0, most=60)
        assert isinstance(white, Dust)
        assert 10 <= white.count <= 60
        assert white.colour == ageing.WHITE
        assert isinstance(black, Dust)
        assert 0 <= black.count <= 30
        assert black.colour == ageing.BLACK
        assert all(isinstance(hair, Hairs) for hair in hairs)


def test_a_crease_ends_on_two_borders() -> None:
    for sampler in draws(100):
        (crease,) = ageing.crease(sampler, 1.0, ageing.WHITE)
        assert isinstance(crease, Crease)
        for x, y in ((crease.x0, crease.y0), (crease.x1, crease.y1)):
            assert {x, y} & {0.0, 1.0}
            assert 0 <= x <= 1
            assert 0 <= y <= 1


def test_a_blur_is_never_shorter_than_a_kernel_can_be() -> None:
    (blur,) = ageing.shake(Sampler(1), 0.01, longest=9)
    assert isinstance(blur, MotionBlur)
    assert blur.kernel == 3
