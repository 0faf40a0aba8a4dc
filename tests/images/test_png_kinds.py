"""PNG files of all types, their chunks before and behind the pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from faceren.errors import ImageError
from faceren.images import decoded_bytes, read_photo
from faceren.images.containers.png import MAGIC, joined_png, png_chunks
from faceren.images.metadata.fields import metadata_of
from tests.images.changing import box_of, exiftool, restored, tags
from tests.images.samples import ADOBE_RGB, GAMMA_GRAY, XMP, exif, noise, pil, smooth

TYPES = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8)]
TYPES += [(4, 8), (4, 16), (6, 8), (6, 16)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
ADAM7 += [(1, 0, 2, 1)]
"""First row and column, and steps of both, of each pass of an interlaced PNG."""


def chunk(name, content):
    crc = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + crc


def packed(rows, bits):
    """Rows of samples, (h, w, n), as a PNG stores them, each behind a filter of none."""
    out = b""
    for row in rows:
        if bits == 16:
            line = row.astype(">u2").tobytes()
        elif bits == 8:
            line = row.astype(np.uint8).tobytes()
        else:
            line = np.packbits(np.unpackbits(row.astype(np.uint8)[:, :1], axis=1)[:, -bits:])
            line = line.tobytes()
        out += b"\0" + line
    return out


def png(samples, colour, bits, *, interlaced=False, before=b"", behind=b""):
    """A PNG of any type."""
    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    parts = [samples[y::down, x::right] for y, x, down, right in passes]
    pixels = b"".join(packed(part, bits) for part in parts if part.size)
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", noise((2**bits, 3)).tobytes()) if colour == 3 else b""
    data = chunk(b"IDAT", zlib.compress(pixels))
    end = chunk(b"IEND", b"")
    return MAGIC + chunk(b"IHDR", head) + before + palette + data + behind + end


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "bits"), TYPES)
def test_every_type_is_read_and_keeps_its_words(tmp_path, capfd, colour, bits, interlaced, place):
    dtype = np.uint16 if bits == 16 else np.uint8
    samples = noise((37, 45, CHANNELS[colour]), dtype, seed=bits) >> (0 if bits >= 8 else 8 - bits)
    block = exif(3).tobytes().removeprefix(b"Exif\0\0")
    words = chunk(b"tEXt", b"Title\0the attic") + chunk(b"eXIf", block)
    path = tmp_path / "a.png"
    options = {place: words}
    path.write_bytes(png(samples, colour, bits, interlaced=interlaced, **options))
    page = read_photo(path).pages[0]
    assert page.orientation == 3
    assert capfd.readouterr() == ("", "")
    with Image.open(path) as image:
        image.load()
        clear = {0: "L", 2: "RGB", 3: "RGB", 4: "LA", 6: "RGBA"}[colour]
        expected = samples if bits == 16 else np.asarray(image.convert(clear))
    assert np.array_equal(page.raster.reshape(expected.shape), expected)
    output, said = restored(path)
    assert said == ()
    again = read_photo(output).pages[0]
    outside = np.ones(page.raster.shape[:2], bool)
    x0, y0, x1, y1 = box_of(page)
    outside[37 - y1 : 37 - y0, 45 - x1 : 45 - x0] = False  # orientation 3: upside down
    assert np.array_equal(again.raster[outside], page.raster[outside])
    assert exiftool("-s3", "-PNG:Title", "-IFD0:Make", output) == ["the attic", "Zeiss"]
    if place == "behind" and bits == 8:
        other, _ = restored(path, tmp_path / "b.tif", format="tiff")
        assert exiftool("-s3", "-IFD0:Make", "-n", "-IFD0:Orientation", other) == ["Zeiss", "3"]


@pytest.mark.parametrize(("colour", "bits"), [(0, 8), (2, 8), (6, 8), (2, 16)])
def test_libvips_reads_the_same(tmp_path, colour, bits):
    pyvips = pytest.importorskip("pyvips")
    samples = noise((37, 45, CHANNELS[colour]), np.uint16 if bits == 16 else np.uint8)
    (tmp_path / "a.png").write_bytes(png(samples, colour, bits))
    output, _ = restored(tmp_path / "a.png")
    read = pyvips.Image.new_from_file(str(output)).numpy().reshape(samples.shape)
    assert np.array_equal(read, read_photo(output).pages[0].raster)


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_damaged_chunk_that_is_no_pixel_is_kept_with_a_word(tmp_path, bits, place):
    samples = noise((37, 45, 3), np.uint16 if bits == 16 else np.uint8)
    damaged = chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))[:-4] + b"oops"
    damaged += chunk(b"tEXt", b"Title\0the attic").replace(b"attic", b"attik")
    whole, path = tmp_path / "whole.png", tmp_path / "a.png"
    whole.write_bytes(png(samples, 2, bits))
    path.write_bytes(png(samples, 2, bits, **{place: damaged}))
    output, said = restored(path)
    assert said == ("damaged, and kept as it is: pHYs, tEXt (its check sum is wrong)",)
    assert exiftool("-s3", "-PNG:Title", "-PixelsPerUnitX", output) == ["the attik", "11811"]
    expected = read_photo(restored(whole)[0]).pages[0].raster
    assert np.array_equal(read_photo(output).pages[0].raster, expected)


@pytest.mark.parametrize("filling", [b"", bytes(3000)])
@pytest.mark.parametrize("lost", [6, 12, 20])
@pytest.mark.parametrize(("colour", "bits"), [(2, 8), (2, 16), (3, 8)])
def test_a_picture_is_whole_though_what_is_behind_it_is_lost(tmp_path, colour, bits, lost, filling):
    samples = noise((37, 45, CHANNELS[colour]), np.uint16 if bits == 16 else np.uint8)
    data = png(samples, colour, bits, behind=chunk(b"tEXt", b"Title\0the attic"))
    path, whole = tmp_path / "a.png", tmp_path / "whole.png"
    whole.write_bytes(data)
    path.write_bytes(data[:-lost] + filling)
    output, said = restored(path)
    assert said[0] == "the mark of the picture's end is missing; the picture is whole"
    assert len(said) == 1 + (lost == 20 and filling != b"")  # zeros in place of a check sum
    assert list(png_chunks(output.read_bytes()))[-1] == (b"IEND", b"")
    assert output.read_bytes().endswith(chunk(b"IEND", b""))
    expected = read_photo(restored(whole)[0]).pages[0].raster
    assert np.array_equal(read_photo(output).pages[0].raster, expected)


@pytest.mark.parametrize("filling", [b"", bytes(3000)])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "bits"), [(2, 8), (2, 16), (0, 1)])
def test_a_picture_that_lost_some_of_its_chunks_is_refused(
    tmp_path, colour, bits, interlaced, filling
):
    samples = noise((37, 45, CHANNELS[colour]), np.uint16 if bits == 16 else np.uint8)
    parts = list(png_chunks(png(samples, colour, bits, interlaced=interlaced)))
    packed = dict(parts)[b"IDAT"]
    for lost in (7, len(packed) // 2):  # four of the check sum, which not all decoders look at
        path = tmp_path / "a.png"
        path.write_bytes(MAGIC + chunk(*parts[0]) + chunk(b"IDAT", packed[:-lost]) + filling)
        with pytest.raises(ImageError, match="damaged or incomplete"):
            read_photo(path)


def test_a_png_for_telephones_is_named(tmp_path):
    path = tmp_path / "a.png"
    data = png(smooth(), 2, 8)
    path.write_bytes(MAGIC + chunk(b"CgBI", bytes(4)) + data[len(MAGIC) :])
    with pytest.raises(ImageError, match="CgBI.*convert it first"):
        read_photo(path)


@pytest.mark.parametrize("behind", [bytes(64), b"\0" * 7, b"more bytes of a maker" * 9])
def test_bytes_behind_the_end_are_kept_and_do_no_harm(tmp_path, behind):
    path = tmp_path / "a.png"
    path.write_bytes(png(smooth(), 2, 8) + behind)
    output, _ = restored(path)
    assert output.read_bytes().endswith(behind)
    names = [name for name, _ in png_chunks(output.read_bytes())]
    assert names.count(b"IEND") == 1
    with Image.open(output) as image:
        image.load()
    pyvips = pytest.importorskip("pyvips")
    assert pyvips.Image.new_from_file(str(output)).avg() > 0


@pytest.mark.parametrize("target", ["png", "webp", "tiff"])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("colour", "bits"), [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)]
)
def test_a_transparent_colour_is_transparent_in_the_output(
    tmp_path, colour, bits, interlaced, target
):
    dtype = np.uint16 if bits == 16 else np.uint8
    samples = noise((37, 45, CHANNELS[colour]), dtype, seed=bits) >> (0 if bits >= 8 else 8 - bits)
    samples[:9, 5:30] = samples[4, 7]
    key = samples[4, 7]
    high = 0 if bits == 16 else 1 << bits  # bits beyond the depth mean nothing
    content = b"".join(struct.pack(">H", int(n) | high) for n in key)
    path = tmp_path / "a.png"
    path.write_bytes(
        png(samples, colour, bits, interlaced=interlaced, before=chunk(b"tRNS", content))
    )
    clear = (samples == key).all(axis=2)
    assert 225 <= clear.sum() < clear.size
    page = read_photo(path).pages[0]
    assert np.array_equal(page.alpha, 1 - clear)
    suffix = target if target != "tiff" else "tif"
    output, said = restored(
        path, tmp_path / f"b.{suffix}", format="keep" if target == "png" else target
    )
    again = read_photo(output).pages[0]
    assert np.array_equal(again.alpha, 1 - clear)
    assert any("bits" in line for line in said) == (target == "webp" and bits == 16)
    if target == "png":
        x0, y0, x1, y1 = box_of(page)
        outside = np.ones(clear.shape, bool)
        outside[y0:y1, x0:x1] = False
        assert np.array_equal(again.raster[outside], page.raster[outside])


FRAME = struct.pack(">5I2H2B", 0, 64, 48, 0, 0, 1, 10, 0, 0)


@pytest.mark.parametrize("scale", [1, 2])
def test_an_animation_of_the_picture_alone_stays_one(tmp_path, scale):
    path = tmp_path / "a.png"
    told = chunk(b"acTL", struct.pack(">II", 1, 0)) + chunk(b"fcTL", FRAME)
    path.write_bytes(png(smooth(), 2, 8, before=told))
    output, said = restored(path, scale=scale)
    assert said == ()
    frame = dict(png_chunks(output.read_bytes()))[b"fcTL"]
    assert struct.unpack_from(">3I", frame) == (0, 64 * scale, 48 * scale)
    with Image.open(output) as image:
        image.load()
        assert image.size == (64 * scale, 48 * scale)


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_what_only_says_that_it_is_an_animation_is_a_picture(tmp_path, frames):
    path = tmp_path / "a.png"
    path.write_bytes(png(smooth(), 2, 8, before=chunk(b"acTL", struct.pack(">II", frames, 0))))
    output, said = restored(path)
    assert said == ()
    assert read_photo(output).pages[0].raster.shape == (48, 64, 3)


def test_a_picture_beside_an_animation_of_one_frame_is_refused_as_two(tmp_path):
    told = chunk(b"acTL", struct.pack(">II", 1, 0))
    pixels = dict(png_chunks(png(smooth(), 2, 8)))[b"IDAT"]
    behind = chunk(b"fcTL", FRAME) + chunk(b"fdAT", bytes([0, 0, 0, 1]) + pixels)
    path = tmp_path / "a.png"
    path.write_bytes(png(smooth(), 2, 8, before=told, behind=behind))
    with pytest.raises(ImageError, match="one still picture, got an animation of 2 frames"):
        read_photo(path)


def test_a_colour_with_a_colour_key_has_room_in_memory(tmp_path):
    path = tmp_path / "a.png"
    key = chunk(b"tRNS", bytes(6))
    path.write_bytes(png(noise((20, 30, 3)), 2, 8, before=key))
    assert decoded_bytes(path) == read_photo(path).pages[0].raster.nbytes == 20 * 30 * 4


@pytest.mark.parametrize(
    ("colour", "bits", "keyed", "old", "new"),
    [
        (0, 4, False, {b"sBIT": b"\3", b"bKGD": b"\0\2"}, {b"sBIT": b"\3", b"bKGD": b"\0\x22"}),
        (0, 8, True, {b"sBIT": b"\5", b"bKGD": b"\0\7"}, {b"sBIT": b"\5\x08", b"bKGD": b"\0\7"}),
        (2, 16, True, {b"sBIT": b"\5\6\7"}, {b"sBIT": b"\5\6\7\x10"}),
        (2, 8, False, {b"PLTE": bytes(range(6)), b"hIST": bytes(4)}, None),
        (6, 8, False, {b"sBIT": b"\5\6\7\x08", b"bKGD": b"\0\1\0\2\0\3"}, None),
        (3, 2, False, {b"sBIT": b"\5\6\7", b"bKGD": b"\1"}, {b"sBIT": b"\5\6\7", b"bKGD": 1}),
        (3, 2, False, {b"hIST": bytes(8)}, {}),
        (3, 2, False, {b"bKGD": b"\4"}, {}),
    ],
)
def test_what_depends_on_the_type_of_pixels_follows_it(tmp_path, colour, bits, keyed, old, new):
    samples = noise((20, 30, CHANNELS[colour]), np.uint16 if bits == 16 else np.uint8)
    samples >>= 0 if bits >= 8 else 8 - bits
    chunks = b"".join(chunk(name, content) for name, content in old.items())
    if keyed:
        chunks += chunk(b"tRNS", bytes(2 * CHANNELS[colour]))
    whole = png(samples, colour, bits)
    head, rest = (33, 33) if colour != 3 else (45 + 3 * 2**bits, 45 + 3 * 2**bits)
    path = tmp_path / "a.png"
    path.write_bytes(whole[:head] + chunks + whole[rest:])
    palette = noise((2**bits, 3)) if colour == 3 else None
    expected = dict(old if new is None else new)
    if expected.get(b"bKGD") == 1:
        expected[b"bKGD"] = struct.pack(">3H", *palette[1])
    output, _ = restored(path)
    written = [part for part in png_chunks(output.read_bytes()) if part[0] in (*old, b"tRNS")]
    assert dict(written) == expected
    with Image.open(output) as image:
        image.load()


SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_POINTS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("target", ["jpg", "webp", "tiff", "png"])
@pytest.mark.parametrize("gamma", [100_000, 55_556, 45_455])
@pytest.mark.parametrize("colour", [0, 2])
def test_a_gamma_becomes_a_profile_where_there_is_none(tmp_path, target, gamma, colour):
    raster = smooth()[..., : CHANNELS[colour]]
    before = chunk(b"gAMA", struct.pack(">I", gamma))
    path = tmp_path / "a.png"
    path.write_bytes(png(raster, colour, 8, before=before))
    seen = read_photo(path).upright_region((0, 0, 64, 48))
    if gamma != 45_455:
        light = (raster / 255) ** (100_000 / gamma)
        assert np.abs(linear(seen) - light).max() < 0.01
    output, _ = restored(
        path, tmp_path / f"b.{target}", format="keep" if target == "png" else target
    )
    again = read_photo(output).upright_region((0, 0, 64, 20))
    assert np.abs(again - seen[:20]).mean() < 0.02
    with Image.open(output) as image:
        profile = image.info.get("icc_profile")
    assert bool(profile) == (
        gamma != 45_455 and target != "png" and (target, colour) != ("webp", 0)
    )


def test_primaries_are_seen(tmp_path):
    path = tmp_path / "a.png"
    raster = np.zeros((20, 20, 3), np.uint8)
    raster[..., 1] = 200
    known = chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(
        b"cHRM", struct.pack(">8I", *P3_POINTS)
    )
    path.write_bytes(png(raster, 2, 8, before=known))
    wide = read_photo(path).upright_uint8()[0, 0]
    known = chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(
        b"cHRM", struct.pack(">8I", *SRGB_POINTS)
    )
    path.write_bytes(png(raster, 2, 8, before=known))
    assert read_photo(path).upright_uint8()[0, 0].tolist() == [0, 200, 0]
    assert wide[1] > 200


@pytest.mark.parametrize("code", [(12, 13), (9, 16), (9, 18), (1, 1), (1, 13)])
def test_code_points_come_before_a_gamma(tmp_path, code):
    path = tmp_path / "a.png"
    known = chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"cICP", bytes([*code, 0, 1]))
    path.write_bytes(png(smooth(), 2, 8, before=known))
    page = read_photo(path).pages[0]
    assert bool(page.icc) == (code != (1, 13))
    output, _ = restored(path)
    assert dict(png_chunks(output.read_bytes()))[b"cICP"] == bytes([*code, 0, 1])
    jpeg, _ = restored(path, tmp_path / "b.jpg", format="jpg")
    with Image.open(jpeg) as image:
        assert bool(image.info.get("icc_profile")) == (code != (1, 13))


def test_raw_profiles_of_imagemagick_are_understood(tmp_path):
    block = exif(6).tobytes()
    iptc = b"\x1c\x02\x78" + len(b"Grandmother").to_bytes(2, "big") + b"Grandmother"
    texts = b""
    for name, content in ((b"exif", block), (b"iptc", iptc)):
        text = b"\n%s\n%8d\n%s\n" % (name, len(content), content.hex().encode())
        texts += chunk(b"zTXt", b"Raw profile type " + name + b"\0\0" + zlib.compress(text))
    path = tmp_path / "a.png"
    path.write_bytes(png(smooth(), 2, 8, behind=texts))
    jpeg, _ = restored(path, tmp_path / "b.jpg", format="jpg")
    assert exiftool("-s3", "-IFD0:Make", "-IPTC:Caption-Abstract", jpeg) == ["Zeiss", "Grandmother"]


def test_texts_of_every_kind_move_to_a_jpeg(tmp_path):
    known = chunk(b"tEXt", b"Title\0the attic") + chunk(
        b"iTXt", b"Author\0\1\0de\0\0" + zlib.compress("Großvater".encode())
    )
    known += chunk(b"zTXt", b"Source\0\0" + zlib.compress(b"album 7"))
    path = tmp_path / "a.png"
    path.write_bytes(png(smooth(), 2, 8, before=known))
    jpeg, _ = restored(path, tmp_path / "b.jpg", format="jpg")
    with Image.open(jpeg) as image:
        comments = [content for marker, content in image.applist if marker == "COM"]
    assert comments == [b"Title: the attic", "Author: Großvater".encode(), b"Source: album 7"]
    _, said = restored(path, tmp_path / "b.webp", format="webp")
    assert "left out: comments" in said


@pytest.mark.parametrize("icc", [ADOBE_RGB, GAMMA_GRAY])
def test_a_profile_of_the_right_kind_moves_along(tmp_path, icc):
    gray = icc == GAMMA_GRAY
    path = tmp_path / "a.png"
    pil(smooth(channels=1) if gray else smooth()).save(path, icc_profile=icc)
    for target in ("jpg", "tiff"):
        output, said = restored(path, tmp_path / f"b.{target}", format=target)
        with Image.open(output) as image:
            assert image.info["icc_profile"] == icc
        assert said == ()


def test_libpng_keeps_quiet(tmp_path, capfd):
    known = chunk(b"iCCP", b"photoshop\0\0" + zlib.compress(b"broken" * 30))
    known += chunk(b"sRGB", b"\7") + chunk(b"bKGD", b"\0" * 9) + chunk(b"gAMA", bytes(4))
    path = tmp_path / "a.png"
    path.write_bytes(png(noise((20, 30, 3), np.uint16), 2, 16, before=known))
    read_photo(path)
    assert capfd.readouterr() == ("", "")


def test_xmp_is_found_packed_or_not(tmp_path):
    stream = io.BytesIO()
    pil(smooth()).save(stream, "PNG")
    plain = joined_png(stream.getvalue(), [], XMP)
    assert metadata_of("png", plain).xmp == XMP
    content = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)
    whole = png(smooth(), 2, 8, before=chunk(b"iTXt", content))
    assert metadata_of("png", whole).xmp == XMP


def test_the_resolution_is_in_metres(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(
        png(smooth(), 2, 8, before=chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1)))
    )
    jpeg, _ = restored(path, tmp_path / "b.jpg", format="jpg")
    known = tags(jpeg)
    assert (known["JFIF:XResolution"], known["JFIF:YResolution"]) == (300, 150)
    path.write_bytes(png(smooth(), 2, 8, before=chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0))))
    jpeg, _ = restored(path, tmp_path / "b.jpg", format="jpg")
    known = tags(jpeg)
    assert (known["JFIF:XResolution"], known["JFIF:YResolution"]) == (2, 1)
    assert known["JFIF:ResolutionUnit"] == 0
