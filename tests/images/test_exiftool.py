"""What exiftool, which is none of our libraries, finds in a photo before and after."""

import shutil
import subprocess

import numpy as np
import pytest

from faceren.images import Restoration, read_photo, write_photo
from faceren.images.containers.bmff import parse
from faceren.images.metadata.fields import exif_of_items
from faceren.images.metadata.xmp import SOURCE_TYPE
from tests.images.samples import ADOBE_RGB, XMP, exif, full_jpeg, full_tiff, pil, smooth

NOTE = Restoration("base", "ab" * 32)
VOLATILE = ("[System]", "[File]", "[ExifTool]", "[XMP-", "[Composite]", "[PNG]", "[RIFF]")
PLACES = ("StripOffsets", "StripByteCounts", "ApplicationNotes", "ThumbnailOffset")
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
