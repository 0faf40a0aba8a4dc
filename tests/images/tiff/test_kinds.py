"""Every layout that TIFF has, restored, and read by other programs."""

import struct

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from faceren.errors import ImageError
from faceren.images import read_photo, write_photo
from faceren.images.tiff.directory import (
    ASCII,
    Entry,
    append_data,
    directories,
    layout_of,
    write_directory,
)
from tests.images.changing import box_of, exiftool, restored
from tests.images.samples import noise, smooth

MODES = {"gray": ("minisblack", 1), "rgb": ("rgb", 3), "rgba": ("rgb", 4), "cmyk": ("separated", 4)}
COMPRESSIONS = [None, "lzw", "zlib", "packbits", "zstd", "lzma"]
LAYOUTS = [
    (mode, depth, compression, number)
    for mode in MODES
    for depth in (np.uint8, np.uint16)
    for compression in COMPRESSIONS
    for number in (0, 1)
]


def written(path, raster, photometric, **options):
    planes = options.get("planarconfig") == "separate"
    pixels = np.moveaxis(raster, 2, 0) if planes else raster
    pixels = raster[..., 0] if raster.shape[2] == 1 else pixels
    tifffile.imwrite(path, pixels, photometric=photometric, **options)
    return path


def outside(path, raster):
    """A raster's values, but for the box that was restored."""
    kept = raster.copy()
    x0, y0, x1, y1 = box_of(read_photo(path).pages[0])
    kept[y0:y1, x0:x1] = 0
    return kept


@pytest.mark.parametrize(("mode", "depth", "compression", "number"), LAYOUTS)
def test_every_layout_keeps_all_but_the_face(tmp_path, mode, depth, compression, number):
    photometric, channels = MODES[mode]
    index = LAYOUTS.index((mode, depth, compression, number))
    options = {
        "byteorder": "<>"[(index + number) % 2],
        "planarconfig": None if channels == 1 else ["contig", "separate"][(index // 2) % 2],
        "predictor": compression in ("lzw", "zlib", "zstd", "lzma") and index % 3 != 0,
        "compression": compression,
        "extrasamples": ["unassalpha"] if mode == "rgba" else None,
    }
    options |= {"tile": (16, 32)} if index // 4 % 2 else {"rowsperstrip": 7}
    raster = noise((41, 53, channels), depth, seed=index)
    path = written(tmp_path / "a.tif", raster, photometric, **options)
    output, said = restored(path)
    assert said == ()
    with tifffile.TiffFile(path) as old, tifffile.TiffFile(output) as new:
        for name in ("compression", "predictor", "planarconfig", "photometric", "is_tiled"):
            assert getattr(new.pages[0], name) == getattr(old.pages[0], name), name
        got = new.pages[0].asarray()
    got = np.moveaxis(got, 0, 2) if options["planarconfig"] == "separate" else got
    got = got.reshape(raster.shape)
    assert np.array_equal(outside(path, got), outside(path, raster))
    assert not np.array_equal(got, raster)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("mode", ["gray", "rgb"])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_libvips_reads_the_same(tmp_path, mode, depth, compression):
    pyvips = pytest.importorskip("pyvips")
    photometric, channels = MODES[mode]
    raster = noise((41, 53, channels), depth)
    path = written(tmp_path / "a.tif", raster, photometric, compression=compression)
    output, _ = restored(path)
    read = pyvips.Image.new_from_file(str(output)).numpy().reshape(raster.shape)
    assert np.array_equal(read, read_photo(output).pages[0].raster)
    assert np.array_equal(outside(path, read), outside(path, raster))


@pytest.mark.parametrize("tile", [None, (32, 32)])
@pytest.mark.parametrize("colours", ["ycbcr", "rgb", "gray"])
def test_jpeg_strips_and_tiles_stay_jpeg(tmp_path, tile, colours):
    raster = smooth(80, 96)[..., : 1 if colours == "gray" else 3]
    args = {"level": 90} | ({} if colours != "rgb" else {"outcolorspace": "rgb"})
    layout = {"tile": tile} if tile else {"rowsperstrip": 16}
    path = written(
        tmp_path / "a.tif",
        raster,
        {"gray": "minisblack"}.get(colours, "rgb"),
        compression="jpeg",
        compressionargs=args,
        **layout,
    )
    before = tifffile.imread(path).reshape(raster.shape)
    output, _ = restored(path)
    with tifffile.TiffFile(path) as old, tifffile.TiffFile(output) as new:
        assert new.pages[0].compression.name == "JPEG"
        assert new.pages[0].photometric == old.pages[0].photometric
        assert new.pages[0].is_tiled == bool(tile)
        after = new.pages[0].asarray().reshape(raster.shape)
    assert np.array_equal(after[:32], before[:32])  # no tile of these rows was touched
    with Image.open(output) as image:
        other = np.asarray(image).reshape(raster.shape)
    assert np.abs(other.astype(int) - after).max() <= 2
    page = read_photo(path).pages[0]
    x0, y0, x1, y1 = box_of(page)
    middle = (slice(y0 + 2, y1 - 2), slice(x0 + 2, x1 - 2))
    assert after[middle].mean() - before[middle].mean() > 25


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (2, 0), (0, 0), (1, 0), (0, 2)])
@pytest.mark.parametrize("target", ["keep", "png", "webp", "jpg"])
def test_extra_channels_mean_what_their_tag_says(tmp_path, kinds, depth, target):
    names = {0: "unspecified", 1: "assocalpha", 2: "unassalpha"}
    top = np.iinfo(depth).max
    raster = noise((40, 52, 3 + len(kinds)), depth) // 4
    for place, kind in enumerate(kinds, start=3):
        if kind:  # opaque, so that a JPEG can hold it
            raster[..., place] = top
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        raster,
        photometric="rgb",
        planarconfig="contig",
        extrasamples=[names[kind] for kind in kinds],
    )
    output, said = restored(path, tmp_path / f"b.{target}", format=target)
    opacity = any(kinds)
    assert (read_photo(path).pages[0].alpha is not None) == opacity
    if target == "keep":
        after = tifffile.imread(output)
        assert np.array_equal(after[..., 3:], raster[..., 3:])
        assert said == ()
        return
    with Image.open(output) as image:
        assert image.mode == ("RGBA" if opacity and target == "png" else "RGB")
    others = len(kinds) - opacity
    assert any(f"{others} extra channel" in line for line in said) == bool(others)


def test_colours_that_opacity_was_multiplied_into_are_straightened(tmp_path):
    straight = np.array([120, 110, 95], np.float32)
    raster = np.zeros((40, 52, 4), np.uint8)
    raster[..., :3] = np.rint(straight * 127 / 255)
    raster[..., 3] = 127
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, raster, photometric="rgb", extrasamples=["assocalpha"])
    assert raster[0, 0, :3].tolist() == [60, 55, 47]
    seen = read_photo(path).upright_uint8()[0, 0]
    assert np.abs(seen.astype(int) - straight).max() <= 1
    write_photo(tmp_path / "b.png", read_photo(path), format="png")
    with Image.open(tmp_path / "b.png") as image:
        assert np.abs(np.asarray(image)[0, 0].astype(int) - [*straight, 127]).max() <= 1
    output, _ = restored(path)
    after = tifffile.imread(output)
    assert (after[..., 3] == 127).all()
    middle = after[25, 22, :3].astype(int) - raster[25, 22, :3]
    assert np.abs(middle - 0.15 * 127).max() <= 1.5  # the change, multiplied by the opacity


@pytest.mark.parametrize(("photometric", "depth"), [(8, 8), (9, 8), (8, 16), (9, 16)])
def test_lab_is_seen_and_kept(tmp_path, photometric, depth):
    lab = np.zeros((40, 52, 3), np.float64)
    lab[..., 0] = np.linspace(30, 80, 52)
    lab[..., 1], lab[..., 2] = 12, -9
    unit = 2 ** (depth - 8)
    stored = np.stack([lab[..., 0] * (2**depth - 1) / 100, lab[..., 1] * unit, lab[..., 2] * unit])
    stored[1:] += 0 if photometric == 8 else 128 * unit
    raster = np.moveaxis(np.rint(stored).astype(np.int64), 0, 2).astype(f"u{depth // 8}")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, raster, photometric="rgb", compression="lzw")
    set_short(path, 262, photometric)
    import pyvips

    expected = pyvips.Image.new_from_array(d50_to_d65(lab).astype(np.float32), interpretation="lab")
    seen = read_photo(path).upright_region((0, 0, 52, 40))
    assert np.abs(seen * 255 - expected.colourspace("srgb").numpy()).max() < 3
    output, _ = restored(path)
    with tifffile.TiffFile(output) as file:
        assert int(file.pages[0].photometric) == photometric
        after = file.pages[0].asarray().view(raster.dtype)
    assert np.array_equal(outside(path, after), outside(path, raster))
    again = read_photo(output).upright_region((18, 22, 28, 28))
    assert np.abs(again - seen[22:28, 18:28] - 0.15).max() < 0.02


def d50_to_d65(lab):
    """L*a*b* of D65, which libvips means, for the same colours under D50 (Bradford)."""
    import skimage.color

    xyz = skimage.color.lab2xyz(lab, illuminant="D50")
    bradford = np.array(
        [
            [0.9555766, -0.0230393, 0.0631636],
            [-0.0282895, 1.0099416, 0.0210077],
            [0.0122982, -0.0204830, 1.3299098],
        ]
    )
    return skimage.color.xyz2lab(xyz @ bradford.T, illuminant="D65")


def set_short(path, tag, value):
    """Change a tag of the first page, in place."""
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[tag].overwrite(value)


def pyramid(path, *, sub, tile=(32, 32), compression="zlib", mask=None):
    """A photo, two smaller copies of it, in sub-directories or behind it, and maybe a mask."""
    full = smooth(128, 160)
    levels = [cv2.resize(full, (160 // n, 128 // n), interpolation=cv2.INTER_AREA) for n in (2, 4)]
    options = {"photometric": "rgb", "tile": tile, "compression": compression}
    with tifffile.TiffWriter(path) as writer:
        writer.write(full, subifds=2 if sub else None, **options)
        for level in levels:
            writer.write(level, subfiletype=1, **options)
        if mask:
            options = {"photometric": "mask"} if mask is bool else {"photometric": "minisblack"}
            writer.write(masked(full, mask), subfiletype=4 if mask is bool else 1, **options)
    if mask and mask is not bool:  # which tifffile reads, but does not write
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[3].tags["NewSubfileType"].overwrite(4)
    return full


def masked(full, mask):
    """Return the mask of ``pyramid``'s photo as what it is stored: of 1, 8 or 16 bits."""
    values = full[..., 0]
    return values > 99 if mask is bool else values.astype(mask)


def levels_of(path, *, sub):
    with tifffile.TiffFile(path) as file:
        pages = [file.pages[0], *(file.pages[0].pages if sub else list(file.pages)[1:])]
        return [(page.asarray(), page.compression.name, page.is_tiled) for page in pages[:3]]


@pytest.mark.parametrize("compression", ["zlib", "jpeg", "lzw", None])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("sub", [True, False])
def test_levels_agree_with_the_new_full_picture(tmp_path, sub, scale, compression):
    path = tmp_path / "a.tif"
    pyramid(path, sub=sub, compression=compression)
    output, said = restored(path, scale=scale)
    assert said == ()
    before, after = levels_of(path, sub=sub), levels_of(output, sub=sub)
    full = after[0][0]
    for (old, *_), (new, name, tiled) in zip(before, after, strict=True):
        assert new.shape[:2] == (old.shape[0] * scale, old.shape[1] * scale)
        assert tiled
        if scale == 1 or compression != "jpeg":
            assert name == (compression or "none").upper().replace("ZLIB", "ADOBE_DEFLATE")
        shrunk = cv2.resize(full, new.shape[1::-1], interpolation=cv2.INTER_AREA)
        difference = np.abs(shrunk.astype(int) - new)
        if compression == "jpeg":  # no further apart than they were
            apart = cv2.resize(before[0][0], old.shape[1::-1], interpolation=cv2.INTER_AREA)
            assert difference.mean() < np.abs(apart.astype(int) - old).mean() + 1
        else:
            assert difference.mean() < 1.5
        assert difference.max() < 40
    with tifffile.TiffFile(output) as file:
        kinds = [int(p.subfiletype) for p in (file.pages[0].pages if sub else list(file.pages)[1:])]
    assert kinds == [1, 1]
    assert len(read_photo(output).pages) == 1


@pytest.mark.parametrize(("kind", "bits"), [(bool, 1), (np.uint8, 8), (np.uint16, 16)])
@pytest.mark.parametrize("scale", [1, 2])
def test_masks_stay_or_grow_with_their_photo(tmp_path, scale, kind, bits):
    path = tmp_path / "a.tif"
    full = pyramid(path, sub=False, mask=kind)
    output, _ = restored(path, scale=scale)
    with tifffile.TiffFile(output) as file:
        mask = file.pages[3]
        assert int(mask.subfiletype) == 4
        assert mask.photometric.name == ("MASK" if kind is bool else "MINISBLACK")
        assert mask.bitspersample == bits
        grown = masked(full, kind).repeat(scale, 0).repeat(scale, 1)
        assert np.array_equal(mask.asarray().astype(kind), grown)


def test_a_thumbnail_of_another_kind_is_made_anew(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(noise((80, 96, 4), np.uint16), photometric="separated", compression="lzw")
        writer.write(np.zeros((20, 24, 3), np.uint8), photometric="rgb", subfiletype=1)
    output, said = restored(path)
    assert said == ()
    with tifffile.TiffFile(output) as file:
        assert file.pages[1].asarray()[11:13, 9:12].mean() > 20


def test_a_smaller_copy_that_cannot_be_made_anew_goes_with_a_word(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(smooth(80, 96), photometric="rgb")
        writer.write(np.zeros((20, 24, 4), np.uint8), photometric="separated", subfiletype=1)
        writer.write(noise((60, 70)), photometric="minisblack")
    output, said = restored(path)
    assert said == ("left out: a smaller copy of the photo that cannot be made anew",)
    with tifffile.TiffFile(output) as file:
        assert [page.shape for page in file.pages] == [(80, 96, 3), (60, 70)]
    assert exiftool("-s3", "-warning", output) == []


def test_a_file_of_nothing_but_a_smaller_copy_means_it(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth(), photometric="rgb", subfiletype=1)
    output, _ = restored(path)
    assert len(read_photo(output).pages) == 1


def test_two_descriptions_both_survive(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth(), photometric="rgb", metadata=None, description="glass plate")
    with path.open("r+b") as file:
        layout = layout_of(file)
        (directory,) = directories(file, layout)
        text = b"accession 1931.77\0"
        place = layout.pack("I", append_data(file, text))
        directory.entries.append(Entry(270, ASCII, len(text), place))
        write_directory(file, layout, directory)
    known = ["glass plate", "accession 1931.77"]
    assert exiftool("-a", "-s3", "-ImageDescription", path) == known
    for target in ("keep", "jpg", "png", "webp"):
        output, _ = restored(path, tmp_path / f"b.{target}", format=target)
        assert exiftool("-a", "-s3", "-ImageDescription", output) == known


def test_layers_of_photoshop_are_no_exif(tmp_path):
    path = tmp_path / "a.tif"
    layers = b"Adobe Photoshop Document Data Block\0" + bytes(400)
    options = {"extratags": [(37724, 7, len(layers), layers, True)], "software": "darkroom"}
    tifffile.imwrite(path, smooth(), photometric="rgb", metadata=None, **options)
    for target in ("jpg", "png", "webp"):
        output, said = restored(path, tmp_path / f"b.{target}", format=target)
        assert "left out: Photoshop's layers" in said
        assert b"Document Data Block" not in output.read_bytes()
        assert exiftool("-s3", "-Software", output) == ["darkroom"]
    photo = read_photo(path)
    assert write_photo(tmp_path / "c.tif", photo) == ()  # nothing changed, nothing to hide
    assert b"Document Data Block" in (tmp_path / "c.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "c.tif") as file:
        assert 37724 in file.pages[0].tags


def test_what_the_decoder_does_not_know_is_no_damage(tmp_path):
    path = tmp_path / "a.tif"
    shared = [(530, "H", 2, (2, 2), True)]  # four pixels share their colour
    tifffile.imwrite(path, smooth(), photometric="rgb", extratags=shared, metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[262].overwrite(6)
    with pytest.raises(ImageError, match="of a kind that cannot be read .chroma.*convert it"):
        read_photo(path)


@pytest.mark.parametrize("unit", [1, 2, 3])
@pytest.mark.parametrize("target", ["png", "jpg"])
def test_resolution_needs_a_unit(tmp_path, unit, target):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth(), photometric="rgb", resolution=(120, 120), resolutionunit=unit)
    output, _ = restored(path, tmp_path / f"b.{target}", format=target)
    with Image.open(output) as image:
        known = image.info.get("dpi") if target == "png" else jfif_dpi(image)
    inch = {1: None, 2: 120, 3: 304.8}[unit]
    assert (known is None) if inch is None else known[0] == pytest.approx(inch, abs=0.6)


def jfif_dpi(image):
    return image.info["jfif_density"] if image.info.get("jfif_unit") == 1 else None


def test_pixels_that_are_not_square_stay_so(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth(), photometric="rgb", resolution=(2, 1), resolutionunit=1)
    output, _ = restored(path, tmp_path / "b.png", format="png")
    data = output.read_bytes()
    at = data.index(b"pHYs") + 4
    assert struct.unpack(">IIB", data[at : at + 9]) == (2, 1, 0)


def test_a_raw_camera_file_is_named(tmp_path):
    path = tmp_path / "a.tif"
    tags = [(50706, 1, 4, bytes([1, 4, 0, 0]), True)]
    tifffile.imwrite(path, noise((20, 30), np.uint16), photometric="minisblack", extratags=tags)
    with pytest.raises(ImageError, match="a raw camera file .DNG.; develop it"):
        read_photo(path)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"II*\0\x10\0\0\0CR\2\0", "Canon CR2"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "Canon CR3"),
        (b"FUJIFILMCCD-RAW 0201", "Fujifilm RAF"),
        (b"IIRO\x08\0\0\0", "Olympus ORF"),
        (b"8BPS\0\1", "Photoshop document"),
        (b"%PDF-1.4", "a PDF"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
    ],
)
def test_other_formats_are_called_by_their_names(tmp_path, head, name):
    (tmp_path / "a.tif").write_bytes(head.ljust(64, b"\0"))
    with pytest.raises(ImageError, match=name):
        read_photo(tmp_path / "a.tif")
