"""HEIC and AVIF of all depths and colours, JPEG 2000, and BMP of all versions."""

import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from faceren.errors import ImageError
from faceren.images import read_photo, write_photo
from faceren.images.containers import bmff, jp2
from faceren.images.metadata.fields import items_beside
from faceren.images.metadata.xmp import SOURCE_TYPE
from tests.images.changing import NOTE, box_of, exiftool, restored, tags
from tests.images.samples import ADOBE_RGB, XMP, exif, noise, smooth

heif = pytest.importorskip("pillow_heif")
COLOURS = {"srgb": (1, 13, 6), "p3": (12, 13, 6), "pq": (9, 16, 9), "hlg": (9, 18, 9)}


def ramp(bits, channels=3, height=96, width=128):
    """A smooth picture of a depth."""
    y, x = np.mgrid[:height, :width]
    waves = [0.5 + 0.25 * np.sin(x / 17 + c) + 0.2 * np.cos(y / 13 - c) for c in range(channels)]
    top = 2**bits - 1
    return np.rint(np.stack(waves, axis=2) * top).astype(np.uint8 if bits == 8 else np.uint16)


def heic(path, bits, colours, channels=3, **options):
    raster = ramp(bits, channels)
    shifted = raster if bits == 8 else raster << (16 - bits)
    primaries, transfer, matrix = colours
    heif.encode(
        ("L" if channels == 1 else "RGB") + ("" if bits == 8 else ";16"),
        raster.shape[1::-1],
        shifted.tobytes(),
        path,
        bit_depth=bits,
        quality=90,
        color_primaries=primaries,
        transfer_characteristics=transfer,
        matrix_coefficients=matrix,
        full_range_flag=1,
        **options,
    )
    return path


def avif(path, bits, colours, channels=3):
    raster = ramp(bits, channels)
    primaries, transfer, matrix = colours
    data = imagecodecs.avif_encode(
        raster[..., 0].copy() if channels == 1 else raster,
        90,
        bitspersample=bits,
        pixelformat="400" if channels == 1 else "420",
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
    )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colours", list(COLOURS))
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_depth_and_colours_stay(tmp_path, kind, bits, colours, channels):
    make = heic if kind == "heic" else avif
    path = make(tmp_path / f"a.{kind}", bits, COLOURS[colours], channels)
    page = read_photo(path).pages[0]
    assert page.bits == bits
    assert page.raster.shape == (96, 128, channels)
    unit = (255 if bits == 8 else 65535) / (2**bits - 1)
    assert np.abs(page.raster / unit - ramp(bits, channels)).mean() < 2 ** (bits - 8) * 2
    output, said = restored(path)
    assert said == ()
    known, before = tags(output), tags(path)
    for name in ("ColorPrimaries", "TransferCharacteristics", "MatrixCoefficients"):
        assert known[f"QuickTime:{name}"] == before[f"QuickTime:{name}"]
    assert known["QuickTime:ImagePixelDepth"] == before["QuickTime:ImagePixelDepth"]
    assert str(known["QuickTime:ImagePixelDepth"]).split()[0] == str(bits)
    again = read_photo(output).pages[0]
    assert again.bits == bits
    seen = page.upright_region((0, 0, 128, 40))
    assert np.abs(again.upright_region((0, 0, 128, 40)) - seen).mean() < 0.01
    x0, y0, x1, y1 = box_of(page)
    inside = (x0 + 4, y0 + 4, x1 - 4, y1 - 4)
    brighter = again.upright_region(inside) - page.upright_region(inside)
    assert (0.08 if colours in ("srgb", "p3") else 0.03) < np.median(brighter) < 0.2
    assert exiftool("-s3", "-XMP:DigitalSourceType", output) == [SOURCE_TYPE]


def test_wide_colours_are_seen_wide(tmp_path):
    narrow = read_photo(heic(tmp_path / "a.heic", 8, COLOURS["srgb"])).upright_uint8()
    wide = read_photo(heic(tmp_path / "b.heic", 8, COLOURS["p3"])).upright_uint8()
    spread = [image.max(axis=2).astype(int) - image.min(axis=2) for image in (narrow, wide)]
    assert spread[1].mean() > spread[0].mean() * 1.05
    jpeg, _ = restored(tmp_path / "b.heic", tmp_path / "b.jpg", format="jpg")
    again = read_photo(jpeg)
    assert again.pages[0].icc
    assert np.abs(again.upright_uint8()[:40].astype(int) - wide[:40]).mean() < 2


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.5806), (18, 0.75)])
def test_light_of_hdr_rises_and_white_is_bright(transfer, white):
    from faceren.images.colour import coded_profile, to_srgb

    values = np.repeat(np.linspace(0, 1, 257, dtype=np.float32)[None, :, None], 3, axis=2)
    seen = to_srgb(values, "rgb", coded_profile(9, transfer))[0]
    assert (np.diff(seen[:, 0]) >= 0).all()
    assert (np.diff(seen[40:, 0]) > 0).all()
    at = seen[round(white * 256), 0]  # 203 candela a square metre: a page (ITU-R BT.2408)
    assert 0.85 < at < 0.97
    assert seen[-1, 0] > 0.99


def test_equal_words_give_equal_profiles():
    from faceren.images import colour

    first = colour.coded_profile(12, 13)
    colour._profile.cache_clear()
    assert colour.coded_profile(12, 13) == first
    assert first[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def several(path, *, primary=1, depth=False, thumbnail=False, exif_block=b""):
    """A HEIC of two stills, of which one is the photo."""
    file = heif.HeifFile()
    first = file.add_from_pillow(Image.fromarray(smooth(64, 80)))
    second = file.add_from_pillow(Image.fromarray(smooth(96, 128)))
    for image in (first, second):
        image.info["exif"] = exif_block or None
    if depth:
        second.info["depth_images"] = []
    options = {"thumbnails": [64]} if thumbnail else {}
    file.save(path, quality=80, primary_index=primary, **options)
    return path


@pytest.mark.parametrize("primary", [0, 1])
def test_every_other_still_keeps_its_bytes(tmp_path, primary):
    path = several(tmp_path / "a.heic", primary=primary)
    output, said = restored(path)
    before, after = bmff.parse(path.read_bytes()), bmff.parse(output.read_bytes())
    assert after.primary == before.primary
    other = next(n for n, i in before.items.items() if i.kind == b"hvc1" and n != before.primary)
    assert after.items[other].content == before.items[other].content
    assert after.picture.content != before.picture.content
    opened = heif.open_heif(output)
    assert (len(opened), opened.primary_index) == (2, primary)
    assert said == ()
    _, said = restored(path, tmp_path / "b.png", format="png")
    assert said == ("left out: 1 more picture",)


def test_a_thumbnail_shows_the_restored_photo(tmp_path):
    path = tmp_path / "a.heic"
    image = heif.from_pillow(Image.fromarray(np.full((200, 260, 3), 90, np.uint8)))
    image.save(path, quality=90, thumbnails=[64])
    before = bmff.parse(path.read_bytes())
    if not before.pointing_at(before.primary, b"thmb"):
        pytest.skip("this pillow-heif writes no thumbnails")
    output, _ = restored(path)
    whole = bmff.parse(output.read_bytes())
    (number,) = whole.pointing_at(whole.primary, b"thmb")
    alone = bmff.joined(bmff.without(with_primary(whole, number), {whole.primary}))
    (tmp_path / "t.heic").write_bytes(alone)
    small = np.asarray(heif.open_heif(tmp_path / "t.heic"))
    height, width = small.shape[:2]
    assert small[int(height * 0.62), int(width * 0.45)].mean() > 115
    assert abs(small[4, 4].mean() - 90) < 4


def with_primary(whole, number):
    from dataclasses import replace

    return replace(whole, primary=number)


def add_item(path, kind, content, entry_tail=b"\0", reference=b"auxl", properties=()):
    """Put another item into a HEIC or AVIF file."""
    from dataclasses import replace

    whole = bmff.parse(path.read_bytes())
    number = max(whole.items) + 1
    entry = b"\2\0\0\1" + struct.pack(">HH4s", number, 0, kind) + entry_tail
    known = [*whole.properties, *properties]
    places = [(n, False) for n in range(len(whole.properties), len(known))]
    item = bmff.Item(number, kind, entry, content, properties=places)
    references = [*whole.references, bmff.Reference(reference, number, [whole.primary])]
    items = whole.items | {number: item}
    whole = replace(whole, items=items, properties=known, references=references)
    path.write_bytes(bmff.joined(whole))
    return number


@pytest.mark.parametrize(
    ("urn", "name"),
    [
        (b"urn:com:apple:photo:2020:aux:hdrgainmap", "the gain map (HDR)"),
        (b"urn:mpeg:hevc:2015:auxid:2", "a depth map"),
        (b"urn:com:apple:photo:2018:aux:portraiteffectsmatte", "a mask"),
    ],
)
def test_maps_stay_byte_for_byte_or_are_named(tmp_path, urn, name):
    path = heic(tmp_path / "a.heic", 8, COLOURS["srgb"])
    other = heic(tmp_path / "b.heic", 8, COLOURS["srgb"], channels=1)
    coded = bmff.parse(other.read_bytes())
    properties = [coded.properties[n] for n, _ in coded.picture.properties]
    properties.append((b"auxC", bytes(4) + urn + b"\0"))
    content = coded.picture.content
    number = add_item(path, b"hvc1", content, properties=properties)
    assert items_beside(bmff.parse(path.read_bytes())) == [name]
    output, said = restored(path)
    after = bmff.parse(output.read_bytes())
    assert after.items[number].content == content
    assert after.pointing_at(after.primary, b"auxl") == [number]
    assert bool(said) == ("map" in name)
    assert len(heif.open_heif(output)) == 1
    _, said = restored(path, tmp_path / "c.jpg", format="jpg")
    assert said == (f"left out: {name}",)


def test_a_grid_becomes_one_picture_and_its_tiles_go(tmp_path):
    path = tmp_path / "a.heic"
    image = heif.from_pillow(Image.fromarray(smooth(512, 512)))
    image.save(path, quality=85, tile_size=256)
    whole = bmff.parse(path.read_bytes())
    if whole.picture.kind != b"grid":
        pytest.skip("this pillow-heif writes no grids")
    assert read_photo(path).pages[0].raster.shape == (512, 512, 3)
    output, said = restored(path)
    after = bmff.parse(output.read_bytes())
    assert after.picture.kind == b"hvc1"
    assert [item.kind for item in after.items.values()].count(b"hvc1") == 1
    assert said == ()
    difference = np.asarray(heif.open_heif(output)).astype(int)[:200] - smooth(512, 512)[:200]
    assert np.abs(difference).mean() < 4


def test_opacity_stays_byte_for_byte(tmp_path):
    for kind in ("heic", "avif"):
        raster = np.dstack([smooth(96, 128), np.tile(np.arange(128, dtype=np.uint8) * 2, (96, 1))])
        path = tmp_path / f"a.{kind}"
        if kind == "heic":
            heif.from_pillow(Image.fromarray(raster)).save(path, quality=90)
        else:
            Image.fromarray(raster).save(path, quality=90)
        page = read_photo(path).pages[0]
        assert page.alpha is not None
        output, said = restored(path)
        assert said == ()
        again = read_photo(output).pages[0]
        assert np.array_equal(again.raster[..., 3], page.raster[..., 3])
        large, _ = restored(path, tmp_path / f"b.{kind}", scale=2)
        grown = read_photo(large).pages[0]
        assert grown.raster.shape == (192, 256, 4)
        assert abs(grown.raster[..., 3].mean() - page.raster[..., 3].mean()) < 3


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_exif_profile_and_turn_stay_in_their_container(tmp_path, kind, scale):
    path = tmp_path / f"a.{kind}"
    block = exif(6)
    block.get_ifd(0x8769)[0xA002] = 128
    options = {"exif": block.tobytes(), "icc_profile": ADOBE_RGB, "xmp": XMP, "quality": 90}
    Image.fromarray(smooth(96, 128)).save(path, **options) if kind == "avif" else heif.from_pillow(
        Image.fromarray(smooth(96, 128))
    ).save(path, **options)
    output, _ = restored(path, scale=scale)
    before, after = tags(path), tags(output)
    for name in ("IFD0:Make", "ExifIFD:DateTimeOriginal", "QuickTime:Rotation", "XMP-dc:Format"):
        assert after.get(name) == before.get(name), name
    if "ExifIFD:ExifImageWidth" in before:
        assert after["ExifIFD:ExifImageWidth"] == before["ExifIFD:ExifImageWidth"] * scale
    assert read_photo(output).pages[0].icc == ADOBE_RGB


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_heic_is_turned_in_other_formats(tmp_path, orientation):
    path = tmp_path / "a.heic"
    picture = heif.from_pillow(Image.fromarray(smooth(96, 128)))
    picture.save(path, quality=90, exif=exif(orientation).tobytes())
    seen = read_photo(path).upright_uint8()
    for target in ("jpg", "png", "webp", "tiff"):
        output, _ = restored(path, tmp_path / f"b.{target}", format=target)
        again = read_photo(output)
        assert again.pages[0].orientation == orientation
        assert np.abs(again.upright_uint8()[:30].astype(int) - seen[:30]).mean() < 3


def test_an_animation_is_refused_with_what_to_do(tmp_path):
    frames = [Image.fromarray(smooth() // (n + 1)) for n in range(3)]
    for suffix in ("webp", "png", "gif", "avif"):
        path = tmp_path / f"a.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        with pytest.raises(ImageError, match="animation of 3 frames; save the frame to restore"):
            read_photo(path)


JP2 = [
    (channels, bits, reversible, wrapped)
    for channels in (1, 3, 4)
    for bits in (8, 10, 16)
    for reversible in (True, False)
    for wrapped in (True, False)
]


@pytest.mark.parametrize(("channels", "bits", "reversible", "wrapped"), JP2)
def test_jpeg_2000_stays_what_it_is(tmp_path, channels, bits, reversible, wrapped):
    raster = ramp(bits, channels)
    path = tmp_path / ("a.jp2" if wrapped else "a.j2k")
    data = imagecodecs.jpeg2k_encode(
        raster[..., 0].copy() if channels == 1 else raster,
        0 if reversible else 50,
        codecformat="jp2" if wrapped else "j2k",
        bitspersample=bits,
        reversible=reversible,
    )
    path.write_bytes(data)
    page = read_photo(path).pages[0]
    output, _ = restored(path)
    header = jp2.header_of(jp2.codestream_of(output.read_bytes()))
    assert (header.components, header.bits, header.reversible) == (channels, bits, reversible)
    again = read_photo(output).pages[0]
    outside = np.ones((96, 128), bool)
    x0, y0, x1, y1 = box_of(page)
    outside[y0:y1, x0:x1] = False
    if reversible:
        assert np.array_equal(again.raster[outside], page.raster[outside])
    else:
        scale = 255 / np.iinfo(page.raster.dtype).max
        difference = np.abs(again.raster[outside].astype(int) - page.raster[outside]) * scale
        assert difference.mean() < 1
    if wrapped:
        assert exiftool("-s3", "-XMP:DigitalSourceType", output) == [SOURCE_TYPE]
    if bits == 8 and channels != 4:
        with Image.open(output) as image:
            assert np.array_equal(np.asarray(image).reshape(again.raster.shape), again.raster)


def test_words_of_a_jp2_move_along(tmp_path):
    path = tmp_path / "a.jp2"
    data = imagecodecs.jpeg2k_encode(ramp(8), 0, codecformat="jp2", reversible=True)
    block = exif(1).tobytes().removeprefix(b"Exif\0\0")
    extra = bmff.box(b"uuid", jp2.EXIF_UUID + block) + bmff.box(b"uuid", jp2.XMP_UUID + XMP)
    at = data.index(b"jp2c") - 4
    path.write_bytes(data[:at] + extra + bmff.box(b"xml ", b"<a/>") + data[at:])
    assert tags(path)["IFD0:Make"] == "Zeiss"
    output, _ = restored(path)
    known = tags(output)
    assert known["IFD0:Make"] == "Zeiss"
    assert known["XMP-dc:Format"] == "image/x"
    assert b"<a/>" in output.read_bytes()
    png, said = restored(path, tmp_path / "b.png", format="png")
    assert tags(png)["IFD0:Make"] == "Zeiss"
    assert said == ("left out: an XML box",)
    write_photo(tmp_path / "c.jp2", read_photo(path), note=NOTE)
    pixels = imagecodecs.jpeg2k_decode((tmp_path / "c.jp2").read_bytes())
    assert np.array_equal(pixels, ramp(8))


def jpx(raster, *boxes):
    """A JPX file of a picture, and boxes behind it."""
    data = imagecodecs.jpeg2k_encode(raster, 0, codecformat="jp2", reversible=True)
    return data + b"".join(bmff.box(*part) for part in boxes)


def test_further_pictures_of_a_jpx_keep_their_bytes_and_place(tmp_path):
    path = tmp_path / "a.jpx"
    other = imagecodecs.jpeg2k_encode(ramp(8)[::-1].copy(), 0, codecformat="j2k", reversible=True)
    behind = [(b"jp2c", bytes(other)), (b"xml ", b"<a/>"), (b"jp2c", bytes(other)[:-1] + b"!")]
    path.write_bytes(jpx(ramp(8), *behind))
    output, said = restored(path)
    assert said == ()
    assert list(bmff.boxes(output.read_bytes()))[-3:] == behind
    assert not np.array_equal(read_photo(output).pages[0].raster, ramp(8))
    _, said = restored(path, tmp_path / "b.png", format="png")
    assert said == ("left out: an XML box", "left out: 2 more pictures")


@pytest.mark.parametrize("box", [(b"ftbl", b""), (b"jpch", bmff.box(b"cref", b""))])
def test_a_jpx_whose_parts_are_found_by_their_places_is_refused(tmp_path, box):
    path = tmp_path / "a.jpx"
    path.write_bytes(jpx(ramp(8), box))
    with pytest.raises(ImageError, match="in fragments cannot be kept; use --format png"):
        restored(path)
    output, _ = restored(path, tmp_path / "b.png", format="png")
    assert read_photo(output).pages[0].raster.shape == ramp(8).shape


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 7])
def test_a_jp2_of_few_bits_becomes_the_grays_they_mean(tmp_path, bits):
    samples = (ramp(8, 1)[..., 0] >> (8 - bits)).copy()
    path = tmp_path / "a.jp2"
    data = imagecodecs.jpeg2k_encode(
        samples, 0, codecformat="jp2", reversible=True, bitspersample=bits
    )
    path.write_bytes(data)
    assert jp2.header_of(jp2.codestream_of(data)).bits == bits
    page = read_photo(path).pages[0]
    grays = np.rint(samples * (255 / (2**bits - 1)))
    assert np.array_equal(page.raster[..., 0], grays)
    output, said = restored(path)
    assert said == ()
    again = read_photo(output).pages[0]
    x0, y0, x1, y1 = box_of(page)
    outside = np.ones(samples.shape, bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(again.raster[outside, 0], grays[outside])
    assert tags(output)["Jpeg2000:BitsPerComponent"] == 7  # one less than there are, as it is coded
    with Image.open(output) as image:
        assert np.array_equal(np.asarray(image)[outside], grays[outside])


def test_a_jp2_of_a_palette_is_refused_as_what_it_is(tmp_path):
    data = imagecodecs.jpeg2k_encode(
        ramp(8, 1)[..., 0].copy(), 0, codecformat="jp2", reversible=True
    )
    parts = []
    for name, content in bmff.boxes(data):
        if name == b"jp2h":
            colours = struct.pack(">HB3B", 256, 3, 7, 7, 7) + bytes(range(256)) * 3
            content = content.replace(b"colr\1\0\0\0\0\0\x11", b"colr\1\0\0\0\0\0\x10")  # sRGB
            content += bmff.box(b"pclr", colours)
            content += bmff.box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, n) for n in range(3)))
        parts.append(bmff.box(name, content))
    path = tmp_path / "a.jp2"
    path.write_bytes(b"".join(parts))
    with pytest.raises(ImageError, match="with a palette cannot be kept; use --format png"):
        restored(path)
    output, _ = restored(path, tmp_path / "b.png", format="png")
    assert read_photo(output).pages[0].raster.shape == (96, 128, 3)


def bmp(version, bits, *, top_down=False, profile=b""):
    """A BMP of a version of its header: 12 (OS/2), 40, 56, 108 or 124 bytes."""
    raster = smooth(40, 50)
    if bits == 32:
        raster = np.dstack([raster, np.full((40, 50), 255, np.uint8)])
    stored = raster[..., [2, 1, 0, 3][: bits // 8]]
    stored = stored if top_down else stored[::-1]
    rows = [row.tobytes() + bytes(-len(row.tobytes()) % 4) for row in stored]
    pixels = b"".join(rows)
    if version == 12:
        info = struct.pack("<IHHHH", 12, 50, 40, 1, bits)
    else:
        height = -40 if top_down else 40
        masks = bits == 32 and version >= 56
        info = struct.pack("<IiiHH", version, 50, height, 1, bits)
        info += struct.pack("<IIiiII", 3 if masks else 0, len(pixels), 11811, 5906, 0, 0)
        fields = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000 if masks else 0)
        info = (info + (fields if masks else b"")).ljust(version, b"\0")
        if version >= 108:
            space = b"DEBM" if profile else b"BGRs"
            info = info[:56] + space + info[60:]
        if profile:
            place = struct.pack("<II", version + len(pixels), len(profile))
            info = info[:112] + place + info[120:]
    start = 14 + len(info)
    total = start + len(pixels) + len(profile)
    return b"BM" + struct.pack("<IHHI", total, 0, 0, start) + info + pixels + profile, raster


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize(
    ("version", "bits"), [(12, 24), (40, 24), (40, 32), (56, 32), (108, 24), (108, 32), (124, 24)]
)
def test_a_bitmap_keeps_its_version(tmp_path, version, bits, top_down, scale):
    if version == 12 and top_down:
        pytest.skip("OS/2 rows go up")
    path = tmp_path / "a.bmp"
    profile = ADOBE_RGB if version == 124 else b""
    data, raster = bmp(version, bits, top_down=top_down, profile=profile)
    path.write_bytes(data)
    page = read_photo(path).pages[0]
    assert np.array_equal(page.raster[..., :3], raster[..., :3])
    assert page.icc == profile
    output, said = restored(path, scale=scale)
    assert said == ()
    again = output.read_bytes()
    assert struct.unpack_from("<I", again, 14) == (version,)
    with Image.open(output) as image:
        assert image.size == (50 * scale, 40 * scale)
        if scale == 1:
            assert np.array_equal(np.asarray(image)[:18, :, :3], raster[:18, :, :3])
    if version >= 40:
        assert struct.unpack_from("<ii", again, 38) == (11811 * scale, 5906 * scale)
        assert (struct.unpack_from("<i", again, 22)[0] < 0) == top_down
    if profile:
        assert again.endswith(profile)
        jpeg, _ = restored(path, tmp_path / "b.jpg", format="jpg")
        with Image.open(jpeg) as image:
            assert image.info["icc_profile"] == ADOBE_RGB


def test_end_points_of_a_bitmap_are_seen(tmp_path):
    data, _ = bmp(108, 24)
    ends = (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)
    known = struct.pack("<9i", *(round(n * 2**30) for n in ends))
    data = data[:70] + bytes(4) + known + struct.pack("<3I", *[1 << 16] * 3) + data[122:]
    (tmp_path / "a.bmp").write_bytes(data)
    seen = read_photo(tmp_path / "a.bmp").upright_uint8().astype(int)
    assert seen.mean() > smooth(40, 50).mean() + 30  # its values are light, not what is seen


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_a_bitmap_of_a_palette_becomes_its_colours(tmp_path, mode):
    path = tmp_path / "a.bmp"
    Image.fromarray(smooth(40, 50)).convert(mode).save(path, dpi=(300, 300))
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    output, _ = restored(path)
    with Image.open(output) as image:
        assert np.array_equal(np.asarray(image.convert("RGB"))[:18], expected[:18])


WRITERS = {
    "a.webp": lambda path, picture: picture.save(path, quality=95),
    "lossless.webp": lambda path, picture: picture.save(path, lossless=True),
    "a.jp2": lambda path, picture: picture.save(path, irreversible=False),
    "a.heic": lambda path, picture: heif.from_pillow(picture).save(path, quality=95),
    "a.avif": lambda path, picture: picture.save(path, quality=95),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_picture_whose_end_is_zeros_is_restored_with_a_word(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, Image.fromarray(noise((200, 240, 3))))
    assert restored(path)[1] == ()
    data = path.read_bytes()
    start = len(data) * 3 // 4
    path.write_bytes(data[:start] + bytes(len(data) - start))
    assert restored(path)[1] == ("the file seems damaged: the end of its picture is all zeros",)


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_picture_is_no_damage(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path, Image.new("RGB", (1600, 1200), "white"))
    assert restored(path)[1] == ()
