"""How far faces are from each other, on faces of synthetic people."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from faceren import assets
from faceren.config import ANOTHER_PERSON
from faceren.errors import FaceError, MachineError, ShapeError
from faceren.faces import identity
from faceren.faces.detection import detect_faces
from faceren.faces.identity import PLACES, distance, embedding
from faceren.images import read_rgb
from tests.graphs.test_mobilefacenet import by_torch

LUMA = np.float32([0.299, 0.587, 0.114])
SEPIA = np.float32([1.0, 0.85, 0.65])


@pytest.fixture(scope="module")
def people():
    """Six faces, (512, 512, 3), by name, and their landmarks."""
    found = {}
    for path in sorted((assets.samples_dir() / "clean").glob("*.jpg")):
        rgb = read_rgb(path)
        (face, *_) = detect_faces(rgb)
        found[path.name[:4]] = (rgb.astype(np.float32) / 255, face.landmarks)
    return found


@pytest.fixture(scope="module")
def embedded(people):
    return {name: embedding(*person) for name, person in people.items()}


def test_an_embedding_is_that_of_the_aligned_face_by_other_means(people, embedded):
    """The alignment by NumPy's least squares and a loop over pixels, the network by torch."""
    image, landmarks = people["p001"]
    (a, b, right, down), *_ = np.linalg.lstsq(  # x' = a x - b y + right, y' = b x + a y + down
        np.concatenate(
            [
                np.column_stack([landmarks * [1, -1], np.tile([1, 0], (5, 1))]),
                np.column_stack([landmarks[:, ::-1], np.tile([0, 1], (5, 1))]),
            ]
        ),
        PLACES.T.ravel(),
    )
    back = np.linalg.inv(np.array([[a, -b], [b, a]]))
    soft = cv2.GaussianBlur(image, (0, 0), 0.5 / np.hypot(a, b))
    y, x = np.mgrid[:112, :112].astype(np.float64)
    places = np.einsum("ij,jyx->yxi", back, np.stack([x - right, y - down]))
    column, row = places.astype(np.float32).transpose(2, 0, 1)
    chip = cv2.remap(soft, column, row, cv2.INTER_LINEAR) * 255
    theirs = by_torch(load_file(assets.asset("mobilefacenet")), chip[None])[0]
    assert embedded["p001"] @ theirs / np.linalg.norm(theirs) > 0.99
    assert np.linalg.norm(embedded["p001"]) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("p001", "p004", 0.749), ("p001", "p005", 0.900), ("p004", "p010", 0.291)],
)
def test_distances_of_people_are_as_they_were(embedded, one, other, expected):
    assert distance(embedded[one], embedded[other]) == pytest.approx(expected, abs=1e-3)


def test_a_picture_is_itself_and_its_opposite_the_farthest(people, embedded):
    for name, person in people.items():
        assert distance(embedded[name], embedding(*person)) == 0
        assert distance(embedded[name], -embedded[name]) == pytest.approx(2)


def test_it_is_one_less_the_cosine(embedded):
    ours, theirs = embedded["p001"], embedded["p007"]
    assert distance(ours, theirs) == pytest.approx(1 - ours @ theirs, abs=1e-12)
    assert distance(theirs, ours) == distance(ours, theirs)


def test_gray_and_sepia_and_the_mirror_show_the_same_person(people, embedded):
    for name, (image, landmarks) in people.items():
        gray = np.repeat((image @ LUMA)[..., None], 3, axis=2)
        mirrored = landmarks[[1, 0, 2, 4, 3]] * [-1, 1] + [image.shape[1] - 1, 0]
        changed = {
            "gray": embedding(gray, landmarks),
            "sepia": embedding(gray * SEPIA, landmarks),
            "mirror": embedding(np.ascontiguousarray(image[:, ::-1]), mirrored),
        }
        for what, found in changed.items():
            assert distance(embedded[name], found) < 0.08, (name, what)


def test_size_and_turn_do_not_count(people, embedded):
    image, landmarks = people["p005"]
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert distance(embedded["p005"], embedding(half, (landmarks + 0.5) / 2 - 0.5)) < 0.005
    turned = np.ascontiguousarray(np.rot90(image))
    places = np.column_stack([landmarks[:, 1], image.shape[1] - 1 - landmarks[:, 0]])
    assert distance(embedded["p005"], embedding(turned, places)) < 0.005


def test_a_blurred_face_has_moved_and_is_still_nearer_than_others(people, embedded):
    image, landmarks = people["p005"]
    soft = distance(embedded["p005"], embedding(cv2.GaussianBlur(image, (0, 0), 8), landmarks))
    others = [distance(embedded["p005"], other) for n, other in embedded.items() if n != "p005"]
    assert 0.1 < soft < ANOTHER_PERSON < min(others)


def test_what_lies_beyond_the_range_is_clipped_as_in_a_file(people):
    image, landmarks = people["p001"]
    brighter = image * 3 - 0.5
    once, twice = (embedding(pixels, landmarks) for pixels in (brighter, brighter.clip(0, 1)))
    assert (once == twice).all()


def test_wrong_images_and_landmarks_are_named(people):
    image, landmarks = people["p001"]
    with pytest.raises(ShapeError, match=r"expected an image \(H, W, 3\), got \(512, 512\)"):
        embedding(image[..., 0], landmarks)
    with pytest.raises(FaceError, match="coincide"):
        embedding(image, np.ones((5, 2)))


def test_what_several_threads_need_is_loaded_once(monkeypatch, people):
    made = []

    def slow(*args):
        made.append(args)
        return session_of(*args)

    session_of = identity.session_of
    identity._loaded_network.cache_clear()
    monkeypatch.setattr(identity, "session_of", slow)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: embedding(*people["p001"]), range(3)))
    assert (found[0] == found[1]).all()
    assert len(made) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"damaged", "has SHA-256 .* reinstall faceren"), (None, "is not there; reinstall faceren")],
)
def test_a_missing_or_changed_file_is_named(tmp_path, monkeypatch, people, content, said):
    if content is not None:
        (tmp_path / "mobilefacenet.safetensors").write_bytes(content)
    monkeypatch.setattr(assets, "models_dir", lambda: tmp_path)
    assets.asset.cache_clear()
    identity._loaded_network.cache_clear()
    with pytest.raises(MachineError, match=f"mobilefacenet: .*{said}"):
        embedding(*people["p001"])
    assets.asset.cache_clear()
