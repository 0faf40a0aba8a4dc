import numpy as np
import pytest

from faceren.errors import FaceError
from faceren.faces.alignment import TEMPLATE
from faceren.faces.detection import Face
from faceren.restoration.crops import choose, crop_size
from faceren.restoration.crops import cut as cut_region
from faceren.restoration.options import RestoreOptions
from faceren.restoration.paste import (
    change_of,
    face_mask,
    from_srgb,
    in_light,
    is_monochrome,
    scaled,
    to_srgb,
    total_in,
)


def photo(height=300, width=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((height, width, 3), dtype=np.float32)


def cut(image, face):
    return cut_region(lambda b: image[b[1] : b[3], b[0] : b[2]], image.shape[:2], face)


def changed(image, crop, difference, **options):
    x0, y0, x1, y1 = crop.box
    return change_of(crop, difference, image[y0:y1, x0:x1], **options)


def face_at(x, y, side, score=0.9):
    points = TEMPLATE * side / 512 + [x, y]
    low, high = points.min(0), points.max(0)
    return Face((*low, *high), points, score)


def total(changes, shape):
    return total_in(changes, (0, 0, shape[1], shape[0]))


def test_a_network_that_changes_nothing_changes_no_pixel():
    image = photo()
    crop = cut(image, face_at(100, 50, 150))
    assert not total([changed(image, crop, 0 * crop.pixels)], image.shape).any()


def test_brightening_a_face_brightens_its_middle_and_nothing_outside_its_crop():
    image = photo()
    crop = cut(image, face_at(100, 50, 150))
    added = total([changed(image, crop, 0 * crop.pixels + np.float32(0.1))], image.shape)
    np.testing.assert_allclose(added[105:145, 155:195], 0.1, atol=1e-3)
    outside = np.ones(image.shape[:2], bool)
    outside[50:200, 100:250] = False
    assert not added[outside].any()
    assert added.min() >= -1e-6


def test_strength_scales_the_difference():
    difference = photo(8, 8) - np.float32(0.5)
    half = scaled(difference, 0.5, luminance_only=False)
    np.testing.assert_allclose(half, difference / 2, atol=1e-7)


def test_luminance_only_keeps_the_chroma_even_in_the_soft_edge():
    image = photo()
    crop = cut(image, face_at(60, 60, 180))
    difference = scaled(crop.pixels[:, ::-1] - crop.pixels, 1, luminance_only=True)
    added = total([changed(image, crop, difference, luminance_only=True)], image.shape)
    assert added.any()
    np.testing.assert_allclose(np.ptp(added, axis=2), 0, atol=1e-6)


def test_the_soft_edge_blends_as_light_does():
    """Half of black and half of white is half the light, sRGB 0.735, not sRGB 0.5."""
    black, white = np.zeros((1, 3, 3), np.float32), np.ones((1, 3, 3), np.float32)
    mask = np.float32([[0, 0.5, 1]])
    pasted = black + mask[..., None] * in_light(black, white, mask)
    np.testing.assert_allclose(pasted[0, :, 0], [0, 0.7354, 1], atol=1e-4)


def test_srgb_and_light_are_inverse_and_known():
    values = np.linspace(0, 1, 256, dtype=np.float32)
    np.testing.assert_allclose(to_srgb(from_srgb(values)), values, atol=1e-6)
    np.testing.assert_allclose(from_srgb(np.float32([0.02, 0.5])), [0.001548, 0.214041], atol=1e-6)


def test_an_outline_narrows_the_mask():
    image = photo()
    crop = cut(image, face_at(60, 60, 180))
    outline = np.zeros(crop.pixels.shape[:2], np.float32)
    outline[:, : crop.size // 2] = 1
    whole = changed(image, crop, 0 * crop.pixels + np.float32(0.1))
    half = changed(image, crop, 0 * crop.pixels + np.float32(0.1), outline=outline)
    assert (half.mask <= whole.mask + 1e-6).all()
    x = half.mask.shape[1] // 2
    np.testing.assert_allclose(half.mask[60:120, x - 50], whole.mask[60:120, x - 50], atol=0.01)
    assert half.mask[:, x + 30 :].max() < 0.01


def test_the_order_of_overlapping_faces_does_not_matter():
    image = photo()
    crops = [cut(image, face_at(x, 60, 160)) for x in (40, 110, 180)]
    changes = [
        changed(image, crop, 0 * crop.pixels + np.float32(value))
        for crop, value in zip(crops, (0.1, -0.2, 0.3), strict=True)
    ]
    forward = total(changes, image.shape)
    np.testing.assert_allclose(total(changes[::-1], image.shape), forward, atol=1e-6)
    assert forward.max() <= 0.3 + 1e-5
    assert forward.min() >= -0.2 - 1e-5


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


def test_crop_size_is_the_nearest_by_ratio():
    assert [crop_size(side) for side in (40, 256, 360, 365, 512, 640, 3000)] == [
        256, 256, 256, 512, 512, 768, 1024,
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
