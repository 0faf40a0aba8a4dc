"""The detector's boxes and landmarks are those of the package that its weights come from."""

import importlib

import cv2
import numpy as np
import pytest
from retinaface.preprocess import preprocess
from skimage import data

from faceren.faces import tiny


def by_the_package(image, threshold):
    """All boxes from all anchors, and then those above the threshold."""
    post = importlib.import_module("retinaface.postprocess")
    outputs = [
        output.copy() for output in tiny._session(gpu=False).run({"input": preprocess(image)})
    ]
    height, width = image.shape[:2]
    (found,) = post.postprocess(outputs, 1, None, height, width, score_threshold=threshold)
    return found


@pytest.mark.parametrize("size", [(141, 141), (300, 190), (97, 333)])
@pytest.mark.parametrize("threshold", [0.02, 0.3, 0.9])
def test_findings_are_those_of_the_package(size, threshold):
    image = cv2.resize(data.astronaut(), size, interpolation=cv2.INTER_AREA)
    expected = by_the_package(image, threshold)
    found = tiny.search(image, threshold)
    assert len(found) == len(expected)
    for face, known in zip(found, expected, strict=True):
        box = (face.box[0], face.box[1], face.width, face.height)
        assert [int(n) for n in box] == [known.x, known.y, known.width, known.height]
        points = [(point.x, point.y) for point in known.landmarks]
        np.testing.assert_array_equal(np.trunc(face.landmarks + 0.5), points)  # from corners
        assert face.score == pytest.approx(known.score, abs=1e-6)


def test_nothing_is_found_on_a_plain_picture():
    assert tiny.search(np.full((64, 80, 3), 127, np.uint8), 0.5) == []
