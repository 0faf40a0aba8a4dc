import numpy as np
import pytest

from faceren.images.page import Page
from faceren.restoration.repair.fill import BAND, REACH, bridged, filled, filled_bands


def ramp(height: int = 64, width: int = 80) -> np.ndarray:
    """A plane that rises in both directions: lines across a gap find it exactly."""
    plane = np.add.outer(np.arange(height) * 0.004, np.arange(width) * 0.003)
    return np.repeat(plane[..., None], 3, 2).astype(np.float32)


def test_a_plane_is_found_again_across_a_gap() -> None:
    seen, gaps = ramp(), np.zeros((64, 80), bool)
    gaps[:, 30:37] = True
    hurt = np.where(gaps[..., None], 1, seen).astype(np.float32)
    found = bridged(hurt, gaps, np.nonzero(gaps))
    assert np.abs(found - seen[gaps]).max() < 1e-5


def test_an_edge_goes_on_across_a_gap() -> None:
    """A crack across an edge: each side is bridged along the edge, not over it."""
    seen = np.zeros((40, 40, 3), np.float32)
    seen[:20] = 0.8
    gaps = np.zeros((40, 40), bool)
    gaps[:, 18:22] = True
    found = filled(np.where(gaps[..., None], 1, seen).astype(np.float32), gaps)
    assert np.abs(found[[10, 17, 22, 30]] - seen[[10, 17, 22, 30]]).max() < 0.02


def test_a_gap_at_the_border_takes_the_side_that_is_there() -> None:
    seen = np.full((30, 30, 3), 0.4, np.float32)
    gaps = np.zeros((30, 30), bool)
    gaps[:5, :5] = True
    assert bridged(seen, gaps, np.nonzero(gaps)) == pytest.approx(0.4, abs=1e-6)


def test_a_gap_without_end_keeps_its_values() -> None:
    seen, gaps = ramp(20, 20), np.ones((20, 20), bool)
    assert np.array_equal(filled(seen, gaps), seen)


def test_grain_goes_on_and_none_is_made_where_there_is_none() -> None:
    rng = np.random.default_rng(1)
    gaps = np.zeros((120, 120), bool)
    gaps[:, 55:65] = True
    flat = np.full((120, 120, 3), 0.5, np.float32)
    grainy = flat + rng.normal(0, 0.03, (120, 120, 1)).astype(np.float32)
    assert np.ptp(filled(flat, gaps)) < 1e-6
    inside = filled(grainy, gaps)[gaps].std()
    assert 0.5 * 0.03 < inside < 1.3 * 0.03


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("orientation", [1, 6])
def test_outside_the_mask_every_bit_stays(kind: type, orientation: int) -> None:
    rng = np.random.default_rng(2)
    raster = rng.integers(0, np.iinfo(kind).max, (BAND + 40, 90, 3), kind)
    page = Page(raster, "rgb", orientation=orientation)
    mask = np.zeros(page.upright_shape, bool)
    mask[20:30, 10:70] = True
    mask[:, 40:43] = True
    new = page.merged(filled_bands(page, mask))
    old, now = (
        np.rint(p.upright_region((0, 0, *mask.shape[::-1])) * np.iinfo(kind).max)
        for p in (page, new)
    )
    assert np.array_equal(old[~mask], now[~mask])
    assert (old[mask] != now[mask]).any(-1).mean() > 0.9
    assert new.raster.dtype == kind


def test_bands_give_what_the_whole_gives() -> None:
    """Without grain, which is drawn band by band."""
    height = 2 * BAND + 30
    plane = ramp(height, 60) / 3
    page = Page(np.rint(plane * 65535).astype(np.uint16), "rgb")
    mask = np.zeros((height, 60), bool)
    mask[BAND - 9 : BAND + 9, 5:55] = True
    (_, first), (_, second) = filled_bands(page, mask)
    seen = page.upright_region((0, 0, 60, height))
    whole = filled(seen, mask) - seen
    assert (
        np.abs(
            np.concatenate([first, second])[BAND - 9 : BAND + 9] - whole[mask].reshape(18, 50, 3)
        ).max()
        < 6e-4  # half of what a row of the plane rises
    )


def test_nothing_wider_than_the_reach_is_bridged() -> None:
    seen = ramp(8, 3 * REACH)
    gaps = np.zeros(seen.shape[:2], bool)
    gaps[:, 10 : 2 * REACH + 20] = True
    middle = (np.array([4]), np.array([REACH + 15]))
    assert np.array_equal(bridged(seen, gaps, middle), seen[middle])
