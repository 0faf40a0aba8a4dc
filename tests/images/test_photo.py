import json
import shutil
import subprocess

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from faceren.errors import ImageError, ShapeError
from faceren.images import enlarged, read_photo, to_tensor, to_uint8, write_photo
from faceren.images.metadata.derived import exif_enlarged
from faceren.images.metadata.xmp import enlarged as xmp_enlarged
from tests.images.samples import exif, full_jpeg, full_tiff, lossless, noise, pil, smooth

LIMIT = 10**6


def twice(path, output=None, target="keep", scale=2):
    output = output or path.with_name(f"out_{path.name}")
    write_photo(output, enlarged(read_photo(path), scale, max_pixels=LIMIT), format=target)
    return output


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_page_is_resampled_in_its_own_depth(tmp_path, suffix, dtype):
    raster = noise((20, 30, 4), dtype)
    path = lossless(tmp_path / f"a{suffix}", raster)
    page = read_photo(twice(path, scale=4)).pages[0]
    expected = cv2.resize(raster, (120, 80), interpolation=cv2.INTER_LANCZOS4)
    assert page.raster.dtype == dtype
    np.testing.assert_array_equal(page.raster, expected)


def test_a_gradient_keeps_its_slope():
    ramp = np.tile(np.arange(0, 160, 2, dtype=np.uint8), (16, 1))[..., None]
    from faceren.images.page import Page
    from faceren.images.photo import Photo

    photo = Photo("ramp.png", "png", (Page(ramp, "gray"),), (0, 0))
    row = enlarged(photo, 2, max_pixels=LIMIT).pages[0].raster[16, 20:140, 0].astype(float)
    np.testing.assert_allclose(row, np.arange(20, 140) - 0.5, atol=1)


def test_every_page_of_a_tiff_grows(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(noise((20, 30, 3)), resolution=(300, 300), resolutionunit="inch")
        file.write(noise((12, 8), np.uint16), resolution=(200, 100), resolutionunit="inch")
    with tifffile.TiffFile(twice(path)) as file:
        assert [page.shape for page in file.pages] == [(40, 60, 3), (24, 16)]
        assert file.pages[1].dtype == np.uint16
        assert [page.get_resolution("inch") for page in file.pages] == [(600, 600), (400, 200)]


def test_too_large_a_result_is_refused_with_its_size(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"256×192 = 49,152 pixels"):
        enlarged(read_photo(path), 4, max_pixels=49_151)


def test_once_is_the_photo_itself(tmp_path):
    photo = read_photo(full_jpeg(tmp_path / "a.jpg"))
    assert enlarged(photo, 1, max_pixels=1) is photo


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp"])
def test_the_resolution_grows_with_the_pixels(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    pil(smooth()).save(path, dpi=(300, 300))
    with Image.open(twice(path)) as image:
        assert image.size == (128, 96)
        assert image.info["dpi"] == pytest.approx((600, 600), abs=0.02)


@pytest.mark.parametrize("target", ["jpg", "png", "tiff"])
def test_the_resolution_grows_in_another_format_too(tmp_path, target):
    path = full_jpeg(tmp_path / "a.jpg")
    with Image.open(twice(path, tmp_path / f"b.{target}", target)) as image:
        assert image.info["dpi"] == pytest.approx((600, 600), abs=0.02)


def test_exif_tells_the_new_size_and_nothing_else_changes():
    block = exif()
    block[282], block[283], block[256] = 72.0, 72.5, 40000
    block.get_ifd(0x8769)[0xA002] = 40000
    block.get_ifd(0x8769)[0xA003] = 30
    before = block.tobytes()
    grown = Image.Exif()
    grown.load(exif_enlarged(before, 4))
    assert (grown[282], grown[283], grown[256]) == (288, 290, 160000)
    inner = grown.get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003]) == (160000, 120)
    assert inner[0x9003] == "1931:05:04 00:00:00"
    assert len(exif_enlarged(before, 4)) == len(before)
    assert exif_enlarged(before, 1)[:40] == before[:40]


@pytest.mark.parametrize("damage", [b"", b"MM\0*", b"II*\0\x08\0\0\0\xff\xff", b"nonsense at all"])
def test_damaged_exif_stays_as_it_is(damage):
    assert exif_enlarged(damage, 2) == damage


def test_xmp_tells_the_new_size():
    packet = (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="d" '
        b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/">'
        b'<rdf:Description exif:PixelXDimension="64" dc:x="64">'
        b"<tiff:XResolution>300/1</tiff:XResolution></rdf:Description></rdf:RDF>"
    )
    assert xmp_enlarged(packet, 2) == packet.replace(b'n="64"', b'n="128"').replace(b"300", b"600")


@pytest.mark.parametrize("make", [full_jpeg, full_tiff])
def test_exiftool_sees_the_same_but_for_sizes(tmp_path, make):
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    path = make(tmp_path / ("a.jpg" if make is full_jpeg else "a.tif"))

    def tags(file):
        said = subprocess.run([tool, "-j", "-G1", "-n", file], capture_output=True, check=True)
        return json.loads(said.stdout)[0]

    before, after = tags(path), tags(twice(path))
    sized = ("Resolution", "Width", "Height", "ImageSize", "Megapixels", "Length", "Dimension")
    storage = ("File", "ExifTool", "Strip", "Compression", "Predictor", "RowsPer", "SourceFile")
    for name, value in before.items():
        if "Unit" not in name and any(word in name for word in sized):
            continue
        if not any(word in name for word in (*storage, "ApplicationNotes")):
            assert after[name] == value, name
    assert after["IFD0:XResolution" if make is full_tiff else "JFIF:XResolution"] == (
        1200 if make is full_tiff else 600
    )
    assert "ExifTool:Warning" not in after


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
