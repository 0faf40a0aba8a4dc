"""Arrays of images."""

import numpy as np
import pytest

from faceren.arrays import differs


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_pixel_differs_if_any_of_its_channels_does(channels):
    image = np.random.default_rng(0).integers(0, 3, (5, 7, channels), np.uint8)
    for other in (image.copy(), np.roll(image, 1, axis=0), 0):
        assert (differs(image, other) == (image != other).any(axis=2)).all()
    assert not differs(image, image).any()
