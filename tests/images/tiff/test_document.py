"""Changed pages in TIFF files: what is kept, byte for byte."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from faceren.errors import ImageError
from faceren.images import Restoration, read_photo, write_photo
from faceren.images.tiff.directory import directories, layout_of
from tests.images.samples import full_tiff, noise, smooth

NOTE = Restoration("base", "ab" * 32)
BOX = (3, 4, 23, 20)
ADD = np.full((16, 20, 3), 0.15, np.float32)


def rewritten(path, page=0):
    target = path.with_name("b.tif")
    merged = read_photo(path).merged([(BOX, ADD)], page)
    write_photo(target, merged, note=NOTE)
    again = read_photo(target)
    for one, other in zip(merged.pages, again.pages, strict=True):
        assert np.array_equal(one.raster, other.raster)
    return target


def segment_bytes(path, page=0):
    with tifffile.TiffFile(path) as file:
        frame, data = file.pages[page], path.read_bytes()
        places = zip(frame.dataoffsets, frame.databytecounts, strict=True)
        return [data[offset : offset + count] for offset, count in places]


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits"])
@pytest.mark.parametrize("predictor", [True, False])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_layout_can_be_changed(tmp_path, compression, predictor, tile, byteorder):
    path = tmp_path / "a.tif"
    options = {"rowsperstrip": 7} if tile is None else {"tile": tile}
    tifffile.imwrite(
        path,
        noise((40, 50, 3), np.uint16),
        photometric="rgb",
        compression=compression,
        predictor=predictor and compression in ("lzw", "zlib", "zstd"),
        byteorder=byteorder,
        **options,
    )
    rewritten(path)


@pytest.mark.parametrize("bigtiff", [True, False])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_big_files_and_separate_planes_can_be_changed(tmp_path, bigtiff, planar):
    raster = noise((40, 50, 3))
    raster = np.moveaxis(raster, 2, 0) if planar == "separate" else raster
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, raster, photometric="rgb", bigtiff=bigtiff, planarconfig=planar)
    rewritten(path)


def test_strips_that_no_change_touches_keep_their_bytes(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((40, 50)), compression="lzw", rowsperstrip=4)
    before, after = segment_bytes(path), segment_bytes(rewritten(path))
    same = [one == other for one, other in zip(before, after, strict=True)]
    assert same == [True] + [False] * 4 + [True] * 5


def test_an_uncompressed_file_grows_by_its_xmp_only(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((40, 50)), rowsperstrip=4)
    after = rewritten(path)
    assert after.stat().st_size - path.stat().st_size < 1500
    assert after.read_bytes()[8:100] == path.read_bytes()[8:100]


def test_each_page_is_restored_apart(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((3, 40, 50)), photometric="minisblack", compression="zlib")
    target = rewritten(path, page=2)
    assert [segment_bytes(path, n) == segment_bytes(target, n) for n in range(3)] == [
        *(True, True, False)
    ]


def test_pages_of_different_kinds_are_kept(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(noise((40, 50, 3)), photometric="rgb")
        writer.write(noise((30, 44), np.uint16), photometric="minisblack", compression="lzw")
        writer.write(noise((33, 41, 4)), photometric="separated")
    photo = read_photo(path)
    for page in range(3):
        photo = photo.merged([(BOX, ADD)], page)
    write_photo(tmp_path / "b.tif", photo, note=NOTE)
    again = read_photo(tmp_path / "b.tif")
    assert [page.space for page in again.pages] == ["rgb", "gray", "cmyk"]
    for one, other in zip(photo.pages, again.pages, strict=True):
        assert np.array_equal(one.raster, other.raster)


@pytest.mark.parametrize("mode", ["1", "P"])
def test_what_cannot_be_changed_in_place_is_stored_anew(tmp_path, mode):
    image = Image.fromarray(smooth()).convert(mode)
    image.save(tmp_path / "a.tif", compression="group4" if mode == "1" else "packbits")
    target = rewritten(tmp_path / "a.tif")
    with tifffile.TiffFile(target) as file:
        assert file.pages[0].compression.name == "ADOBE_DEFLATE"


def test_private_tags_and_subdirectories_keep_their_place(tmp_path):
    path = full_tiff(tmp_path / "a.tif")
    after = rewritten(path)
    with path.open("rb") as one, after.open("rb") as other:
        (before,) = directories(one, layout_of(one))
        (changed,) = directories(other, layout_of(other))
    differs = {entry.tag for entry in set(changed.entries) ^ set(before.entries)}
    assert {entry.tag for entry in before.entries} <= {entry.tag for entry in changed.entries}
    assert differs <= {273, 279, 700}


def test_an_inverted_page_stays_inverted(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((40, 50)), photometric="miniswhite", compression="lzw")
    with tifffile.TiffFile(rewritten(path)) as file:
        assert file.pages[0].photometric.name == "MINISWHITE"


def test_a_chain_of_pages_that_loops_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((2, 9, 9)), photometric="minisblack")
    with path.open("r+b") as file:
        layout = layout_of(file)
        first, second = directories(file, layout)
        (start,) = layout.read(file, first.pointer, "I")
        file.seek(second.next_pointer)
        file.write(layout.pack("I", start))
    with pytest.raises(ImageError, match=r"chained in a loop|damaged"):
        read_photo(path)


def test_a_value_beyond_the_end_of_the_file_means_truncated(tmp_path):
    path = full_tiff(tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ImageError, match=r"a\.tif: the file is truncated"):
        read_photo(path)


def changed_numbers(path, tag, values, page=0):
    """Set whole numbers of a tag that are written beside the directory, where they stand."""
    with path.open("r+b") as file:
        layout = layout_of(file)
        entry = directories(file, layout)[page].get(tag)
        file.seek(int.from_bytes(entry.field, layout.endian))
        file.write(layout.pack(f"{len(values)}I", *values))


def test_strips_that_two_pages_share_are_changed_for_one_only(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((2, 40, 50)), photometric="minisblack", rowsperstrip=4)
    with tifffile.TiffFile(path) as file:
        first = file.pages[0].dataoffsets
    changed_numbers(path, 273, first, page=1)
    assert segment_bytes(path, 0) == segment_bytes(path, 1)
    target = rewritten(path)
    assert segment_bytes(target, 1) == segment_bytes(path, 1)


def test_a_strip_that_was_never_written_stays_so(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((40, 50)), compression="lzw", rowsperstrip=4)
    with tifffile.TiffFile(path) as file:
        places = list(file.pages[0].dataoffsets)
    changed_numbers(path, 273, [*places[:-1], 0])
    with tifffile.TiffFile(rewritten(path)) as file:
        assert file.pages[0].dataoffsets[-1] == 0
