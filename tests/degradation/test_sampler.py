import numpy as np
import pytest

from faceren.degradation.sampler import Sampler, item_seed


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
