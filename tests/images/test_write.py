import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from faceren.errors import ImageError, MachineError, ShapeError, may_pass
from faceren.images import (
    Restoration,
    check_target,
    copy_photo,
    read_photo,
    read_rgb,
    write_photo,
    write_png,
)
from faceren.images.containers import bmff, jp2
from faceren.images.containers.jpeg import joined_jpeg, jpeg_metadata, xmp_parts
from faceren.images.containers.png import png_metadata
from faceren.images.containers.webp import joined_webp, riff_chunks
from faceren.images.metadata.fields import jpeg_standard_xmp, jpeg_xmp
from faceren.images.metadata.xmp import SOURCE_TYPE
from faceren.images.page import Page
from faceren.images.photo import Photo
from tests.images.samples import (
    ADOBE_RGB,
    GAMMA_GRAY,
    XMP,
    exif,
    full_jpeg,
    full_tiff,
    lossless,
    noise,
    pil,
    smooth,
)


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


NOTE = Restoration("base", "ab" * 32)
BOX = (3, 4, 23, 20)


def change():
    add = np.zeros((16, 20, 3), np.float32)
    add[2:14, 2:18] = 0.15
    return add


def restored(path, target=None, **options):
    """Restore a photo a little; return what was merged and what a reader of the output finds."""
    target = target or path.parent / "out" / path.name
    merged = read_photo(path).merged([(BOX, change())])
    write_photo(target, merged, note=NOTE, **options)
    return merged, read_photo(target)


def exif_of(path):
    with Image.open(path) as image:
        return image.info.get("exif")


KINDS = [(s, n, t) for s in ("png", "tif") for n in (1, 2, 3, 4) for t in (np.uint8, np.uint16)]
KINDS += [("webp", 3, np.uint8), ("webp", 4, np.uint8)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "channels", "dtype"), KINDS)
def test_lossless_files_keep_every_stored_value(tmp_path, suffix, channels, dtype, orientation):
    raster = noise((40, 30, channels), dtype)
    path = lossless(tmp_path / f"a.{suffix}", raster, orientation)
    merged, again = restored(path)
    page = again.pages[0]
    assert page.orientation == orientation
    assert page.raster.dtype == dtype
    assert np.array_equal(page.raster, merged.pages[0].raster)
    x0, y0, x1, y1 = merged.pages[0].touched[0]
    outside = np.ones(raster.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(page.raster[outside], raster[outside])
    assert not np.array_equal(page.raster, raster)


@pytest.mark.parametrize("mode", ["1", "P", "L", "RGB"])
@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_palettes_and_bits_become_the_colours_they_mean(tmp_path, mode, suffix):
    path = tmp_path / f"a.{suffix}"
    pil(smooth()).convert(mode).save(path, dpi=(300, 300))
    merged, again = restored(path)
    assert np.array_equal(again.pages[0].raster, merged.pages[0].raster)
    with Image.open(path.parent / "out" / path.name) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_jpeg_keeps_every_part_but_pixels_and_xmp(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg")
    restored(path)
    before = jpeg_metadata(path.read_bytes())
    after = jpeg_metadata((tmp_path / "out" / "a.jpg").read_bytes())
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert b"dc:format" in changed[0][1][1]
    assert SOURCE_TYPE.encode() in changed[0][1][1]


def test_a_jpeg_without_xmp_gets_one_after_its_exif(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg", xmp=b"")
    restored(path)
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert SOURCE_TYPE.encode() in image.info["xmp"]
    parts = jpeg_metadata((tmp_path / "out" / "a.jpg").read_bytes())
    names = [content[:4] for _, content in parts]
    assert names == [b"Phot", b"JFIF", b"Exif", b"http", b"ICC_", b"from"]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [True, False])
def test_a_good_jpeg_keeps_its_tables_and_sampling(tmp_path, mode, subsampling, progressive):
    path = tmp_path / "a.jpg"
    options = {"quality": 85, "subsampling": subsampling, "progressive": progressive}
    pil(smooth()).convert(mode).save(path, **options)
    restored(path)
    with Image.open(path) as old, Image.open(tmp_path / "out" / "a.jpg") as new:
        assert new.mode == old.mode == mode
        assert [new.quantization[part[3]] for part in new.layer] == [
            old.quantization[part[3]] for part in old.layer
        ]
        if mode == "RGB":
            assert [part[1:3] for part in new.layer] == [part[1:3] for part in old.layer]
        else:  # of gray it means nothing, inks are all kept
            assert {part[1:3] for part in new.layer} == {(1, 1)}
        assert new.info.get("progressive") == old.info.get("progressive")


def test_unchanged_pixels_of_a_jpeg_hardly_move(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg", subsampling=0)
    before = read_photo(path)
    write_photo(tmp_path / "b.jpg", before, note=NOTE)
    after = read_photo(tmp_path / "b.jpg")
    difference = np.abs(after.pages[0].raster.astype(int) - before.pages[0].raster)
    assert difference.max() <= 2
    assert (difference == 0).mean() > 0.97


def test_a_poor_jpeg_gets_finer_tables_that_divide_its_own(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg", quality=40)
    restored(path, quality=95)
    with Image.open(path) as old, Image.open(tmp_path / "out" / "a.jpg") as new:
        for before, after in zip(old.layer, new.layer, strict=True):
            steps = zip(old.quantization[before[3]], new.quantization[after[3]], strict=True)
            assert all(a % b == 0 and b < a for a, b in steps)


def test_a_png_keeps_every_chunk_but_pixels_and_xmp(tmp_path):
    path = tmp_path / "a.png"
    pil(smooth()).save(path, exif=exif(), icc_profile=ADOBE_RGB, dpi=(300, 300))
    data = path.read_bytes()
    text = b"tEXtComment\0from the attic"
    crc = __import__("zlib").crc32(text).to_bytes(4, "big")
    path.write_bytes(data[:33] + (len(text) - 4).to_bytes(4, "big") + text + crc + data[33:])
    restored(path)
    before = png_metadata(path.read_bytes(), 3)
    after = png_metadata((tmp_path / "out" / "a.png").read_bytes(), 3)
    assert after[: len(before)] == before
    assert [name for name, _ in after[len(before) :]] == [b"iTXt"]
    assert SOURCE_TYPE.encode() in after[-1][1]


@pytest.mark.parametrize("is_lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_webp_keeps_its_kind_and_metadata(tmp_path, is_lossless, mode):
    path = tmp_path / "a.webp"
    image = pil(smooth(channels=len(mode)))
    image.save(path, lossless=is_lossless, exif=exif(), icc_profile=ADOBE_RGB, xmp=XMP)
    merged, again = restored(path)
    before = dict(riff_chunks(path.read_bytes()))
    after = dict(riff_chunks((tmp_path / "out" / "a.webp").read_bytes()))
    assert (b"VP8L" in after) == is_lossless
    assert (before[b"EXIF"], before[b"ICCP"]) == (after[b"EXIF"], after[b"ICCP"])
    assert SOURCE_TYPE.encode() in after[b"XMP "]
    assert again.pages[0].raster.shape == merged.pages[0].raster.shape


def test_what_a_webp_does_not_announce_is_kept_so(tmp_path):
    path = tmp_path / "a.webp"
    pil(smooth()).save(path, exif=exif(6), icc_profile=ADOBE_RGB)
    data = bytearray(path.read_bytes())
    assert (data[12:16], data[20]) == (b"VP8X", 0x28)
    data[20] = 0  # as some programs leave it, so that others see neither turn nor profile
    path.write_bytes(data)
    merged, again = restored(path)
    after = dict(riff_chunks((tmp_path / "out" / "a.webp").read_bytes()))
    assert after[b"VP8X"][0] == 0x04
    assert {b"EXIF", b"ICCP"} <= set(after)
    assert again.pages[0].orientation == merged.pages[0].orientation == 1


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_avif_and_heic_keep_orientation_exif_icc_and_xmp(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    options = {"exif": exif(), "icc_profile": ADOBE_RGB, "quality": 95}
    pil(smooth()).save(path, **options)
    merged, again = restored(path)
    assert again.upright_uint8().shape == merged.upright_uint8().shape
    assert again.pages[0].icc == ADOBE_RGB
    with Image.open(tmp_path / "out" / path.name) as image:
        assert image.getexif()[0x010F] == "Zeiss"
        assert SOURCE_TYPE.encode() in image.info["xmp"]
    difference = np.abs(again.upright_uint8().astype(int) - merged.upright_uint8())
    assert difference.mean() < 3


def test_cmyk_stays_cmyk(tmp_path):
    path = tmp_path / "a.tif"
    full_tiff(path, noise((40, 30, 4)), "CMYK", icc_profile=None)
    merged, again = restored(path)
    assert again.pages[0].space == "cmyk"
    assert np.array_equal(again.pages[0].raster, merged.pages[0].raster)


@pytest.mark.parametrize("target", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize("source", ["jpg", "png", "tif", "webp"])
def test_a_change_of_format_takes_the_metadata_along(tmp_path, source, target):
    path = tmp_path / f"a.{source}"
    if source == "jpg":
        full_jpeg(path)
    elif source == "tif":
        full_tiff(path)
    else:
        pil(smooth()).save(path, exif=exif(), icc_profile=ADOBE_RGB, dpi=(300, 300))
    merged, again = restored(path, tmp_path / f"b.{target}", format=target)
    assert again.kind == {"jpg": "jpeg"}.get(target, target)
    assert (again.pages[0].orientation, again.pages[0].icc) == (6, ADOBE_RGB)
    difference = np.abs(again.upright_uint8().astype(int) - merged.upright_uint8())
    assert difference.mean() < 2
    with Image.open(tmp_path / f"b.{target}") as image:
        known = image.getexif()
        assert known.get_ifd(0x8769)[0x9003] == "1931:05:04 00:00:00"
        assert known[0x010F] == "Zeiss"
        if target != "webp" and source != "webp":
            dpi = (600, 600) if source == "tif" else (300, 300)
            assert image.info["dpi"] == pytest.approx(dpi, abs=0.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("target", ["png", "tiff"])
def test_depth_and_alpha_survive_between_png_and_tiff(tmp_path, dtype, channels, target):
    source = {"png": "tif", "tiff": "png"}[target]
    path = lossless(tmp_path / f"a.{source}", noise((40, 30, channels), dtype), 3)
    merged, again = restored(path, tmp_path / f"b.{target}", format=target)
    assert np.array_equal(again.pages[0].raster, merged.pages[0].raster)
    assert again.pages[0].raster.dtype == dtype
    assert again.pages[0].orientation == 3


def test_gray_with_a_profile_is_converted_for_webp(tmp_path):
    path = tmp_path / "a.png"
    pil(smooth(channels=1)).save(path, icc_profile=GAMMA_GRAY)
    merged, again = restored(path, tmp_path / "b.webp", format="webp", quality=100)
    assert again.pages[0].icc == b""
    difference = np.abs(again.upright_uint8().astype(int) - merged.upright_uint8())
    assert difference.mean() < 2


def test_without_a_note_the_xmp_stays(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg")
    write_photo(tmp_path / "b.jpg", read_photo(path))
    assert jpeg_metadata((tmp_path / "b.jpg").read_bytes()) == jpeg_metadata(path.read_bytes())


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "avif"])
def test_equal_photos_give_equal_bytes(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    pil(smooth()).save(path)
    restored(path, tmp_path / f"b.{suffix}")
    restored(path, tmp_path / f"c.{suffix}")
    assert (tmp_path / f"b.{suffix}").read_bytes() == (tmp_path / f"c.{suffix}").read_bytes()


def test_the_original_is_never_written_to(tmp_path):
    path = full_tiff(tmp_path / "a.tif")
    before = path.read_bytes()
    restored(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
@pytest.mark.parametrize("target", ["keep", "tiff", "png"])
def test_an_original_that_changes_meanwhile_is_an_error(tmp_path, suffix, target):
    path = tmp_path / f"a.{suffix}"
    pil(smooth()).save(path)
    photo = read_photo(path)
    pil(smooth(50, 60)).save(path)
    with pytest.raises(ImageError, match=r"a\.\w+: the file was changed during the run"):
        write_photo(tmp_path / "out" / "b", photo, format=target, note=NOTE)
    assert list((tmp_path / "out").glob("*")) == []


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_what_the_disk_refused_is_told_from_what_is_damaged(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    pil(smooth()).save(path)
    photo = read_photo(path)
    path.unlink()
    for write in (write_photo, copy_photo):
        with pytest.raises(ImageError, match=f"{path}: cannot be read: no such file") as found:
            write(tmp_path / "out" / path.name, photo)
        assert may_pass(found.value)
    path.write_bytes(b"no picture")
    with pytest.raises(ImageError) as found:
        read_photo(path)
    assert not may_pass(found.value)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_an_original_that_vanishes_is_an_error(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    pil(smooth()).save(path)
    photo = read_photo(path)
    path.unlink()
    with pytest.raises(ImageError, match="no such file"):
        write_photo(tmp_path / "b", photo, note=NOTE)
    assert not (tmp_path / "b").exists()


def test_a_gif_cannot_be_kept_but_converted(tmp_path):
    path = tmp_path / "a.gif"
    pil(smooth()).save(path)
    with pytest.raises(ImageError, match=r"a GIF holds 256 colours.*--format png"):
        restored(path)
    merged, again = restored(path, tmp_path / "b.png", format="png")
    assert np.array_equal(again.pages[0].raster, merged.pages[0].raster)


def test_transparency_in_a_jpeg_is_refused(tmp_path):
    path = lossless(tmp_path / "a.png", noise((40, 30, 4)))
    with pytest.raises(ImageError, match=r"a\.png: a JPEG cannot hold.*transparency"):
        restored(path, tmp_path / "b.jpg", format="jpg")


def test_an_opaque_alpha_is_dropped_for_a_jpeg(tmp_path):
    raster = np.dstack([smooth(), np.full((48, 64), 255, np.uint8)])
    path = lossless(tmp_path / "a.png", raster)
    _, again = restored(path, tmp_path / "b.jpg", format="jpg")
    assert again.pages[0].raster.shape == (48, 64, 3)


def test_several_pages_in_a_png_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise((2, 40, 30)), photometric="minisblack")
    with pytest.raises(ImageError, match="only TIFF holds 2 pages"):
        restored(tmp_path / "a.tif", tmp_path / "b.png", format="png")


def test_more_xmp_than_a_segment_of_a_jpeg_holds_goes_into_further_ones(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg", xmp=XMP.replace(b"image/x", b"x" * 65_000))
    restored(path)
    parts = jpeg_metadata((tmp_path / "out" / "a.jpg").read_bytes())
    assert SOURCE_TYPE.encode() in jpeg_standard_xmp(parts)
    assert b"x" * 65_000 not in jpeg_standard_xmp(parts)
    whole = jpeg_xmp(parts)
    assert b"x" * 65_000 in whole
    assert SOURCE_TYPE.encode() in whole


TWO = [XMP, XMP.replace(b'dc:format="image/x"', b'dc:source="attic"')]


def with_two_packets(path):
    """A file with two XMP packets, the second of which few programs read."""
    if path.suffix == ".jp2":
        data = bytes(imagecodecs.jpeg2k_encode(smooth(), 0, codecformat="jp2", reversible=True))
        at = data.index(b"jp2c") - 4
        boxes = b"".join(bmff.box(b"uuid", jp2.XMP_UUID + packet) for packet in TWO)
        path.write_bytes(data[:at] + boxes + data[at:])
        return
    pil(smooth()).save(path)
    data = path.read_bytes()
    if path.suffix == ".png":
        bodies = [b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + packet for packet in TWO]
        chunks = [struct.pack(">I", len(b) - 4) + b + zlib.crc32(b).to_bytes(4) for b in bodies]
        path.write_bytes(data[:33] + b"".join(chunks) + data[33:])
    elif path.suffix == ".webp":
        path.write_bytes(joined_webp(data, (64, 48), [(b"XMP ", b""), (b"XMP ", TWO[1])], TWO[0]))
    else:
        path.write_bytes(joined_jpeg(data, [], [p for text in TWO for p in xmp_parts(text)]))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "jp2"])
def test_of_two_packets_the_first_gets_the_note_and_the_second_keeps_its_bytes(tmp_path, suffix):
    path, out = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    with_two_packets(path)
    photo = read_photo(path).merged([((10, 10, 30, 26), change())])
    assert write_photo(out, photo, note=NOTE) == ()
    data = out.read_bytes()
    first, second = data.index(b'dc:format="image/x"'), data.index(TWO[1])
    assert first < second
    assert data.count(b'dc:format="image/x"') == data.count(SOURCE_TYPE.encode()) == 1
    said = write_photo(tmp_path / "c.tif", photo, note=NOTE, format="tiff")
    assert said == ("left out: a second XMP packet",)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    path = full_jpeg(tmp_path / "a.jpg")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MachineError, match="No space left on device"):
        restored(path)
    assert list((tmp_path / "out").iterdir()) == []


def test_write_png_writes_what_read_rgb_reads(tmp_path):
    write_png(tmp_path / "deep" / "a.png", smooth())
    assert np.array_equal(read_rgb(tmp_path / "deep" / "a.png"), smooth())


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_write_png_refuses_other_pixels(tmp_path, pixels):
    with pytest.raises(ShapeError, match=r"expected \(H, W, 3\) uint8"):
        write_png(tmp_path / "a.png", pixels)
