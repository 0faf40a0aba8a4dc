"""Small pictures in the metadata show what the photo shows now."""

import base64
import io
import re
import struct
import subprocess

import numpy as np
import pytest
import tifffile
from PIL import Image

from faceren.images import Restoration, read_photo, write_photo
from faceren.images.containers import jpeg
from faceren.images.metadata import xmp
from faceren.images.metadata.derived import (
    GONE,
    exif_renewed,
    parts_renewed,
    resources_renewed,
    xmp_renewed,
)
from faceren.images.metadata.fields import metadata_of
from faceren.images.page import Page
from tests.images.samples import exif, pil, smooth
from tests.images.test_exiftool import exiftool

NOTE = Restoration("base", "ab" * 32)
FACE = np.full((64, 64, 3), 0.6, np.float32)
DARK = np.full((96, 128, 3), 40, np.uint8)


def coded(pixels, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **{"quality": 90} | options)
    return stream.getvalue()


def touched(pixels=DARK, orientation=1):
    """A page with a bright square in the middle of its dark picture, as it is stored."""
    raster = pixels.copy()
    middle, half = np.array(raster.shape[:2]) // 2, 24
    box = (middle[1] - half, middle[0] - half, middle[1] + half, middle[0] + half)
    raster[box[1] : box[3], box[0] : box[2]] = 220
    return Page(raster, "rgb", orientation, touched=(box,))


def block_with(picture, order="<", kind=4):
    """EXIF of two directories, the second with a picture behind it."""
    first = 8
    second = first + 2 + 12 + 4
    place = second + 2 + 3 * 12 + 4
    code = "H" if kind == 3 else "I"

    def entry(tag, kind, value):
        form = order + "HHI" + ("HH" if kind == 3 else "I")
        return struct.pack(form, tag, kind, 1, *((value, 0) if kind == 3 else (value,)))

    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", first)
    one = struct.pack(order + "H", 1) + entry(0x0112, 3, 1) + struct.pack(order + "I", second)
    two = struct.pack(order + "H", 3) + entry(0x0103, 3, 6) + entry(0x0201, 4, place)
    two += entry(0x0202, kind, len(picture)) + struct.pack(order + "I", 0)
    assert code in "HI"
    return head + one + two + picture + b"maker's note"


def picture_in(block, order="<"):
    (second,) = struct.unpack_from(order + "I", block, 8 + 2 + 12)
    fields = [struct.unpack_from(order + "HHI4s", block, second + 2 + 12 * n) for n in (1, 2)]
    numbers = [
        struct.unpack_from(order + ("H" if kind == 3 else "I"), field)[0]
        for _, kind, _, field in fields
    ]
    with Image.open(io.BytesIO(block[numbers[0] : sum(numbers)])) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_the_picture_of_exif_is_new_and_nothing_moves(order, kind):
    old = block_with(coded(DARK[::2, ::2], quality=95, comment="x" * 900), order, kind)
    new, lost = exif_renewed(old, touched())
    assert (len(new), lost) == (len(old), ())
    assert new.endswith(b"maker's note")
    small = picture_in(new, order).astype(int)
    assert small.shape == (48, 64, 3)
    assert small[20:28, 28:36].mean() == pytest.approx(220, abs=4)
    assert small[:8].mean() == pytest.approx(40, abs=4)


def test_without_a_change_it_stays_as_it_is():
    old = block_with(coded(DARK[::2, ::2]))
    assert exif_renewed(old, Page(DARK, "rgb")) == (old, ())


def test_a_picture_that_shows_the_photo_upright_goes_on_doing_so():
    slope = np.repeat(np.linspace(0, 255, 96).astype(np.uint8)[:, None, None], 128, axis=1)
    slope = np.repeat(slope, 3, axis=2)
    upright = np.ascontiguousarray(np.rot90(slope, -1))  # Orientation 6
    old = block_with(coded(upright[::2, ::2], comment="x" * 900))
    new, _ = exif_renewed(old, touched(slope, orientation=6))
    small = picture_in(new).astype(int)
    assert small.shape == (64, 48, 3)
    assert small[:8, -4:].mean() < 20 < 235 < small[:8, :4].mean()
    assert small[32, 24].mean() == pytest.approx(220, abs=6)


def test_bars_stay_where_the_photo_is_of_another_shape():
    page = touched(np.full((60, 180, 3), 90, np.uint8))
    old = block_with(coded(np.zeros((120, 160, 3), np.uint8), comment="x" * 900))
    small = picture_in(exif_renewed(old, page)[0]).astype(int)
    assert small[:30].max() < 12
    assert small[-30:].max() < 12
    assert small[58, 4].mean() == pytest.approx(90, abs=6)


@pytest.mark.parametrize(
    "picture",
    [b"\xff\xd8 no picture", coded(DARK)[:200], coded(np.full((4, 4, 3), 9, np.uint8))[:-1], b""],
)
def test_what_cannot_be_made_anew_is_left_out_and_named(picture):
    old = block_with(picture)
    new, (line,) = exif_renewed(old, touched())
    assert len(new) == len(old)
    assert line.startswith("the small picture in the EXIF, which showed the original")
    assert struct.unpack_from("<I", new, 8 + 2 + 12) == (0,)
    assert new.endswith(b"maker's note")


@pytest.mark.parametrize("length", range(0, 90, 3))
def test_a_block_that_is_cut_off_does_no_harm(length):
    exif_renewed(block_with(coded(DARK))[:length], touched())


def resource(number, content, name=b"\0\0"):
    head = b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(content))
    return head + content + b"\0" * (len(content) % 2)


def small_picture(pixels, coding=1):
    data = coded(pixels)
    height, width = pixels.shape[:2]
    sizes = (coding, width, height, 3 * width, 3 * width * height, len(data))
    return struct.pack(">6I2H", *sizes, 24, 1) + data


@pytest.mark.parametrize("number", [0x0409, 0x040C])
def test_photoshops_picture_is_new_and_the_rest_is_as_it_was(number):
    before, after = resource(0x0404, b"caption", b"\3abc"), resource(0x03ED, b"odd")
    blue = DARK.copy()
    blue[..., 2] = 200  # as the page has it
    stored = blue[..., ::-1] if number == 0x0409 else blue
    old = before + resource(number, small_picture(stored[::2, ::2])) + after
    new, lost = resources_renewed(old, touched(blue))
    assert lost == ()
    assert new.startswith(before)
    assert new.endswith(after)
    content = new[len(before) + 12 : -len(after)]
    (length,) = struct.unpack_from(">I", content, 20)
    with Image.open(io.BytesIO(content[28 : 28 + length])) as image:
        small = np.asarray(image).astype(int)
    assert small[24, 32] == pytest.approx([220] * 3, abs=6)
    assert small[4, 4] == pytest.approx(stored[0, 0], abs=6)


def test_photoshops_raw_picture_is_left_out_and_named():
    old = resource(0x0404, b"caption") + resource(0x040C, small_picture(DARK, coding=0))
    new, (line,) = resources_renewed(old, touched())
    assert new == resource(0x0404, b"caption")
    assert "Photoshop" in line


def test_resources_in_several_segments_are_one():
    content = resource(0x040C, small_picture(DARK[::2, ::2])) + resource(0x03ED, bytes(70_000))
    pieces = [content[start : start + 500] for start in (0, 500)] + [content[1000:]]
    parts = [
        (b"\xe0", b"JFIF"),
        *((b"\xed", jpeg.IPTC + piece) for piece in pieces),
        (b"\xfe", b"x"),
    ]
    new, lost = parts_renewed(parts, touched())
    assert lost == ()
    assert (new[0], new[-1]) == (parts[0], parts[-1])
    assert all(len(piece) < jpeg.SEGMENT_LIMIT for _, piece in new)
    joined = b"".join(piece.removeprefix(jpeg.IPTC) for _, piece in new[1:-1])
    assert joined == resources_renewed(content, touched())[0]


def add_thumbnails(path, thumbnail):
    exiftool(
        *("-overwrite_original", f"-IFD1:ThumbnailImage<={thumbnail}", "-IFD1:Compression=6"), path
    )
    if path.suffix in (".jpg", ".tif"):
        exiftool("-overwrite_original", f"-PhotoshopThumbnail<={thumbnail}", path)


def shown(path, tag):
    exiftool("-ver")  # or skip
    said = subprocess.run(["exiftool", "-b", f"-{tag}", path], capture_output=True, check=True)
    if not said.stdout:
        return None
    with Image.open(io.BytesIO(said.stdout)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("target", ["keep", "jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp", "avif", "heic", "jp2"])
def test_no_small_picture_in_any_format_shows_the_original(tmp_path, suffix, target):
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    options = {"exif": exif(1).tobytes()} if suffix != "jp2" else {"irreversible": False}
    pil(smooth(96, 128) // 4).save(path, **options)
    thumbnail = tmp_path / "small.jpg"
    thumbnail.write_bytes(coded(smooth(96, 128)[::2, ::2] // 4))
    add_thumbnails(path, thumbnail)
    photo = read_photo(path)
    out = tmp_path / f"out.{suffix if target == 'keep' else target}"
    write_photo(out, photo.merged([((32, 16, 96, 80), FACE)]), note=NOTE, format=target)
    tags = ("ThumbnailImage", "PhotoshopThumbnail")
    before, after = ({tag: shown(each, tag) for tag in tags} for each in (path, out))
    assert any(small is not None for small in before.values()) or suffix in ("tif", "jp2")
    for small in after.values():
        if small is not None:
            assert small.shape == (48, 64, 3)
            assert small[16:32, 24:40].mean() > 150  # the face that was made light
    if target == "keep":
        assert {t for t in tags if after[t] is not None} == {
            t for t in tags if before[t] is not None
        }


def segment(marker, content):
    return b"\xff" + marker + struct.pack(">H", len(content) + 2) + content


def framed(photo, *segments):
    """A JPEG file with segments before all others."""
    data = coded(photo, quality=95)
    return data[:2] + b"".join(segment(*part) for part in segments) + data[2:]


def restored_segments(tmp_path, data):
    path, out = tmp_path / "a.jpg", tmp_path / "out.jpg"
    path.write_bytes(data)
    photo = read_photo(path).merged([((32, 16, 96, 80), FACE)])
    said = write_photo(out, photo, note=NOTE)
    return jpeg.jpeg_segments(out.read_bytes())[0], said


@pytest.mark.parametrize("head", [b"JFXX\0\x13", b"JFIF\0\1\2\1\0\x48\0\x48"])
def test_a_small_picture_of_plain_pixels_is_new(tmp_path, head):
    small = DARK[::2, ::2]
    content = head + bytes([64, 48]) + small.tobytes()
    parts, said = restored_segments(tmp_path, framed(DARK, (b"\xe0", content)))
    assert said == ()
    (new,) = [c for _, c in parts if c.startswith(head)]
    assert (len(new), new[: len(head) + 2]) == (len(content), content[: len(head) + 2])
    pixels = np.frombuffer(new[len(head) + 2 :], np.uint8).reshape(48, 64, 3)
    assert pixels[16:32, 24:40].mean() > 150
    assert abs(pixels[:6].mean() - 40) < 3


def test_a_small_jpeg_of_jfxx_is_new_and_one_of_a_palette_goes_with_a_word(tmp_path):
    head = b"JFXX\0\x10"
    parts, said = restored_segments(tmp_path, framed(DARK, (b"\xe0", head + coded(DARK[::2, ::2]))))
    assert said == ()
    (new,) = [c for _, c in parts if c.startswith(head)]
    with Image.open(io.BytesIO(new[6:])) as image:
        assert np.asarray(image)[16:32, 24:40].mean() > 150
    palette = b"JFXX\0\x11" + bytes([8, 6]) + bytes(768) + bytes(48)
    parts, said = restored_segments(tmp_path, framed(DARK, (b"\xe0", palette)))
    assert not any(c.startswith(b"JFXX") for _, c in parts)
    assert said == (f"left out: {GONE.format('JFXX segment')}",)


def pictured(small, more=""):
    """An XMP packet with a thumbnail."""
    text = base64.b64encode(small).decode()
    lines = "&#xA;".join(text[n : n + 76] for n in range(0, len(text), 76))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
        '"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="attic" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"><xmp:Thumbnails><rdf:Alt>'
        '<rdf:li rdf:parseType="Resource"><xmpGImg:width>64</xmpGImg:width>'
        "<xmpGImg:height>48</xmpGImg:height><xmpGImg:format>JPEG</xmpGImg:format>"
        f"<xmpGImg:image>{lines}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>"
        f"{more}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def picture_of(packet):
    found = re.search(rb"<xmpGImg:image>([^<]*)</xmpGImg:image>", packet)
    if found is None:
        return None
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


SMALL = coded(smooth(96, 128)[::2, ::2] // 4)
LONG = "<dc:description>" + "a long story " * 6000 + "</dc:description>"


@pytest.mark.parametrize("target", ["keep", "png", "webp", "tiff"])
@pytest.mark.parametrize("more", ["", LONG])
def test_thumbnails_in_xmp_show_the_restored_photo(tmp_path, more, target):
    packet = pictured(SMALL, more)
    segments = jpeg.xmp_parts(packet)
    if more:
        segments = jpeg.xmp_parts(*xmp.split(packet, bytes))
        assert len(segments) > 1
    path = tmp_path / "a.jpg"
    path.write_bytes(framed(smooth(96, 128) // 4, *segments))
    out = tmp_path / f"out.{'jpg' if target == 'keep' else target}"
    photo = read_photo(path).merged([((32, 16, 96, 80), FACE)])
    assert write_photo(out, photo, note=NOTE, format=target) == ()
    if target == "tiff":
        with tifffile.TiffFile(out) as tiff:
            new = bytes(tiff.pages[0].tags[700].value)
    else:
        new = metadata_of({"keep": "jpeg"}.get(target, target), out.read_bytes()).xmp
    small = picture_of(new)
    assert small.shape == (48, 64, 3)
    assert small[16:32, 24:40].mean() > 150
    assert (b"a long story" in new) == bool(more)
    assert b'dc:source="attic"' in new


def test_a_thumbnail_of_another_kind_in_xmp_goes_with_a_word():
    packet = pictured(b"no picture")
    new, said = xmp_renewed(packet, (touched(),))
    assert said == (GONE.format("XMP"),)
    assert b"Thumbnails" not in new
    assert b'dc:source="attic"' in new
    new, said = xmp_renewed(pictured(SMALL), (touched(), touched()))
    assert (picture_of(new), len(said)) == (None, 1)
    assert xmp_renewed(packet, (Page(DARK, "rgb"),)) == (packet, ())


def test_a_tiff_of_photoshop_keeps_its_other_resources(tmp_path):
    path, out = tmp_path / "a.tif", tmp_path / "out.tif"
    block = resource(0x03ED, b"resolution") + resource(0x040C, small_picture(DARK[::2, ::2]))
    tifffile.imwrite(path, DARK, photometric="rgb", extratags=[(34377, 7, len(block), block, True)])
    write_photo(out, read_photo(path).merged([((32, 16, 96, 80), FACE)]), note=NOTE)
    with tifffile.TiffFile(out) as tiff:
        new = bytes(tiff.pages[0].tags[34377].value)
    assert new.startswith(resource(0x03ED, b"resolution"))
    assert new != block
    assert shown(out, "PhotoshopThumbnail")[24, 32].mean() > 150
