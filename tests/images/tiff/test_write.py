"""Strips and tiles as bytes, checked by the decoders of other libraries."""

import imagecodecs
import numpy as np
import pytest
import tifffile

from faceren.images.tiff.directory import Layout
from faceren.images.tiff.read import signs_turned
from faceren.images.tiff.write import encoded, segments
from tests.images.samples import noise

DECODERS = {
    1: bytes,
    5: imagecodecs.lzw_decode,
    8: imagecodecs.zlib_decode,
    32773: imagecodecs.packbits_decode,
    34925: imagecodecs.lzma_decode,
    50000: imagecodecs.zstd_decode,
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", list(DECODERS))
def test_other_decoders_find_the_same_pixels(compression, predictor, dtype, order):
    pixels = noise((6, 11, 3), dtype)
    data = encoded(pixels, compression, predictor, Layout(order, big=False))
    raw = bytes(DECODERS[compression](data))
    got = np.frombuffer(raw, np.dtype(dtype).newbyteorder(order)).reshape(pixels.shape)
    if predictor == 2:
        got = np.cumsum(got.astype(np.uint64), axis=1).astype(dtype)
    assert np.array_equal(got, pixels)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 7}, {"tile": (16, 32)}])
def test_segments_are_counted_as_tifffile_counts_them(tmp_path, layout, planar):
    raster = noise((41, 70, 3))
    pixels = np.moveaxis(raster, 2, 0) if planar == "separate" else raster
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", planarconfig=planar, **layout)
    with tifffile.TiffFile(path) as file:
        frame = file.pages[0]
        found = list(segments(frame))
        assert [segment.index for segment in found] == list(range(len(frame.dataoffsets)))
        for segment in found:
            file.filehandle.seek(frame.dataoffsets[segment.index])
            data = file.filehandle.read(frame.databytecounts[segment.index])
            x0, y0, x1, y1 = segment.box
            part = frame.decode(data, segment.index)[0][0, : y1 - y0, : x1 - x0]
            assert np.array_equal(part, raster[y0:y1, x0:x1, segment.planes])


def test_signs_turn_back():
    raster = noise((4, 5, 3), np.uint16)
    assert np.array_equal(signs_turned(signs_turned(raster)), raster)
    assert signs_turned(np.zeros((1, 1, 3), np.uint8)).tolist() == [[[0, 128, 128]]]
