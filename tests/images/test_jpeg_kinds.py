"""JPEG files as cameras, phones and scanners write them, read by other programs afterwards."""

import io
import shutil
import struct
import subprocess

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from faceren.errors import ImageError
from faceren.images import read_photo
from faceren.images.containers.jpeg import behind_jpeg, frame_of, jpeg_segments
from faceren.images.metadata.xmp import SOURCE_TYPE
from tests.images.changing import exiftool, exiftool_bytes, restored, tags
from tests.images.samples import ADOBE_RGB, XMP, full_jpeg, noise, pil, smooth

HDR = "http://ns.adobe.com/hdr-gain-map/1.0/"
CONTAINER = "http://ns.google.com/photos/1.0/container/"
CAMERA = "http://ns.google.com/photos/1.0/camera/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
ANNOUNCED = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description '
    f'rdf:about="" xmlns:hdrgm="{HDR}" xmlns:C="{CONTAINER}" xmlns:I="{CONTAINER}item/" '
    f'xmlns:G="{CAMERA}" xmlns:dc="http://purl.org/dc/elements/1.1/" hdrgm:Version="1.0" '
    f'G:MotionPhoto="1" G:MotionPhotoVersion="1" dc:format="image/jpeg"><C:Directory><rdf:Seq>'
    f'<rdf:li rdf:parseType="Resource"><C:Item I:Semantic="Primary"/></rdf:li></rdf:Seq>'
    f"</C:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"
).encode()
VIDEO = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 9


def encoded(raster, **options):
    stream = io.BytesIO()
    pil(raster).save(stream, "JPEG", **options)
    return stream.getvalue()


def segment(marker, content):
    return b"\xff" + marker + struct.pack(">H", len(content) + 2) + content


def with_pictures(path, others, order=">", xmp=ANNOUNCED):
    """A JPEG with more pictures behind it and their index (CIPA DC-007)."""
    first = encoded(smooth(), quality=90)
    parts = segment(b"\xe1", b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    head = {">": b"MM\0*", "<": b"II*\0"}[order] + struct.pack(order + "I", 8)
    table = 16 * (len(others) + 1)
    fields = [(0xB000, 7, 4, b"0100"), (0xB001, 4, 1, struct.pack(order + "I", len(others) + 1))]
    fields.append((0xB002, 7, table, struct.pack(order + "I", 8 + 2 + 36 + 4)))
    packed = b"".join(struct.pack(order + "HHI", t, k, n) + value for t, k, n, value in fields)
    length = len(head) + 2 + len(packed) + 4 + table
    size = 2 + len(parts) + 4 + 4 + length + len(first) - 2
    base, at = 2 + len(parts) + 4 + 4, size
    entries = struct.pack(order + "IIIHH", 0x030000, size, 0, 0, 0)
    for other in others:
        entries += struct.pack(order + "IIIHH", 0, len(other), at - base, 0, 0)
        at += len(other)
    index = head + struct.pack(order + "H", 3) + packed + struct.pack(order + "I", 0) + entries
    whole = first[:2] + parts + segment(b"\xe2", b"MPF\0" + index) + first[2:]
    assert len(whole) == size
    path.write_bytes(whole + b"".join(others))
    return path


@pytest.mark.parametrize("progressive", [True, False])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:1:1"])
@pytest.mark.parametrize("colours", ["gray", "ycbcr", "rgb"])
def test_sampling_ids_and_tables_stay(tmp_path, colours, subsampling, progressive):
    if colours == "rgb" and subsampling != "4:4:4":
        pytest.skip("RGB is not subsampled")
    raster = smooth(96, 128)[..., : 1 if colours == "gray" else 3]
    options = {"subsampling": subsampling, "progressive": progressive, "quality": 88}
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(raster, keep_rgb=colours == "rgb", **options))
    output, said = restored(path)
    old, new = frame_of(path.read_bytes()), frame_of(output.read_bytes())
    assert (new.ids, new.marker, new.bits) == (old.ids, old.marker, 8)
    with Image.open(path) as before, Image.open(output) as after:
        if colours != "gray":  # of one component it means nothing
            assert [layer[1:3] for layer in after.layer] == [layer[1:3] for layer in before.layer]
        a, b = np.asarray(before).astype(int), np.asarray(after)
    assert np.abs(a[:32] - b[:32]).max() <= 3
    assert (a[:32] == b[:32]).mean() > (0.9 if subsampling == "4:4:4" else 0.8)
    assert said == ()


@pytest.mark.parametrize("adobe", [True, False])
def test_red_green_and_blue_are_told_by_marker_or_name(tmp_path, adobe):
    data = encoded(smooth(), keep_rgb=True, quality=92)
    if not adobe:
        parts, scan = jpeg_segments(data)
        bare = [part for part in parts if part[0] not in (b"\xee", b"\xe0")]
        data = b"\xff\xd8" + b"".join(segment(*part) for part in bare) + scan
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    output, _ = restored(path)
    markers = [marker for marker, _ in jpeg_segments(output.read_bytes())[0]]
    assert (b"\xee" in markers) == adobe
    assert frame_of(output.read_bytes()).ids == tuple(b"RGB")
    assert abs(np.asarray(Image.open(output)).astype(int)[:20] - smooth()[:20]).mean() < 3


@pytest.mark.parametrize("program", ["cjpeg", "jpegtran"])
def test_arithmetic_coding_is_read(tmp_path, program):
    tool = shutil.which(program)
    if tool is None:
        pytest.skip(f"{program} is not installed (Debian: libjpeg-turbo-progs)")
    path = tmp_path / "a.jpg"
    pil(smooth()).save(tmp_path / "a.ppm")
    path.write_bytes(encoded(smooth(), quality=90))
    source = tmp_path / ("a.ppm" if program == "cjpeg" else "a.jpg")
    made = subprocess.run([tool, "-arithmetic", source], capture_output=True, check=True).stdout
    assert frame_of(made).marker in (b"\xc9", b"\xca")
    path.write_bytes(made)
    output, _ = restored(path)
    assert np.abs(np.asarray(Image.open(output)).astype(int)[:20] - smooth()[:20]).mean() < 3


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("count", [1, 2])
def test_further_pictures_stay_where_the_index_says(tmp_path, count, order):
    others = [encoded(smooth(24, 32), quality=40 + n) for n in range(count)]
    path = with_pictures(tmp_path / "a.jpg", others, order)
    assert exiftool_bytes("-MPImage2", path) == others[0]
    output, said = restored(path)
    assert tags(output)["MPF0:NumberOfImages"] == count + 1
    for number, other in enumerate(others, start=2):
        assert exiftool_bytes(f"-MPImage{number}", output) == other
    first = exiftool("-s3", "-n", "-MPImage1:MPImageLength", output)
    assert first == [str(output.stat().st_size - sum(map(len, others)))]
    assert exiftool("-s3", "-Warning", output) == []
    assert any("stays as it was" in line for line in said)
    assert exiftool("-s3", "-XMP-hdrgm:Version", output) == ["1.0"]


def test_a_video_stays_behind_its_picture(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg", xmp=ANNOUNCED)
    path.write_bytes(path.read_bytes() + VIDEO)
    output, said = restored(path)
    assert output.read_bytes().endswith(VIDEO)
    assert behind_jpeg(output.read_bytes()) == VIDEO
    assert any(line.startswith(f"a video of {len(VIDEO):,} bytes") for line in said)


@pytest.mark.parametrize("target", ["png", "webp", "tiff"])
@pytest.mark.parametrize("kind", ["gain map", "video"])
def test_what_is_left_out_is_said_and_not_announced(tmp_path, kind, target):
    path = tmp_path / "a.jpg"
    if kind == "video":
        full_jpeg(path, xmp=ANNOUNCED)
        path.write_bytes(path.read_bytes() + VIDEO)
    else:
        gain = encoded(smooth(24, 32))
        at = segment(b"\xe1", b"http://ns.adobe.com/xap/1.0/\0" + ANNOUNCED)
        with_pictures(path, [gain[:2] + at + gain[2:]])
    output, said = restored(path, tmp_path / f"b.{target}", format=target)
    assert any("left out" in line and kind in line for line in said)
    known = "\n".join(exiftool("-a", "-G1", output))
    assert "hdrgm" not in known
    assert "Container" not in known
    assert "Motion" not in known
    assert exiftool("-s3", "-XMP-dc:Format", output) == ["image/jpeg"]
    assert exiftool("-s3", "-XMP:DigitalSourceType", output) == [SOURCE_TYPE]


def long_xmp(length):
    text = b"h" * length
    return XMP.replace(b'dc:format="image/x"', b'dc:format="image/x" dc:source="' + text + b'"')


@pytest.mark.parametrize("source", ["png", "tif", "webp"])
@pytest.mark.parametrize("length", [1000, 64_900, 65_400, 200_000])
def test_xmp_of_any_length_moves_into_a_jpeg_and_back(tmp_path, source, length):
    path = tmp_path / f"a.{source}"
    packet = long_xmp(length)
    if source == "tif":
        pil(smooth()).save(path, tiffinfo={700: packet})
    elif source == "webp":
        pil(smooth()).save(path, xmp=packet, lossless=True)
    else:
        from faceren.images.containers.png import joined_png

        stream = io.BytesIO()
        pil(smooth()).save(stream, "PNG")
        path.write_bytes(joined_png(stream.getvalue(), [], packet))
    jpeg, _ = restored(path, tmp_path / "b.jpg", format="jpg")
    assert exiftool_bytes("-XMP-dc:Source", jpeg) == b"h" * length
    assert exiftool("-s3", "-XMP:DigitalSourceType", jpeg) == [SOURCE_TYPE]
    assert exiftool("-s3", "-Warning", jpeg) == []
    again, _ = restored(jpeg, tmp_path / "c.jpg")
    assert exiftool_bytes("-XMP-dc:Source", again) == b"h" * length
    assert exiftool("-a", "-s3", "-XMP:DigitalSourceType", again) == [SOURCE_TYPE]
    back, _ = restored(again, tmp_path / f"d.{source}", format={"tif": "tiff"}.get(source, source))
    assert exiftool_bytes("-XMP-dc:Source", back) == b"h" * length


def test_a_piece_of_xmp_that_is_missing_is_said(tmp_path):
    path = tmp_path / "a.png"
    pil(smooth()).save(path)
    from faceren.images.containers.png import joined_png

    path.write_bytes(joined_png(path.read_bytes(), [], long_xmp(200_000)))
    jpeg, _ = restored(path, tmp_path / "b.jpg", format="jpg")
    data = jpeg.read_bytes()
    piece = data.index(b"http://ns.adobe.com/xmp/extension/", 1000) - 4
    size = int.from_bytes(data[piece + 2 : piece + 4], "big") + 2
    jpeg.write_bytes(data[:piece] + data[piece + size :])
    with pytest.raises(ImageError, match="pieces of it are missing; only --format keep"):
        restored(jpeg, tmp_path / "c.png", format="png")
    restored(jpeg, tmp_path / "c.jpg")


@pytest.mark.parametrize("frame", [3, 5, 6, 7, 11, 13, 14, 15])
def test_kinds_of_jpeg_that_are_no_photos_are_named(tmp_path, frame):
    path = tmp_path / "a.jpg"
    data = bytearray(encoded(smooth()))
    data[data.index(b"\xff\xc0") + 1] = 0xC0 + frame
    path.write_bytes(data)
    name = "lossless" if frame in (3, 7, 11, 15) else "hierarchical"
    with pytest.raises(ImageError, match=f"a {name} JPEG.*convert it to TIFF or PNG first"):
        read_photo(path)


def test_twelve_bits_are_named(tmp_path):
    path = tmp_path / "a.jpg"
    data = bytearray(encoded(smooth()))
    data[data.index(b"\xff\xc0") + 4] = 12
    path.write_bytes(data)
    with pytest.raises(ImageError, match="a JPEG of 12 bits a sample, expected 8"):
        read_photo(path)


def test_a_height_behind_the_pixels_is_named(tmp_path):
    path = tmp_path / "a.jpg"
    data = bytearray(encoded(smooth()))
    frame = data.index(b"\xff\xc0")
    height = data[frame + 5 : frame + 7]
    data[frame + 5 : frame + 7] = bytes(2)
    path.write_bytes(data[:-2] + segment(b"\xdc", height) + data[-2:])
    with pytest.raises(ImageError, match="says its height behind its pixels .DNL."):
        read_photo(path)


def test_jpeg_ls_is_named(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(imagecodecs.jpegls_encode(smooth()))
    with pytest.raises(ImageError, match="a JPEG-LS picture; convert it"):
        read_photo(path)


def test_a_step_of_zero_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    data = bytearray(encoded(smooth()))
    data[data.index(b"\xff\xdb") + 9] = 0
    path.write_bytes(data)
    with pytest.raises(ImageError, match="a quantisation step of 0"):
        read_photo(path)


def test_the_comment_moves_to_a_png_and_back(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg", comment="Großmutter".encode())
    png, _ = restored(path, tmp_path / "b.png", format="png")
    assert exiftool("-s3", "-PNG:Comment", png) == ["Großmutter"]
    jpeg, _ = restored(png, tmp_path / "c.jpg", format="jpg")
    assert exiftool("-s3", "-File:Comment", jpeg) == ["Großmutter"]
    tiff, _ = restored(path, tmp_path / "d.tif", format="tiff")
    assert exiftool("-s3", "-IFD0:ImageDescription", tiff) == ["Großmutter"]


def test_what_webp_cannot_hold_is_named(tmp_path):
    _, said = restored(full_jpeg(tmp_path / "a.jpg"), tmp_path / "b.webp", format="webp")
    assert set(said) == {"left out: IPTC fields", "left out: comments", "left out: the resolution"}


@pytest.mark.parametrize("gray", [True, False])
@pytest.mark.parametrize("target", ["png", "webp", "tiff"])
def test_no_profile_contradicts_the_pixels(tmp_path, gray, target):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(smooth()[..., : 1 if gray else 3], icc_profile=ADOBE_RGB))
    output, said = restored(path, tmp_path / f"b.{target}", format=target)
    with Image.open(output) as image:
        assert (image.info.get("icc_profile") == ADOBE_RGB) == (not gray)
    assert ("left out: a profile that is not for such pixels" in said) == gray


PROGRAMS = [{}, {"restart_marker_rows": 1}, {"progressive": True}, {"subsampling": "4:4:4"}]


@pytest.mark.parametrize("filling", [b"", b"\xff", bytes(700), b"\xff" * 512])
@pytest.mark.parametrize("options", PROGRAMS)
def test_a_picture_whose_end_marker_alone_is_missing_is_whole(tmp_path, options, filling):
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    whole.write_bytes(encoded(noise((50, 70, 3)), quality=95, **options))
    cut.write_bytes(whole.read_bytes()[:-2] + filling)
    expected, _ = restored(whole)
    output, said = restored(cut)
    assert output.read_bytes() == expected.read_bytes()
    assert said == ("the mark of the picture's end is missing; the picture is whole",)


@pytest.mark.parametrize("options", PROGRAMS)
def test_the_next_picture_is_kept_where_the_first_ones_end_is_missing(tmp_path, options):
    path, other = tmp_path / "a.jpg", encoded(smooth(24, 32))
    path.write_bytes(encoded(smooth(), quality=95, **options)[:-2] + other)
    output, said = restored(path)
    assert behind_jpeg(output.read_bytes()) == other
    assert len(said) == 2


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("options", PROGRAMS)
def test_the_end_of_a_picture_that_was_filled_up_with_zeros_is_missing(tmp_path, options, filled):
    data = encoded(noise((200, 200, 3)), quality=95, **options)
    path, lost = tmp_path / "a.jpg", len(data) // 2
    path.write_bytes(data[:-lost] + bytes(8 * lost if filled else 0))
    with pytest.raises(ImageError, match="damaged or incomplete"):
        read_photo(path)


def _swapped(data):
    first, second = (data.index(b"\xff" + bytes([0xD0 + n])) for n in (1, 2))
    third = data.index(b"\xff\xd3")
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _lost(data):
    first, second = (data.index(b"\xff" + bytes([0xD0 + n])) for n in (1, 2))
    return data[:first] + data[second:]


def _zeroed(data):
    middle = len(data) // 2
    return data[:middle] + bytes(512) + data[middle + 512 :]


@pytest.mark.parametrize(
    ("damage", "options"),
    [
        *((_swapped, PROGRAMS[1]), (_lost, PROGRAMS[1]), (_zeroed, PROGRAMS[1])),
        (_zeroed, {"progressive": True}),
    ],
)
def test_pieces_that_are_missing_or_mixed_up_are_said(tmp_path, damage, options):
    path = tmp_path / "a.jpg"
    path.write_bytes(damage(encoded(noise((200, 200, 3)), quality=95, **options)))
    _, said = restored(path)
    assert len(said) == 1
    assert said[0].startswith("the file seems damaged: pieces of its picture are missing")


def test_zeros_of_an_empty_picture_are_no_damage(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(np.full((800, 800, 3), 200, np.uint8), quality=90, optimize=True))
    assert bytes(64) in path.read_bytes()
    assert restored(path)[1] == ()
