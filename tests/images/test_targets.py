import numpy as np
import pytest

from faceren.errors import ImageError
from faceren.images import check_target
from faceren.images.page import Page
from faceren.images.photo import Photo


def photo(kind="png", shape=(4, 4, 3), pages=1, **options):
    page = Page(np.zeros(shape, np.uint8), "rgb", **options)
    return Photo("a", kind, (page,) * pages, (0, 0))


@pytest.mark.parametrize(
    ("kind", "side", "target"),
    [("png", 16_384, "webp"), ("png", 65_501, "jpg"), ("jpeg", 65_501, "keep")],
)
def test_a_side_that_is_too_long_is_said_with_the_limit(kind, side, target):
    limit = {"webp": "16383"}.get(target, "65500")
    with pytest.raises(ImageError, match=rf"a: a side of {side:,} pixels, more than the {limit}"):
        check_target(photo(kind, (1, side, 3)), target)
    check_target(photo(kind, (1, side - 1, 3)), target)
    check_target(photo(kind, (1, side, 3)), "tiff")


def test_the_scale_counts():
    with pytest.raises(ImageError, match="a side of 20,000 pixels"):
        check_target(photo(shape=(10_000, 1, 3)), "webp", scale=2)


@pytest.mark.parametrize("target", ["png", "jpg", "webp"])
def test_pages_need_a_tiff(target):
    with pytest.raises(ImageError, match="only TIFF holds 2 pages; use --format keep"):
        check_target(photo("tiff", pages=2), target)
    check_target(photo("tiff", pages=2), "keep")


def test_a_gif_cannot_be_kept():
    with pytest.raises(ImageError, match="a GIF holds 256 colours"):
        check_target(photo("gif"), "keep")


def test_infrared_is_no_transparency():
    check_target(photo("tiff", (4, 4, 4), extras=("other",)), "jpg")
    with pytest.raises(ImageError, match="a JPEG cannot hold this photo's transparency"):
        check_target(photo("tiff", (4, 4, 4), extras=("alpha",)), "jpg")
