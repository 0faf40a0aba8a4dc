"""What exiftool, which is none of our libraries, finds in a photo before and after."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL.PngImagePlugin import PngInfo

from faceren.images import Restoration, read_photo, write_photo
from faceren.images.containers.bmff import parse
from faceren.images.metadata.fields import exif_of_items
from faceren.images.metadata.xmp import SOURCE_TYPE
from tests.images.samples import ADOBE_RGB, XMP, exif, full_jpeg, full_tiff, lossless, pil, smooth

NOTE = Restoration("base", "ab" * 32, strength=0.7, original_sha256="cd" * 32)
VOLATILE = ("[System]", "[File]", "[ExifTool]", "[XMP-", "[Composite]", "[PNG]", "[RIFF]")
PLACES = ("StripOffsets", "StripByteCounts", "ApplicationNotes", "Thumbnail")
CODING = ("MediaData", "CompatibleBrands", "SeqProfile", "ChromaFormat")
"""What differs between AVIF files of one picture that were coded differently."""


def restored(path, target=None, **options):
    """Restore a photo a little; return the path of the output."""
    target = target or path.parent / "out" / path.name
    change = np.zeros((16, 20, 3), np.float32)
    change[2:14, 2:18] = 0.15
    write_photo(target, read_photo(path).merged([((3, 4, 23, 20), change)]), note=NOTE, **options)
    return target


def exif_of_avif(data):
    return exif_of_items(parse(data))


def exiftool(*arguments):
    """Return the lines that exiftool prints."""
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    said = subprocess.run([tool, *map(str, arguments)], capture_output=True, check=True)
    return said.stdout.decode(errors="replace").splitlines()


def lasting(path):
    """Return all that exiftool finds but what has to differ."""
    lines = exiftool("-G1", "-s", "-a", "-u", path)
    known = [line for line in lines if line.startswith("[") and not line.startswith(VOLATILE)]
    return [line for line in known if not any(place in line for place in (*PLACES, *CODING))]


def add_more(path, thumbnail):
    """Write down what Pillow would not: a thumbnail, text that is not ASCII, a maker's number."""
    full_jpeg(thumbnail)
    exiftool(
        *("-overwrite_original", "-Artist=Großvater", "-UserComment=attic", "-SerialNumber=77"),
        *("-XPTitle=Ü", "-XMP-dc:Creator=Aunt", f"-IFD1:ThumbnailImage<={thumbnail}", path),
    )


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp", "avif", "heic"])
def test_exiftool_finds_the_same_in_both_files(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    options = {"exif": exif().tobytes(), "icc_profile": ADOBE_RGB, "xmp": XMP}
    if suffix == "jpg":
        full_jpeg(path)
    elif suffix == "tif":
        full_tiff(path)
    else:
        pil(smooth()).save(path, **options, **{"lossless": True} if suffix == "webp" else {})
    add_more(path, tmp_path / "thumbnail.jpg")
    output = restored(path)
    before = lasting(path)
    for known in ("Zeiss", "Großvater", "Adobe RGB", *(["IFD1"] * (suffix != "tif"))):
        assert any(known in line for line in before)
    if suffix not in ("avif", "heic"):
        assert any("Rotate 90 CW" in line for line in before)
    assert lasting(output) == before
    assert exiftool("-s3", "-XMP:Creator", output) == ["Aunt"]
    assert exiftool("-s3", "-XMP:DigitalSourceType", output) == [SOURCE_TYPE]


@pytest.mark.parametrize("scale", [1, 2])
def test_a_bmp_keeps_its_resolution_and_has_nothing_else(tmp_path, scale):
    from faceren.images import enlarged

    path = tmp_path / "a.bmp"
    pil(smooth()).save(path, dpi=(300, 150))
    write_photo(tmp_path / "b.bmp", enlarged(read_photo(path), scale, max_pixels=10**6), note=NOTE)
    tags = ("-s3", "-PixelsPerMeterX", "-PixelsPerMeterY", "-BMPVersion", "-BitDepth")
    across, down, *others = exiftool(*tags, path)
    expected = [str(int(across) * scale), str(int(down) * scale), *others]
    assert exiftool(*tags, tmp_path / "b.bmp") == expected
    assert across == "11811"


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_what_the_container_turns_stays_turned(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    pil(smooth()).save(path, exif=exif(orientation).tobytes(), quality=95)
    output = restored(path)
    tags = ("-s", "-Rotation", "-Mirroring", "-Orientation")
    assert exiftool(*tags, output) == exiftool(*tags, path)
    before, after = read_photo(path), read_photo(output)
    assert before.pages[0].orientation == after.pages[0].orientation == orientation
    assert before.pages[0].raster.shape == after.pages[0].raster.shape
    difference = np.abs(before.upright_uint8().astype(int) - after.upright_uint8())
    assert np.median(difference) <= 2


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_exif_of_an_avif_is_moved_byte_by_byte(tmp_path, orientation):
    path = tmp_path / "a.avif"
    for length in range(1, 12):
        block = exif(orientation)
        block[0x010E] = "x" * length
        pil(smooth(32, 32)).save(path, exif=block.tobytes())
        known = exif_of_avif(path.read_bytes())
        assert known.startswith(b"MM\0*")
        again = exif_of_avif(restored(path).read_bytes())
        assert again[: len(known)] == known
        assert not again[len(known) :].strip(b"\0")


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_a_file_that_says_nothing_is_told_nothing(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    pil(smooth()).save(path)
    assert exif_of_avif(path.read_bytes()) == b""
    assert lasting(restored(path)) == lasting(path)


@pytest.mark.parametrize("chroma", [420, 444])
def test_a_heic_keeps_the_sampling_of_its_colours(tmp_path, chroma):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    path = tmp_path / "a.heic"
    pil(smooth()).save(path, chroma=chroma)
    assert heif.open_heif(restored(path)).info["chroma"] == chroma


def test_exiftool_reads_the_note_and_the_caption(tmp_path):
    path = full_jpeg(tmp_path / "a.jpg")
    restored(path)
    restored(path, tmp_path / "out" / "a.png", format="png")
    restored(path, tmp_path / "out" / "a.tif", format="tiff")
    tags = ("-DigitalSourceType", "-Caption-Abstract", "-DateTimeOriginal", "-Orientation", "-n")
    for name in ("a.jpg", "a.png", "a.tif"):
        said = exiftool("-s3", *tags, tmp_path / "out" / name)
        assert said == [SOURCE_TYPE, "Grandmother", "1931:05:04 00:00:00", "6"]


ALLOWED = {
    "": {
        "[System] Directory": "the output lies elsewhere",
        "[System] FileSize": "other pixels and the note take other room",
        "[System] FileModifyDate": "the time of writing, unless with --keep-times",
        "[System] FileAccessDate": "the file system's",
        "[System] FileInodeChangeDate": "the file system's",
        "[XMP-faceren] RestoredBy": "the note",
        "[XMP-faceren] WeightsName": "the note",
        "[XMP-faceren] WeightsSHA256": "the note",
        "[XMP-faceren] Strength": "the note",
        "[XMP-faceren] OriginalSHA256": "the note",
        "[XMP-iptcExt] DigitalSourceType": "the note",
        "[IFD1] ThumbnailImage": "shows the restored photo",
        "[IFD1] ThumbnailLength": "another picture, another length",
    },
    "tif": {
        "[IFD0] StripOffsets": "changed pixels are appended",
        "[IFD0] StripByteCounts": "changed pixels take other room",
        "[IFD0] TileOffsets": "changed pixels are appended",
        "[IFD0] TileByteCounts": "changed pixels take other room",
        "[IFD0] ApplicationNotes": "the XMP, as the bytes that it is",
    },
    "webp": {"[IFD1] ThumbnailOffset": "counted from the file's beginning"},
    "heic": {
        "[QuickTime] ImageSpatialExtent": "said of the picture and again of its opacity",
        "[QuickTime] CleanAperture": "said of the picture and again of its opacity",
        "[IFD1] ThumbnailOffset": "counted from the file's beginning",
        "[QuickTime] MediaData": "the pixels",
        "[QuickTime] MediaDataOffset": "where they are",
        "[QuickTime] MediaDataSize": "how many bytes they have",
    },
}
ALLOWED["avif"] = ALLOWED["heic"] | {
    "[QuickTime] ChromaFormat": "colours are stored at full size, so that those of faces stay",
    "[QuickTime] SeqProfile": "follows from that",
}
"""What may differ between a photo and its restoration, of all that exiftool finds, and why."""


def test_the_readme_names_all_that_may_differ():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    names = {tag.split()[1] for kind in ALLOWED.values() for tag in kind}
    assert [name for name in sorted(names) if f"`{name}`" not in readme] == []


def everything(path):
    """Return all that exiftool finds, by group and name; a tag may occur several times."""
    found = {}
    for line in exiftool("-a", "-G1", "-s", "-u", path):
        name, _, value = line.partition(": ")
        found.setdefault(" ".join(name.split()), []).append(value)
    return found


def tiff(path, pixels, **options):
    tifffile.imwrite(path, pixels, **{"photometric": "rgb", "metadata": None} | options)


def written(path):
    """Write a photo of a kind with all that it can hold."""
    options = {"exif": exif().tobytes(), "icc_profile": ADOBE_RGB, "xmp": XMP}
    kind, deep = path.stem, smooth(channels=4).astype(np.uint16) * 257
    if path.suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if path.suffix == ".jpg":
        kinds = {"progressive": {"progressive": True, "subsampling": 0}, "plain": {}}
        full_jpeg(path, **kinds[kind])
    elif kind == "gray":
        pil(smooth(channels=1)).save(path, dpi=(300, 300))
    elif kind == "tiled":
        tiled = {"tile": (16, 16), "compression": "zlib", "predictor": True}
        tiff(path, deep[..., :3], resolution=(300, 200), description="d", software="s", **tiled)
    elif kind == "planar":
        planes = np.moveaxis(smooth(), 2, 0)
        tiff(path, planes, planarconfig="separate", compression="lzw", byteorder=">")
    elif kind == "big":
        tiff(path, smooth(), bigtiff=True)
    elif path.suffix == ".tif":
        full_tiff(path)
    elif kind == "deep":
        lossless(path, deep)
    elif path.suffix == ".png":
        info = PngInfo()
        info.add_text("Author", "me", zip=True)
        info.add_itxt("Comment", "ü")
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        del options["xmp"]
        pil(smooth()).save(path, pnginfo=info, dpi=(300, 300), **options)
    elif path.suffix == ".jp2":
        pil(smooth()).save(path, irreversible=False)
        exiftool("-overwrite_original", "-Artist=Uncle", "-XMP-dc:Creator=Aunt", path)
    else:
        pil(smooth(channels=4 if kind == "alpha" else 3)).save(
            path, lossless=kind in ("lossless", "alpha"), **options
        )


@pytest.mark.parametrize(
    "name",
    [
        *("plain.jpg", "progressive.jpg", "gray.png", "plain.png", "deep.png", "plain.jp2"),
        *("plain.tif", "tiled.tif", "planar.tif", "big.tif", "gray.tif"),
        *("plain.webp", "lossless.webp", "alpha.webp", "plain.heic", "alpha.heic"),
        *("plain.avif", "alpha.avif"),
    ],
)
def test_of_all_that_exiftool_finds_only_what_is_named_here_differs(tmp_path, name):
    path = tmp_path / name
    written(path)
    if path.stem == "plain" and path.suffix != ".jp2":
        add_more(path, tmp_path / "thumbnail.jpg")
    output = restored(path)
    before, after = everything(path), everything(output)
    assert len(before) > 15
    differ = {tag for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag)}
    assert not differ - ALLOWED[""].keys() - ALLOWED.get(path.suffix[1:], {}).keys()
    for tag in ("[QuickTime] ImageSpatialExtent", "[QuickTime] CleanAperture"):
        assert set(before.get(tag, ())) == set(after.get(tag, ()))
    assert after["[XMP-iptcExt] DigitalSourceType"] == [SOURCE_TYPE]
