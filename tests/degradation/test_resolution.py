import io
from statistics import NormalDist

import cv2
import numpy as np
import pytest
from PIL import Image

from faceren.arrays import Rgb8
from faceren.degradation.resolution import (
    EdgeSoftness,
    GaussianBlur,
    Jpeg,
    Mosaic,
    MotionBlur,
    Sharpen,
    Shrink,
    SoftFocus,
    paper_kernel,
    quality_of,
    resize,
    whole_kernel,
)

from .conftest import flat


@pytest.mark.parametrize(
    ("sigma", "side"), [(3.0, 9), (4.0, 11), (4.99, 15), (5.0, 13), (6.0, 15), (8.0, 21)]
)
def test_the_papers_kernel_sides(sigma: float, side: int) -> None:
    assert paper_kernel(sigma) == side


def test_gaussian_blur_turns_an_edge_into_the_bells_integral() -> None:
    image = flat(0, height=65, width=64)
    image[:, 32:] = 200
    profile = GaussianBlur(sigma=2.0, kernel=whole_kernel(2.0))(image)[32, :, 0]
    expected = [200 * NormalDist(31.5, 2.0).cdf(x) for x in range(64)]
    assert np.abs(profile - np.array(expected)).max() < 1.5


def test_the_papers_kernel_is_cut_off_so_it_blurs_less_than_its_sigma(face: Rgb8) -> None:
    cut = GaussianBlur(sigma=5.0, kernel=paper_kernel(5.0))(face).astype(int)
    whole = GaussianBlur(sigma=5.0, kernel=whole_kernel(5.0))(face).astype(int)
    assert np.abs(np.diff(cut, axis=1)).sum() > np.abs(np.diff(whole, axis=1)).sum()


@pytest.mark.parametrize("angle", [0.0, 37.0, 90.0, 211.0])
def test_motion_weights_sum_to_one_and_lie_on_a_line(angle: float) -> None:
    weights = MotionBlur(kernel=15, angle=angle, direction=0.0).weights()
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    down, across = np.mgrid[-7:8, -7:8]
    # the line is vertical at 0 degrees and turns counter-clockwise
    turn = np.deg2rad(angle)
    off = across * np.cos(turn) - down * np.sin(turn)
    assert (weights * off**2).sum() < 0.5


def test_motion_direction_moves_the_weight_to_one_end() -> None:
    even = MotionBlur(kernel=11, angle=0.0, direction=0.0).weights().sum(1)
    assert np.allclose(even, 1 / 11)
    one = MotionBlur(kernel=11, angle=0.0, direction=1.0).weights().sum(1)
    other = MotionBlur(kernel=11, angle=0.0, direction=-1.0).weights().sum(1)
    assert one[0] > 0.15
    assert one[-1] == 0
    assert np.allclose(one, other[::-1], atol=0.002)


def test_motion_blur_smears_only_along_the_line() -> None:
    image = flat(0, height=41, width=41)
    image[20, 20] = 255
    smeared = MotionBlur(kernel=11, angle=0.0, direction=0.0)(image)[..., 0]
    assert (smeared[15:26, 20] == 23).all()  # 255 / 11, rounded
    assert smeared.sum() == 23 * 11


def test_blurs_keep_a_flat_image() -> None:
    for blur in (
        GaussianBlur(sigma=3.0, kernel=9),
        MotionBlur(kernel=15, angle=30.0, direction=0.3),
        SoftFocus(sigma=4.0, amount=0.5),
        EdgeSoftness(sigma=4.0, x=0.5, y=0.5, radius=0.5),
    ):
        assert np.array_equal(blur(flat(77)), flat(77))


def test_soft_focus_is_the_stated_mixture(face: Rgb8) -> None:
    assert np.array_equal(SoftFocus(sigma=3.0, amount=0.0)(face), face)
    half = SoftFocus(sigma=3.0, amount=0.5)(face).astype(int)
    whole = SoftFocus(sigma=3.0, amount=1.0)(face).astype(int)
    assert np.abs(half - (face + whole) / 2).max() <= 1


def test_edge_softness_leaves_the_centre_alone(face: Rgb8) -> None:
    soft = EdgeSoftness(sigma=4.0, x=0.5, y=0.5, radius=0.5)(face)
    assert np.array_equal(soft[40:56, 50:78], face[40:56, 50:78])
    assert not np.array_equal(soft[:10], face[:10])


def test_shrinking_keeps_the_size_and_takes_the_detail() -> None:
    image = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (96, 128, 3), np.uint8)
    small = Shrink(scale=0.25, down="area")(image)
    assert small.shape == image.shape
    power = [np.abs(np.fft.fft2(x[..., 0].astype(float)))[24:73, 32:97] for x in (small, image)]
    assert power[0].sum() < 0.1 * power[1].sum()  # all that a quarter of the pixels cannot hold


def test_cubic_shrinking_aliases_and_the_others_do_not() -> None:
    image = flat(0, height=64, width=64)
    image[:, ::4] = 255  # every fourth column: gray 64 when averaged
    # cubic looks at the columns 1.5 pixels from the new centres and hardly at these
    cubic = Shrink(scale=0.25, down="cubic")(image).astype(int)
    assert np.abs(cubic[8:-8, 8:-8] - 64).min() > 40
    for by in ("area", "antialiased"):
        honest = Shrink(scale=0.25, down=by)(image).astype(int)
        assert np.abs(honest[8:-8, 8:-8] - 64).max() <= 3


def test_the_small_side_is_rounded() -> None:
    image = np.arange(100, dtype=np.uint8)[:, None, None].repeat(100, 1).repeat(3, 2)
    expected = cv2.resize(
        cv2.resize(image, (13, 13), interpolation=cv2.INTER_CUBIC),
        (100, 100),
        interpolation=cv2.INTER_CUBIC,
    )
    assert np.array_equal(Shrink(scale=0.126)(image), expected)


def test_antialiased_is_pillows_bicubic(face: Rgb8) -> None:
    ours = resize(face, height=24, width=32, by="antialiased")
    pillows = Image.fromarray(face).resize((32, 24), Image.Resampling.BICUBIC)
    assert np.array_equal(ours, np.array(pillows))


def test_mosaic_blocks_are_truncated_means() -> None:
    image = flat(10, height=32, width=48)
    image[0, 0] = 11  # mean 10 + 1/256
    image[16:32, 16:32] = 200
    blocks = Mosaic(block=16)(image)
    assert (blocks[:16, :16] == 10).all()
    assert (blocks[16:, 16:32] == 200).all()
    assert np.array_equal(Mosaic(block=1)(image), image)


def test_mosaic_cuts_blocks_at_the_far_edges() -> None:
    image = flat(0, height=20, width=20)
    image[16:, 16:] = 90
    assert (Mosaic(block=16)(image)[16:, 16:] == 90).all()
    assert Mosaic(block=16)(image)[:16].max() == 0


def test_sharpening_makes_halos_and_leaves_flat_parts() -> None:
    image = flat(80)
    image[:, 64:] = 160
    sharp = Sharpen(sigma=2.0, amount=1.0)(image)
    assert sharp[0, 63, 0] < 70
    assert sharp[0, 64, 0] > 170
    assert sharp[0, 0, 0] == 80
    assert sharp[0, -1, 0] == 160


@pytest.mark.parametrize(("compression", "quality"), [(50, 51), (67, 34), (84, 18), (0, 100)])
def test_the_papers_jpeg_quality(compression: int, quality: int) -> None:
    assert quality_of(compression) == quality


def test_jpeg_has_the_tables_of_its_quality_and_half_chroma(face: Rgb8) -> None:
    """What Pillow, another wrapper of the same library, makes of the same quality."""
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=37)
    pillows = np.array(Image.open(file), np.int16)
    assert np.abs(Jpeg(quality=37)(face) - pillows).max() <= 3


@pytest.mark.parametrize("quality", [18, 51, 90])
def test_the_quantisation_table_scales_as_the_standard_says(
    quality: int, face: Rgb8, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    decode = cv2.imdecode
    monkeypatch.setattr(
        cv2, "imdecode", lambda data, flags: seen.append(data.tobytes()) or decode(data, flags)
    )
    Jpeg(quality=quality)(face)
    with Image.open(io.BytesIO(seen[0])) as image:
        table = image.quantization[0]
        sampling = image.layer
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    assert table[0] == (16 * scale + 50) // 100  # 16 is the standard's first luminance step
    assert [component[1:3] for component in sampling] == [(2, 2), (1, 1), (1, 1)]


def test_swapped_jpeg_mistreats_blue_as_red(face: Rgb8) -> None:
    plain, swapped = Jpeg(quality=20), Jpeg(quality=20, swapped=True)
    assert not np.array_equal(plain(face), swapped(face))
    mirrored = np.ascontiguousarray(face[..., ::-1])
    assert np.array_equal(swapped(face), plain(mirrored)[..., ::-1])


def test_jpeg_hardly_changes_a_flat_image() -> None:
    assert np.abs(Jpeg(quality=90)(flat(100)).astype(int) - 100).max() <= 1
