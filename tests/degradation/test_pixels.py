import numpy as np
import pytest

from faceren.degradation.pixels import (
    Sampler,
    blend,
    edge_distance,
    item_seed,
    luminance,
    mix,
    normal_quantiles,
    random_words,
    saturate,
    scale,
    smooth_noise,
    smoothstep,
)

from .conftest import flat


def test_known_words() -> None:
    """Fixed for all platforms: integers from the raw stream of PCG64."""
    assert random_words((2, 3), 1).tolist() == [[58623, 31010, 48627], [33542, 43110, 49490]]


def test_normal_quantiles_are_symmetric_and_of_unit_variance() -> None:
    values = normal_quantiles()
    assert len(values) == 65536
    assert np.allclose(values, -values[::-1])
    assert values.std() == pytest.approx(1, abs=1e-4)
    assert values[-1] == pytest.approx(4.32, abs=0.01)


@pytest.mark.parametrize("octaves", [1, 4])
def test_smooth_noise_is_bounded_centred_and_repeatable(octaves: int) -> None:
    field = smooth_noise(200, 300, period=20.0, octaves=octaves, seed=9)
    assert field.shape == (200, 300)
    assert np.abs(field).max() <= 1
    assert abs(field.mean()) < 0.1
    assert field.std() > 0.15
    assert np.array_equal(field, smooth_noise(200, 300, period=20.0, octaves=octaves, seed=9))


def test_values_are_rounded_half_to_even_and_clipped() -> None:
    values = np.array([-3.0, 0.5, 1.5, 254.6, 300.0], np.float32)
    assert saturate(values).tolist() == [0, 0, 2, 255, 255]


def test_mixing_goes_the_masks_share_of_the_way() -> None:
    image, mask = flat(100, height=1, width=3), np.array([[0.0, 0.25, 1.0]], np.float32)
    for mixed in (blend(image, (200.0, 100.0, 0.0), mask), mix(image, (200.0, 100.0, 0.0), mask)):
        assert mixed[0].tolist() == [[100, 100, 100], [125, 100, 75], [200, 100, 0]]


def test_a_gain_multiplies_and_clips() -> None:
    gain = np.array([[0.5, 1.0, 3.0]], np.float32)
    assert scale(flat(100, height=1, width=3), gain)[0, :, 0].tolist() == [50, 100, 255]


def test_luma_weighs_green_most() -> None:
    image = np.array([[[100, 0, 0], [0, 100, 0], [0, 0, 100], [255, 255, 255]]], np.uint8)
    assert luminance(image)[0].tolist() == pytest.approx([29.9, 58.7, 11.4, 255])


def test_the_distance_from_the_edge_is_0_there_and_1_in_the_middle() -> None:
    assert edge_distance(3, 5).tolist() == [[0] * 5, [0, 0.5, 1, 0.5, 0], [0] * 5]


def test_a_smooth_step_by_hand() -> None:
    values = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.0], np.float32)
    assert smoothstep(values, 1, 3).tolist() == [0, 0, 0.15625, 0.5, 1, 1]  # 3 x^2 - 2 x^3


def test_known_seeds() -> None:
    """Fixed for all platforms; a change here makes old seeds mean something else: say so."""
    assert item_seed(0, "a/b.jpg") == 151023236218720
    assert item_seed(0, "a/b.jpg", 1) != item_seed(0, "a/b.jpg") != item_seed(1, "a/b.jpg")


def test_known_draws() -> None:
    """Fixed for all platforms, too."""
    sampler = Sampler(1)
    assert sampler.uniform(0, 1) == 0.511822
    assert sampler.length(1, 2, 0.5) == 0.975232
    assert sampler.integer(0, 99) == 3
    assert sampler.chance(0.5) is False
    assert sampler.choice("abcdef") == "a"
    assert sampler.shuffled("abcd") == ["d", "c", "a", "b"]
    assert sampler.seed() == 7455282186206669
    assert sampler.colour((10, 20, 30), (40, 50, 60)) == (22.67, 28.5, 44.3)


def test_a_generator_goes_on_where_it_was() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    first, second = Sampler(rng).uniform(0, 1), Sampler(rng).uniform(0, 1)
    again = Sampler(1)
    assert [first, second] == [again.uniform(0, 1), again.uniform(0, 1)]


def test_draws_cover_their_ranges() -> None:
    sampler = Sampler(1)
    values = [sampler.uniform(0.1, 0.4) for _ in range(500)]
    assert 0.1 <= min(values) < 0.102
    assert 0.398 < max(values) <= 0.4
    assert {sampler.integer(2, 4) for _ in range(99)} == {2, 3, 4}
    assert {sampler.choice("abc") for _ in range(99)} == set("abc")
    assert sum(sampler.chance(0.2) for _ in range(2000)) == pytest.approx(400, abs=60)


def test_a_length_is_never_shorter_than_an_operation_can_do() -> None:
    assert Sampler(1).length(0.0, 0.0, 1.0) == 0.05
    assert Sampler(1).length(2.0, 2.0, 3.0) == 6.0


def test_colours_stay_in_range() -> None:
    sampler = Sampler(1)
    drawn = np.array([sampler.colour((0.0, 0.0, 250.0), (10.0, 0.0, 255.0)) for _ in range(200)])
    assert drawn.min() == 0
    assert drawn.max() == 255
    assert 0 <= drawn[:, 0].min() <= drawn[:, 0].max() <= 14
