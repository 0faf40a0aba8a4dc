from itertools import pairwise

import numpy as np
import pytest

from faceren.assets import model_path
from faceren.errors import FaceError
from faceren.inference import load_restorer
from faceren.restoration import paste
from faceren.restoration.crops import FaceCrop
from faceren.restoration.edit import scaled
from faceren.restoration.paste import (
    BAND,
    PastedFaces,
    across,
    background_bands,
    face_mask,
    from_srgb,
    in_light,
    patch_of,
    tile_spans,
    tile_weight,
    to_srgb,
    total_in,
)
from faceren.restoration.stream import NetworkResult
from tests.restoration.pages import FloatPage, cut_face, face_at, noise, photo_of


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
        return [NetworkResult(tile, 1.0) for tile in restore(tiles)]

    for (x0, y0, x1, y1), change in background_bands(page, run):
        page.image[y0:y1, x0:x1] += change
    return page.image


@pytest.mark.parametrize("length", [20, 832, 895, 896, 1407, 1408, 1337, 5000])
def test_tiles_cover_a_side_and_start_aligned(length):
    spans = tile_spans(length)
    total = np.zeros(length)
    for span in spans:
        total[slice(*span)] += tile_weight(span, length)
    assert total.min() >= 1
    assert (spans[0][0], spans[-1][1]) == (0, length)
    assert all(start % paste.ALIGNMENT == 0 for start, _ in spans)
    assert all(a[1] - b[0] >= 2 * paste.RIM + paste.BLEND for a, b in pairwise(spans))


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
            rim = paste.RIM
            new[rim:-rim, rim:-rim] = tile[rim:-rim, rim:-rim]
            spoilt.append(new)
        return spoilt

    after = restored(image, spoil_rims)
    middle = slice(paste.RIM, -paste.RIM)  # a photo's border is a tile's, too
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


def patched(image, crop, difference, outline=None):
    x0, y0, x1, y1 = crop.box
    return crop.box, patch_of(crop, difference, image[y0:y1, x0:x1], outline)


def total(patches, shape):
    return total_in(patches, (0, 0, shape[1], shape[0]))[..., :3]


def changed(bands, shape):
    result = np.zeros(shape, np.float32)
    for (x0, y0, x1, y1), value in bands:
        result[y0:y1, x0:x1] += value
    return result


def test_a_network_that_changes_nothing_changes_no_pixel():
    image = noise()
    crop = cut_face(photo_of(image), 0, face_at(100, 50, 150))
    assert not total([patched(image, crop, 0 * crop.pixels)], image.shape).any()


def test_brightening_a_face_brightens_its_middle_and_nothing_outside_its_crop():
    image = noise()
    crop = cut_face(photo_of(image), 0, face_at(100, 50, 150))
    added = total([patched(image, crop, 0 * crop.pixels + np.float32(0.1))], image.shape)
    np.testing.assert_allclose(added[105:145, 155:195], 0.1, atol=1e-3)
    outside = np.ones(image.shape[:2], bool)
    outside[50:200, 100:250] = False
    assert not added[outside].any()
    assert added.min() >= -1e-6


def test_luminance_only_keeps_the_chroma_even_in_the_soft_edge():
    image = noise()
    crop = cut_face(photo_of(image), 0, face_at(60, 60, 180), luminance_only=True)
    difference = scaled(crop.pixels[:, ::-1] - crop.pixels, 1, luminance_only=True)
    added = total([patched(image, crop, difference)], image.shape)
    assert added.any()
    np.testing.assert_allclose(np.ptp(added, axis=2), 0, atol=1e-6)


def test_the_soft_edge_blends_as_light_does():
    """Half of black and half of white is half the light, sRGB 0.735, not sRGB 0.5."""
    black, white = np.zeros((1, 3, 3), np.float32), np.ones((1, 3, 3), np.float32)
    mask = np.float32([[0, 0.5, 1]])
    (change,) = in_light([black[..., 0]], [white[..., 0]], mask)
    pasted = black + (mask * change)[..., None]
    np.testing.assert_allclose(pasted[0, :, 0], [0, 0.7354, 1], atol=1e-4)


def test_srgb_and_light_are_inverse_and_known():
    values = np.linspace(0, 1, 256, dtype=np.float32)
    np.testing.assert_allclose(to_srgb(from_srgb(values)), values, atol=1e-6)
    np.testing.assert_allclose(from_srgb(np.float32([0.02, 0.5])), [0.001548, 0.214041], atol=1e-6)


def test_an_outline_narrows_the_mask():
    image = noise()
    crop = cut_face(photo_of(image), 0, face_at(60, 60, 180))
    outline = np.zeros(crop.pixels.shape[:2], np.float32)
    outline[:, : crop.size // 2] = 1
    brighter = 0 * crop.pixels + np.float32(0.1)
    whole, half = (patched(image, crop, brighter, o)[1][..., 3] for o in (None, outline))
    assert (half <= whole + 1e-6).all()
    x = half.shape[1] // 2
    np.testing.assert_allclose(half[60:120, x - 50], whole[60:120, x - 50], atol=0.01)
    assert half[:, x + 30 :].max() < 0.01


def test_the_order_of_overlapping_faces_does_not_matter():
    image = noise()
    crops = [cut_face(photo_of(image), 0, face_at(x, 60, 160)) for x in (40, 110, 180)]
    patches = [
        patched(image, crop, 0 * crop.pixels + np.float32(value))
        for crop, value in zip(crops, (0.1, -0.2, 0.3), strict=True)
    ]
    forward = total(patches, image.shape)
    np.testing.assert_allclose(total(patches[::-1], image.shape), forward, atol=1e-6)
    assert forward.max() <= 0.3 + 1e-5
    assert forward.min() >= -0.2 - 1e-5


def test_where_two_faces_overlap_each_counts_by_its_mask():
    """Masks 1 and 0.5 count 1 and 0.5**6: (0.3 + 0.5**7 * 0.6) / (1 + 0.5**6) is added."""
    one, other = np.empty((1, 1, 4), np.float32), np.empty((1, 1, 4), np.float32)
    one[:], other[:] = (0.3, 0.3, 0.3, 1), (0.6, 0.6, 0.6, 0.5)
    added = total_in([((0, 0, 1, 1), one), ((0, 0, 1, 1), other)], (0, 0, 2, 1))
    expected = (0.3 + 0.5**7 * 0.6) / (1 + 0.5**6)
    share = (1 + 0.5**7) / (1 + 0.5**6)
    np.testing.assert_allclose(added[0, 0], [expected] * 3 + [share], atol=1e-6)
    assert not added[0, 1].any()


def test_across_a_crop_is_from_minus_one_to_one():
    u, v = across(np.array([[1.0, 0, -10], [0, 1, -20]]), 4, (10, 20, 14, 24))
    np.testing.assert_allclose(u, [[-0.75, -0.25, 0.25, 0.75]] * 4)
    np.testing.assert_allclose(v[:, 0], [-0.75, -0.25, 0.25, 0.75])


def test_mask_is_one_in_the_middle_and_zero_outside_the_crop():
    shifted = np.array([[1.0, 0, -10], [0, 1, -20]])
    mask = face_mask(shifted, 256, (300, 280))
    assert mask[84:212, 74:202].min() == 1
    inside = np.zeros(mask.shape, bool)
    inside[20:276, 10:266] = True
    assert not mask[~inside].any()
    assert mask[20:276, 10].max() < 0.01


def pasted_faces(photo, faces, parse=None):
    return PastedFaces(photo, 0, [crop.box for crop, _ in faces], faces.__getitem__, parse)


@pytest.fixture
def faces():
    """A photo, 1000 high, and faces in it, some of them overlapping, with what they change."""
    photo = photo_of(noise(1000, 200))
    crops = [cut_face(photo, 0, face_at(30, top, 90)) for top in (10, 300, 350, 800)]
    values = [np.float32(0.1 * (index + 1)) for index in range(len(crops))]
    return photo, [(c, 0 * c.pixels + v) for c, v in zip(crops, values, strict=True)]


@pytest.mark.parametrize("rows", [37, BAND])
def test_made_late_in_any_bands_or_at_once_the_faces_change_the_same(faces, rows, monkeypatch):
    monkeypatch.setattr(paste, "BAND", rows)
    photo, given = faces
    image = photo.pages[0].image
    expected = total([patched(image, *face) for face in given], image.shape)
    late = changed(pasted_faces(photo, given).bands(), image.shape)
    np.testing.assert_array_equal(late, expected)


def test_a_face_is_made_once_when_its_band_comes_and_dropped_when_it_has_passed(faces):
    photo, given = faces
    asked = []

    def outline(crop):
        asked.append(crop.shape)
        return np.ones(crop.shape[:2], np.float32)

    pasted = pasted_faces(photo, given, outline)
    assert [crop.box[1::2] for crop, _ in given] == [(6, 104), (296, 394), (346, 444), (796, 894)]
    seen = [sorted(pasted._made) for _ in pasted.bands()]
    assert seen == [[0], [1, 2], [3]]  # rows 6-262, 262-518, and 774 to the end
    assert asked == [(256, 256, 3)] * 4


def test_in_the_mask_of_a_face_its_own_change_replaces_that_of_the_background():
    image = np.full((60, 80, 3), 0.5, np.float32)
    matrix = np.array([[1.0, 0, -10], [0, 1, -10]])
    crop = FaceCrop(face_at(10, 10, 40), matrix, image[10:50, 10:50], (10, 10, 50, 50))
    pasted = pasted_faces(photo_of(image), [(crop, 0 * crop.pixels + np.float32(0.2))])
    ground = [((0, top, 80, top + 30), np.full((30, 80, 3), -0.1, np.float32)) for top in (0, 30)]
    added = changed(pasted.over(ground), image.shape)
    mask = np.zeros(image.shape[:2])
    mask[10:50, 10:50] = face_mask(np.eye(2, 3), 40, (40, 40))
    np.testing.assert_allclose(added[mask == 1], 0.2, atol=1e-6)
    np.testing.assert_allclose(added[mask == 0], -0.1, atol=1e-6)
    assert np.count_nonzero((mask > 0) & (mask < 1)) > 0
    assert added.min() >= -0.1
    assert added.max() <= 0.2 + 1e-6


def test_no_face_changes_nothing():
    assert list(pasted_faces(photo_of(noise()), []).bands()) == []
