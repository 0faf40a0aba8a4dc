from itertools import pairwise

import numpy as np
import pytest

from faceren.assets import model_path
from faceren.errors import FaceError
from faceren.inference import load_restorer
from faceren.restoration import background
from faceren.restoration.background import background_bands, tile_spans, tile_weight
from faceren.restoration.network import Restored
from tests.restoration.pages import FloatPage


def photo(height, width, seed=0):
    """Soft shapes and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [0.5 + 0.3 * np.sin(x / (9 + c) + c) * np.cos(y / 13) for c in range(3)]
    noise = rng.normal(0, 0.02, (height, width, 3))
    return np.clip(np.stack(waves, axis=2) + noise, 0, 1).astype(np.float32)


def restored(image, restore):
    """Apply the bands as they come, as the pipeline does."""
    page = FloatPage(image.copy())

    def run(tiles):
        return [Restored(tile, 1.0) for tile in restore(tiles)]

    for (x0, y0, x1, y1), change in background_bands(page, run):
        page.image[y0:y1, x0:x1] += change
    return page.image


@pytest.mark.parametrize("length", [20, 832, 895, 896, 1407, 1408, 1337, 5000])
def test_tiles_cover_a_side_start_aligned_and_weigh_one_together(length):
    spans = tile_spans(length)
    total = np.zeros(length)
    for span in spans:
        total[slice(*span)] += tile_weight(span, length)
    assert total.min() >= 1
    assert (spans[0][0], spans[-1][1]) == (0, length)
    assert all(start % background.ALIGNMENT == 0 for start, _ in spans)
    assert all(a[1] - b[0] >= 2 * background.RIM + background.BLEND for a, b in pairwise(spans))


def test_a_network_that_adds_light_adds_it_everywhere():
    image = photo(900, 1400)
    after = restored(image, lambda tiles: [tile + np.float32(0.125) for tile in tiles])
    np.testing.assert_allclose(after - image, 0.125, atol=1e-5)


def test_the_rim_of_a_tile_is_never_used():
    image = photo(900, 1400)

    def spoil_rims(tiles):
        spoilt = []
        for tile in tiles:
            new = np.full_like(tile, 9)
            rim = background.RIM
            new[rim:-rim, rim:-rim] = tile[rim:-rim, rim:-rim]
            spoilt.append(new)
        return spoilt

    after = restored(image, spoil_rims)
    middle = slice(background.RIM, -background.RIM)  # a photo's border is a tile's, too
    np.testing.assert_allclose(after[middle, middle], image[middle, middle], atol=1e-6)


@pytest.mark.parametrize("model", ["base", "compact"])
def test_tiles_equal_one_pass_over_the_whole_photo(model):
    network = load_restorer(model_path(model), device="cpu")

    def restore(tiles):
        return [network.restore_pictures([tile])[0] for tile in tiles]

    image = photo(128, 900)
    whole, tiled = restore([image])[0], restored(image, restore)
    assert len(tile_spans(900)) == 2
    assert np.abs(whole - image).max() > 0.02
    assert np.abs(whole - tiled).max() < 3 / 255
    assert np.abs(whole - tiled).mean() < 0.1 / 255


def test_the_order_of_tiles_in_a_pass_does_not_matter():
    image = photo(100, 1400)

    def blur(tiles):
        return [(tile + np.roll(tile, 1, axis=0)) / 2 for tile in tiles]

    forward = restored(image, blur)
    backward = restored(image, lambda tiles: blur(tiles[::-1])[::-1])
    np.testing.assert_array_equal(forward, backward)


def test_a_tile_that_fails_fails_the_photo():
    image = photo(100, 1400)
    bands = background_bands(FloatPage(image), lambda tiles: [FaceError("black")] * len(tiles))
    with pytest.raises(FaceError, match="black"):
        next(bands)
