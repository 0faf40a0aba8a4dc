"""Files that were made to break a parser, and files broken at random, of every kind."""

import struct
import time
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from faceren.errors import FacerenError, ImageError
from faceren.images import decoded_bytes, enlarged, read_photo, write_photo
from faceren.images.containers import bmff, jp2, jpeg, png, webp
from faceren.images.metadata import exif as exif_blocks
from faceren.images.metadata import fields, xmp
from faceren.images.metadata.derived import exif_enlarged
from tests.images.changing import NOTE, exiftool, restored
from tests.images.samples import XMP, full_jpeg, full_tiff, pil, smooth
from tests.images.seeds import damaged, seeds
from tests.images.test_png_kinds import chunk
from tests.images.test_png_kinds import png as png_file

SEEDS = seeds()
HOSTILE = Path(__file__).parents[3] / "shared/cases/hostile"
LIMIT = 4_000_000
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["bit", "byte", "number", "number", "cut", "remove", "repeat"]),
        st.floats(0, 1) | st.floats(0, 0.05),
        st.integers(0, 4095),
    ),
    min_size=1,
    max_size=4,
)
TARGETS = ("keep", "png", "jpg", "webp", "tiff")
quick = settings(max_examples=40, deadline=None, derandomize=True)


def tried(path, target, scale=1):
    """Restore half of a file; errors are those that a user may see."""
    decoded_bytes(path)
    try:
        photo = enlarged(read_photo(path, max_pixels=LIMIT), scale, max_pixels=LIMIT)
        height, width = photo.pages[0].upright_shape
        add = np.full((max(1, height // 2), width, 3), 0.1, np.float32)
        photo = photo.merged([((0, 0, width, len(add)), add)])
        write_photo(path.with_name("out"), photo, format=target, note=NOTE)
    except FacerenError as error:
        return one_line(str(error))
    return ""


def one_line(message):
    assert "\n" not in message
    assert "please report" not in message
    return message


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_a_damaged_file_is_restored_or_refused_in_one_line(name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")

    @quick
    @given(STEPS, st.sampled_from(TARGETS), st.sampled_from([1, 1, 2]))
    def check(steps, target, scale):
        path = folder / f"a.{name}"
        path.write_bytes(damaged(SEEDS[name], steps))
        tried(path, target, scale)

    check()


PARSERS = {
    "jpeg": [jpeg.jpeg_segments, jpeg.end_of_picture, jpeg.check_frame, jpeg.frame_of],
    "png": [lambda data: list(png.png_chunks(data)), png.bare_png, png.interlaced_passes],
    "webp": [webp.webp_header, lambda data: list(webp.riff_chunks(data))],
    "items": [bmff.parse, lambda data: list(bmff.boxes(data))],
    "jp2": [jp2.codestream_of, jp2.header_of],
    "iptc": [fields.iptc_of],
    "exif": [
        lambda data: exif_blocks.values_of(BytesIO(data)),
        lambda data: exif_blocks.oriented(data, 6),
    ],
}
STARTS = [b"", b"\xff\xd8\xff", png.MAGIC, b"RIFF\0\0\0\0WEBP", b"\0\0\0\x18ftypheic", b"8BIM\4\4"]
STARTS += [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", jp2.CODESTREAM]


@pytest.mark.parametrize("kind", sorted(PARSERS))
@settings(max_examples=120, deadline=None, derandomize=True)
@given(data=st.binary(max_size=600), start=st.sampled_from(STARTS))
def test_a_parser_raises_its_own_error_only(kind, data, start):
    for parser in PARSERS[kind]:
        try:
            parser(start + data)
        except ImageError as error:
            one_line(str(error))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.binary(max_size=200), places=st.lists(st.integers(0, len(XMP)), max_size=3))
def test_any_xmp_can_be_annotated(data, places):
    packet = XMP
    for place in places:
        packet = packet[:place] + data + packet[place:]
    for text in (data, packet, xmp.unannounced(packet), xmp.enlarged(packet, 2)):
        again = xmp.Packet(xmp.annotated(text, NOTE))
        keys = [node.key for node in again.nodes]
        assert keys.count((xmp.IPTC_NAMESPACE, "DigitalSourceType")) == 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(["<!-- </rdf:RDF> -->", "<a b='>'/>", "<?p </rdf:RDF>?>", " \n"])),
    st.lists(st.sampled_from(["<!-- <faceren:RestoredBy> -->", "<![CDATA[</rdf:RDF>]]>", "\t"])),
)
def test_comments_and_instructions_in_xmp_are_kept(inside, behind):
    head, tail = XMP.split(b"</rdf:RDF>")
    packet = head + "".join(inside).encode() + b"</rdf:RDF>"
    packet += "".join(t for t in behind if "CDATA" not in t).encode() + tail
    again = xmp.annotated(packet, NOTE)
    assert again.startswith(head + "".join(inside).encode())
    assert xmp.annotated(again, NOTE) == again


def within(seconds, work):
    start = time.monotonic()
    result = work()
    assert time.monotonic() - start < seconds
    return result


@pytest.mark.parametrize(
    "packet",
    [
        XMP.replace(b"dc:format", b" " * 300_000 + b"dc:format"),
        XMP.replace(b"image/x", b"9" * 300_000),
        XMP.replace(b"<rdf:Description", b"<!-- " + b"x" * 300_000 + b" --><rdf:Description"),
        XMP.replace(b"<rdf:Description", b"<a>" * 50_000 + b"</a>" * 50_000 + b"<rdf:Description"),
        b"<x>" * 300_000,
        b'<rdf:RDF xmlns:rdf="' * 20_000,
        XMP.replace(
            b'dc:format="image/x"', b'xmlns:faceren="urn:faceren:xmp:1" ' * 1 + b" " * 300_000
        ),
    ],
)
def test_no_packet_takes_long(packet):
    try:
        within(5, lambda: xmp.annotated(xmp.enlarged(packet, 2), NOTE))
        within(5, lambda: xmp.unannounced(packet))
    except ImageError as error:
        message = one_line(str(error))
    else:
        message = ""
    assert ("200 in each other" in message) == (packet.count(b"<a>") + packet.count(b"<x>") > 200)


def test_a_number_of_any_length_is_left_alone():
    known = XMP.replace(
        b"<rdf:Description",
        b'<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelXDimension="%s"'
        % (b"9" * 5000),
    )
    assert xmp.enlarged(known, 2) == known


def test_exif_that_overlaps_does_not_grow():
    """Sixty thousand directories in each other, each of thousands of values."""
    block = bytearray(b"II*\0\x08\0\0\0" + bytes(80_000))
    for at in range(8, 79_000, 14):
        struct.pack_into("<HHHII", block, at, 3000, 0x8769, 4, 1, at + 14)
    with pytest.raises(ImageError, match="its EXIF is damaged"):
        within(3, lambda: exif_blocks.values_of(BytesIO(bytes(block))))
    within(3, lambda: exif_enlarged(bytes(block), 2))
    packed = struct.pack("<H", 2000) + struct.pack("<HHII", 0x010E, 2, 70_000, 100) * 2000
    block = b"II*\0\x08\0\0\0" + packed + bytes(80_000)
    with pytest.raises(ImageError, match=r"its EXIF is damaged.*values overlap"):
        within(3, lambda: exif_blocks.values_of(BytesIO(block)))


def test_texts_that_unfold_to_gigabytes_are_refused(tmp_path):
    bomb = zlib.compress(bytes(30_000_000))
    texts = b"".join(chunk(b"zTXt", b"Title\0\0" + bomb) for _ in range(40))
    path = tmp_path / "a.png"
    path.write_bytes(png_file(smooth(), 2, 8, behind=texts))
    message = within(5, lambda: tried(path, "jpg"))
    assert "the texts of a PNG hold more than" in message or "damaged" in message


def test_a_small_file_of_a_huge_picture_is_refused(tmp_path):
    path = tmp_path / "a.webp"
    path.write_bytes(
        bytes.fromhex("524946461a000000574542505650384c0e0000002f7ffe9f0f071011fd0f4444ff03")
    )
    with pytest.raises(ImageError, match="34 bytes that unfold to 256,000,000 pixels"):
        read_photo(path)
    assert decoded_bytes(path) == 16_000 * 16_000 * 3


@pytest.mark.parametrize("scans", [20, 400])
def test_a_jpeg_of_many_scans_is_refused(tmp_path, scans):
    stream = BytesIO()
    pil(smooth(16, 16)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    first = data.index(b"\xff\xda")
    end = data.index(b"\xff\xda", first + 2)
    tables = data.find(b"\xff\xc4", first, end)
    end = tables if tables >= 0 else end
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:end] + data[first:end] * scans + data[end:])
    message = tried(path, "keep")
    assert ("too many scans" in message) == (scans > 200)


@pytest.mark.parametrize("tag", [700, 34377, 34675])
@pytest.mark.parametrize(("kind", "count"), [(4, 1), (3, 300), (12, 4)])
def test_a_block_of_another_type_is_refused(tmp_path, tag, kind, count):
    path = full_tiff(tmp_path / "a.tif")
    from faceren.images.tiff.directory import directories, layout_of, set_bytes, write_directory

    with path.open("r+b") as file:
        layout = layout_of(file)
        (directory,) = directories(file, layout)
        size = {4: 4, 3: 2, 12: 8}[kind] * count
        value = b"\x77" * size
        set_bytes(file, layout, directory, tag, value, kind=kind, count=count)
        write_directory(file, layout, directory)
    with pytest.raises(ImageError, match=rf"tag {tag}\) is stored as type {kind}, expected bytes"):
        read_photo(path)


def test_iptc_that_ends_too_early_is_said_by_formats_that_need_it(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg")
    data = path.read_bytes()
    at = data.index(b"8BIM\4\4") + 8
    path.write_bytes(data[:at] + b"\x10\0\0\0" + data[at + 4 :])
    restored(path)
    for target in ("png", "webp", "tiff"):
        with pytest.raises(ImageError, match="its IPTC is damaged; only --format keep"):
            restored(path, tmp_path / "b", format=target)


@pytest.mark.parametrize("content", [b"XML:com.adobe.xmp", b"XML:com.adobe.xmp\0\0\0x"])
def test_a_damaged_chunk_of_xmp_is_said(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(png_file(smooth(), 2, 8, before=chunk(b"iTXt", content)))
    with pytest.raises(ImageError, match="the XMP chunk of a PNG"):
        restored(path)


SHARED = sorted(HOSTILE.glob("*.jpg")) + sorted(HOSTILE.glob("*.png"))
SHARED += sorted(HOSTILE.glob("*.tif")) + sorted(HOSTILE.glob("*.webp"))
VALID = {"face.jpg", "face1.jpg", "trailing_zeros64.png"}
STRANGE = {"xmp_comment_eats_rdf.jpg", "xmp_rdf_end_in_comment.jpg", "xmp_digits.jpg"}
STRANGE |= {"xmp_spaces_300k.png", "exif_nested.jpg", "iptc_truncated.jpg"}
"""Pictures that can be shown, with metadata that a parser has to survive."""


@pytest.mark.skipif(not SHARED, reason=f"{HOSTILE} is not there")
@pytest.mark.parametrize("source", SHARED, ids=lambda path: path.name)
def test_files_of_an_attack_are_restored_or_refused_in_one_line(tmp_path, source):
    for target, scale in (("keep", 1), ("png", 1), ("tiff", 1), ("jpg", 1), ("keep", 2)):
        path = tmp_path / source.name
        path.write_bytes(source.read_bytes())
        message = within(10, partial(tried, path, target, scale))
        if source.name in VALID:
            assert message == ""
        elif source.name not in STRANGE:
            assert source.name in message
        if not message:
            with Image.open(tmp_path / "out") as image:
                image.load()
        if not message and source.name != "exif_nested.jpg":  # which exiftool follows for long
            assert exiftool("-s3", "-Error", tmp_path / "out") == []
