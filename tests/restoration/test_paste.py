import numpy as np
import pytest

from faceren.errors import FaceError
from faceren.faces.alignment import TEMPLATE
from faceren.faces.detection import Face
from faceren.restoration.crops import choose, crop_size
from faceren.restoration.crops import cut as cut_region
from faceren.restoration.options import RestoreOptions
from faceren.restoration.paste import (
    LUMA,
    change_of,
    face_mask,
    is_monochrome,
    merged_bands,
)


def photo(height=300, width=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((height, width, 3), dtype=np.float32)


def cut(image, face):
    return cut_region(lambda b: image[b[1] : b[3], b[0] : b[2]], image.shape[:2], face)


def face_at(x, y, side, score=0.9):
    points = TEMPLATE * side / 512 + [x, y]
    low, high = points.min(0), points.max(0)
    return Face((*low, *high), points, score)


def total(changes, shape):
    result = np.zeros(shape, np.float32)
    for (x0, y0, x1, y1), value in merged_bands(changes):
        result[y0:y1, x0:x1] += value
    return result


def test_a_network_that_changes_nothing_changes_no_pixel():
    image = photo()
    crop = cut(image, face_at(100, 50, 150))
    change = change_of(crop, crop.pixels, strength=1, luminance_only=False)
    assert not total([change], image.shape).any()


def test_brightening_a_face_brightens_its_middle_and_nothing_outside_its_crop():
    image = photo()
    crop = cut(image, face_at(100, 50, 150))
    change = change_of(crop, crop.pixels + np.float32(0.1), strength=1, luminance_only=False)
    added = total([change], image.shape)
    np.testing.assert_allclose(added[105:145, 155:195], 0.1, atol=1e-3)
    outside = np.ones(image.shape[:2], bool)
    outside[50:200, 100:250] = False
    assert not added[outside].any()
    assert added.min() >= -1e-6


def test_strength_scales_the_change():
    image = photo()
    crop = cut(image, face_at(60, 60, 180))
    restored = np.clip(crop.pixels[::-1], 0, 1)
    whole = total([change_of(crop, restored, strength=1, luminance_only=False)], image.shape)
    half = total([change_of(crop, restored, strength=0.5, luminance_only=False)], image.shape)
    np.testing.assert_allclose(half, whole / 2, atol=1e-6)


def test_luminance_only_keeps_the_chroma():
    image = photo()
    crop = cut(image, face_at(60, 60, 180))
    change = change_of(crop, crop.pixels[:, ::-1], strength=1, luminance_only=True)
    added = total([change], image.shape)
    np.testing.assert_allclose(np.ptp(added, axis=2), 0, atol=1e-6)
    free = total(
        [change_of(crop, crop.pixels[:, ::-1], strength=1, luminance_only=False)], image.shape
    )
    np.testing.assert_allclose(added[..., 0], free @ LUMA, atol=1e-5)


def test_the_order_of_overlapping_faces_does_not_matter():
    image = photo()
    crops = [cut(image, face_at(x, 60, 160)) for x in (40, 110, 180)]
    changes = [
        change_of(crop, crop.pixels + np.float32(value), strength=1, luminance_only=False)
        for crop, value in zip(crops, (0.1, -0.2, 0.3), strict=True)
    ]
    forward = total(changes, image.shape)
    np.testing.assert_allclose(total(changes[::-1], image.shape), forward, atol=1e-6)
    assert forward.max() <= 0.3 + 1e-5
    assert forward.min() >= -0.2 - 1e-5


def test_bands_equal_one_piece(monkeypatch):
    image = photo(700, 300)
    changes = [
        change_of(c, c.pixels[::-1], strength=1, luminance_only=False)
        for c in (cut(image, face_at(40, y, 200)) for y in (20, 150, 450))
    ]
    whole = total(changes, image.shape)
    monkeypatch.setattr("faceren.restoration.paste.BAND", 37)
    np.testing.assert_array_equal(total(changes, image.shape), whole)


def test_mask_is_one_in_the_middle_and_zero_outside_the_crop():
    shifted = np.array([[1.0, 0, -10], [0, 1, -20]])
    mask = face_mask(shifted, 256, (300, 280))
    assert mask[84:212, 74:202].min() == 1
    inside = np.zeros(mask.shape, bool)
    inside[20:276, 10:266] = True
    assert not mask[~inside].any()
    assert mask[20:276, 10].max() < 0.01


@pytest.mark.parametrize(
    ("tint", "expected"), [((1, 1, 1), True), ((1.0, 0.87, 0.68), True), ((0.6, 0.8, 1), True)]
)
def test_gray_and_toned_photos_are_monochrome(tint, expected):
    gray = photo(128, 128).mean(2, keepdims=True)
    assert is_monochrome((0.1 + 0.9 * gray * np.float32(tint)).astype(np.float32)) is expected


def test_colour_photos_are_not_monochrome():
    from skimage import data

    assert not is_monochrome(data.astronaut().astype(np.float32) / 255)


def test_crop_size_is_the_nearest_trained_one():
    assert [crop_size(side) for side in (40, 256, 360, 365, 512, 3000)] == [
        256, 256, 256, 512, 512, 512,
    ]  # fmt: skip


def test_faces_are_chosen_by_size_place_and_width():
    faces = [face_at(10, 10, 200), face_at(180, 130, 60), face_at(300, 200, 50)]
    shape = (300, 400)

    def chosen(**options):
        return choose(faces, shape, RestoreOptions(**options))

    assert chosen() == faces
    assert chosen(faces="largest") == faces[:1]
    assert chosen(faces="center") == faces[1:2]
    assert chosen(min_face=faces[1].width) == faces[:2]
    assert chosen(min_face=1000) == []


def test_cutting_a_crop_of_the_template_returns_the_photo_itself():
    image = photo(512, 512)
    crop = cut(image, Face((0, 0, 512, 512), TEMPLATE, 1.0))
    np.testing.assert_allclose(crop.pixels, image, atol=1e-3)


def test_a_face_beyond_the_border_is_refused_and_one_across_it_is_mirrored():
    image = photo()
    with pytest.raises(FaceError, match="outside the photo"):
        cut(image, face_at(2000, 50, 150))
    crop = cut(image, face_at(-50, 50, 150))
    assert crop.box[0] == 0
    assert np.isfinite(crop.pixels).all()
