import numpy as np
import pytest
import torch

from faceren.errors import ShapeError
from faceren.images import to_tensor, to_uint8


def test_every_level_survives_a_round_trip():
    rgb = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert np.array_equal(to_uint8(to_tensor(rgb)), rgb)


def test_channels_rows_and_columns_go_where_they_belong():
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[1, 2] = (255, 0, 51)
    tensor = to_tensor(rgb)
    assert tensor.shape == (1, 3, 2, 3)
    assert tensor[0, :, 1, 2].tolist() == pytest.approx([1, 0, 0.2])


def test_levels_are_rounded_and_clamped():
    levels = to_uint8(torch.tensor([-1.0, 0.4999 / 255, 0.5001 / 255, 2.0]).expand(3, 1, 4))
    assert levels[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match=r"expected \(H, W, 3\) uint8"):
        to_tensor(np.zeros(shape, np.uint8))


def test_a_batch_is_refused():
    with pytest.raises(ShapeError, match=r"expected one RGB image.*\(2, 3, 4, 4\)"):
        to_uint8(torch.zeros(2, 3, 4, 4))


def test_nan_is_refused():
    with pytest.raises(ShapeError, match="NaN"):
        to_uint8(torch.full((1, 3, 2, 2), torch.nan))
