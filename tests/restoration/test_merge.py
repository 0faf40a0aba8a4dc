import numpy as np
import pytest
from faceren.restoration.merge import BAND, FaceChanges

from faceren.restoration.paste import Change, total_in


def changes(seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for top in (10, 300, 480, 900):
        box = (30, top, 130, top + 90)
        values = rng.normal(0, 0.1, (90, 100, 3)).astype(np.float32)
        made.append(Change(box, values, rng.random((90, 100), np.float32)))
    return made


def total(bands, shape=(1000, 200, 3)):
    result = np.zeros(shape, np.float32)
    for (x0, y0, x1, y1), value in bands:
        result[y0:y1, x0:x1] += value
    return result


@pytest.mark.parametrize("rows", [37, BAND])
def test_made_late_in_any_bands_or_at_once_the_faces_change_the_same(rows, monkeypatch):
    monkeypatch.setattr("faceren.restoration.merge.BAND", rows)
    made = changes()
    lazy = FaceChanges([change.box for change in made], made.__getitem__)
    np.testing.assert_array_equal(total(lazy.bands()), total_in(made, (0, 0, 200, 1000)))


def test_a_face_is_made_once_when_its_band_comes_and_dropped_when_it_has_passed():
    made, asked = changes(), []
    faces = FaceChanges([c.box for c in made], lambda index: asked.append(index) or made[index])
    seen = [(list(asked), sorted(faces._made)) for _ in faces.bands()]
    assert BAND == 256
    assert seen == [([0], [0]), ([0, 1, 2], [1, 2]), ([0, 1, 2], [2]), ([0, 1, 2, 3], [3])]


def test_in_the_mask_of_a_face_its_own_change_replaces_that_of_the_background():
    mask = np.ones((40, 40), np.float32)
    mask[:, 20:] = 0.5
    face = Change((10, 10, 50, 50), np.full((40, 40, 3), 0.2, np.float32), mask)
    ground = [((0, top, 80, top + 30), np.full((30, 80, 3), -0.1, np.float32)) for top in (0, 30)]
    added = total(FaceChanges([face.box], lambda _: face).over(ground), (60, 80, 3))
    np.testing.assert_allclose(added[10:50, 10:30], 0.2, atol=1e-6)
    np.testing.assert_allclose(added[10:50, 30:50], 0.5 * 0.2 - 0.5 * 0.1, atol=1e-6)
    np.testing.assert_allclose(added[:10], -0.1, atol=1e-6)


def test_no_face_changes_nothing():
    assert list(FaceChanges([], changes().__getitem__).bands()) == []
