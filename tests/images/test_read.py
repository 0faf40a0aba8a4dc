import os
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from faceren.errors import ImageError, MachineError
from faceren.images import read_photo, read_rgb
from tests.images.samples import full_jpeg, lossless, noise, pil, smooth

FORMATS = ["jpg", "png", "tif", "webp", "bmp", "avif", "gif"]


def refused(path, match, **options):
    """Check that reading raises one line that names the file."""
    with pytest.raises(ImageError, match=match) as caught:
        read_photo(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def bomb(path, width, height):
    """A PNG of 67 bytes that announces any size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b"\0" * 10), b"IEND"]
    packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read_as_pillow_reads_it(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    pil(smooth()).save(path)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(read_rgb(path), expected)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_cut_in_half_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    pil(noise((40, 50, 3))).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "damaged or incomplete|truncated")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp"])
def test_a_file_that_misses_its_last_tenth_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    pil(noise((40, 50, 3))).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    refused(path, "damaged or incomplete|truncated")


@pytest.mark.parametrize("restart", [0, 3])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_that_announces_more_rows_than_it_has_is_refused(tmp_path, mode, restart):
    path = tmp_path / "a.jpg"
    pil(noise((40, 56, 3))).convert(mode).save(path, restart_marker_blocks=restart)
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc0") + 5
    assert data[frame : frame + 2] == b"\0\x28"
    data[frame : frame + 2] = b"\0\x50"
    path.write_bytes(data)
    refused(path, "damaged or incomplete .image file is truncated")


@pytest.mark.parametrize("marker", [b"\xff\xd9", b"\xff\x01"])
def test_a_jpeg_whose_data_end_too_early_is_refused(tmp_path, marker):
    path = tmp_path / "a.jpg"
    pil(noise((40, 56, 3))).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3] + marker + data[len(data) * 2 // 3 :])
    refused(path, "damaged or incomplete .image file is truncated")


@pytest.mark.parametrize("sides", [(1, 1), (17, 33), (300, 500)])
@pytest.mark.parametrize("make", [smooth, lambda *sides: noise((*sides, 3))])
@pytest.mark.parametrize(
    "options",
    [
        *({"quality": 1}, {"quality": 95}, {"quality": 100, "subsampling": 0}),
        *({"restart_marker_blocks": 2}, {"optimize": True}, {"progressive": True}),
    ],
)
def test_every_pixel_of_a_jpeg_is_as_pillow_reads_it(tmp_path, sides, make, options):
    path = tmp_path / "a.jpg"
    pil(make(*sides)).save(path, **options)
    with Image.open(path) as image:
        expected = np.asarray(image)
    path.write_bytes(path.read_bytes() + b"\xff\xd8 more pictures may follow \xff\xd9")
    assert np.array_equal(read_rgb(path), expected)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_file_of_sixteen_bits_is_refused(tmp_path, share):
    path = lossless(tmp_path / "a.png", noise((40, 50, 3), np.uint16))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(path, "damaged or incomplete")


def test_a_flipped_bit_of_sixteen_bits_is_noticed(tmp_path):
    path = lossless(tmp_path / "a.png", noise((40, 50, 3), np.uint16))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    refused(path, "damaged or incomplete")


def test_a_text_file_named_jpg_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_text("Dear Grandmother,\n")
    refused(tmp_path / "a.jpg", "a.jpg: expected a JPEG, PNG.*the content is none of them")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.jpg").touch()
    refused(tmp_path / "a.jpg", "the file is empty")


def test_a_bomb_is_refused_from_its_header_with_its_size(tmp_path):
    path = bomb(tmp_path / "bomb.png", 40_000, 40_000)
    refused(path, r"40,000×40,000 = 1,600,000,000 pixels, more than the limit of 268,435,456")


def test_the_limit_counts_every_page(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise((3, 20, 30)), photometric="minisblack")
    refused(tmp_path / "a.tif", "30×20 × 3 pages = 1,800 pixels", max_pixels=1799)
    assert len(read_photo(tmp_path / "a.tif", max_pixels=1800).pages) == 3


def test_a_header_that_lies_about_its_size_is_refused(tmp_path):
    refused(bomb(tmp_path / "a.png", 300, 300), "damaged or incomplete")


def test_a_header_of_no_pixels_is_refused(tmp_path):
    refused(bomb(tmp_path / "a.png", 0, 300), "cannot be read|0×300 pixels")


def test_a_missing_file_is_refused(tmp_path):
    refused(tmp_path / "gone.jpg", "gone.jpg: cannot be read: no such file")


def test_a_folder_is_refused(tmp_path):
    refused(tmp_path, "this is a folder")


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    refused(tmp_path / "a.jpg", "no regular file")


def test_a_loop_of_links_is_refused(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "a.jpg")
    refused(tmp_path / "a.jpg", "cannot be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    full_jpeg(tmp_path / "a.jpg").chmod(0)
    refused(tmp_path / "a.jpg", "Permission denied")


def test_permission_denied_is_said_so(tmp_path, monkeypatch):
    path = full_jpeg(tmp_path / "a.jpg")

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", denied)
    refused(path, "a.jpg: cannot be read: Permission denied")


def test_a_name_with_a_newline_gives_one_line(tmp_path):
    message = refused(tmp_path / "a\nb \U0001f475 [x].jpg", "no such file")
    assert r"a\nb 👵 [x].jpg" in message


def test_a_name_that_is_no_unicode_can_be_shown(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.touch()
    assert "caf\\udce9.jpg" in refused(path, "the file is empty")


def test_names_with_spaces_emoji_and_brackets_are_read(tmp_path):
    path = tmp_path / "tante 👵 [1931] \n.png"
    pil(smooth()).save(path, "PNG")
    assert np.array_equal(read_rgb(path), smooth())


def test_an_animation_is_refused(tmp_path):
    frames = [pil(noise((8, 8, 3), seed=seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    refused(tmp_path / "a.webp", "one still picture, got an animation of 3 frames")


def test_floating_point_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((8, 8), np.float32))
    refused(tmp_path / "a.tif", "expected 8 or 16 bits")


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("f2", "floating-point samples of 16"),
        ("f4", "floating-point samples of 32"),
        ("i2", "signed samples of 16"),
        ("c8", "complex samples of 64"),
        ("u4", "samples of 32"),
    ],
)
def test_a_tiff_of_other_samples_is_refused_as_what_it_is(tmp_path, dtype, kind):
    raster = np.ones((20, 30), dtype)
    tifffile.imwrite(tmp_path / "a.tif", raster, photometric="minisblack")
    refused(tmp_path / "a.tif", rf"unsigned.*got a TIFF of {kind} bits, MINISBLACK; convert it")


def test_exif_that_warns_in_pillow_does_not_warn_here(tmp_path):
    path = tmp_path / "a.jpg"
    broken = b"Exif\0\0II*\0\x08\0\0\0\x09\0" + b"\x12\x01\x03\0\xff\xff\xff\xff\0\0\0\xff" * 3
    pil(smooth()).save(path, exif=broken)
    assert read_photo(path).pages[0].orientation == 1


def test_heic_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(MachineError, match=r"pip install 'faceren\[heif\]'"):
        read_photo(path)


def test_sixteen_bits_are_seen_without_loss(tmp_path):
    raster = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    photo = read_photo(lossless(tmp_path / "a.png", raster))
    seen = photo.upright_region((0, 0, 256, 256))
    assert seen.dtype == np.float32
    assert np.array_equal(np.rint(seen * 65535).astype(np.uint16), raster)
    assert np.array_equal(photo.upright_uint8(), np.rint(raster / 257).astype(np.uint8))


def test_white_is_zero_in_a_negative_scan_and_seen_white(tmp_path):
    raster = noise((9, 8))
    tifffile.imwrite(tmp_path / "a.tif", raster, photometric="miniswhite")
    assert np.array_equal(read_rgb(tmp_path / "a.tif")[..., 1], 255 - raster)


@pytest.mark.parametrize("mode", ["1", "P"])
@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_bits_and_palettes_are_seen_in_their_colours(tmp_path, mode, suffix):
    image = pil(smooth()).convert(mode)
    image.save(tmp_path / f"a.{suffix}")
    assert np.array_equal(read_rgb(tmp_path / f"a.{suffix}"), np.asarray(image.convert("RGB")))


def test_planes_apart_are_read_as_planes_together(tmp_path):
    raster = noise((9, 8, 3))
    planes = np.moveaxis(raster, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_rgb(tmp_path / "a.tif"), raster)


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate"])
def test_compressed_tiffs_are_read(tmp_path, compression):
    path = tmp_path / "a.tif"
    pil(smooth()).save(path, compression=compression, tiffinfo={274: 6})
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert expected.shape == (64, 48, 3)
    assert np.array_equal(read_rgb(path), expected)
