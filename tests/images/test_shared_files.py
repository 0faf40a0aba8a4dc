"""Files that were seen in public complaints about photo tools, with the value that is right."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from faceren.errors import ImageError
from faceren.images import read_photo
from tests.images.changing import box_of, exiftool, exiftool_bytes, restored, tags

FILES = Path(__file__).parents[3] / "shared/cases/files"
pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason=f"{FILES} is not there")


def ran(name, tmp_path, target="keep"):
    path = FILES / name
    suffix = path.suffix if target == "keep" else f".{target}"
    return restored(path, tmp_path / f"out{suffix}", format=target)


def test_a_lossless_jpeg_is_named(tmp_path):
    with pytest.raises(ImageError, match="a lossless JPEG"):
        read_photo(FILES / "f01/lossless.jpg")
    restored(FILES / "f01/zz_good.jpg", tmp_path / "a.jpg")


@pytest.mark.parametrize("target", ["png", "webp"])
def test_five_channels_become_three_or_four(tmp_path, target):
    output, said = ran("f02_five_channels.tif", tmp_path, target)
    with Image.open(output) as image:
        assert image.mode in ("RGB", "RGBA")
    assert said == ("left out: 1 extra channel (infrared or a mask)",)


def test_five_channels_are_kept_in_a_tiff(tmp_path):
    output, said = ran("f02_five_channels.tif", tmp_path)
    before, after = tifffile.imread(FILES / "f02_five_channels.tif"), tifffile.imread(output)
    assert after.shape == before.shape == (480, 400, 5)
    assert np.array_equal(after[..., 3:], before[..., 3:])
    assert said == ()


def test_sides_that_a_format_cannot_have_are_said():
    from faceren.images import check_target

    photo = read_photo(FILES / "f03_panorama.jpg")
    with pytest.raises(ImageError, match="16383"):
        check_target(photo, "webp")
    with pytest.raises(ImageError, match="65500"):
        check_target(photo, "keep", scale=4)
    check_target(photo, "keep")


@pytest.mark.parametrize("target", ["png", "jpg", "keep"])
def test_infrared_is_no_opacity(tmp_path, target):
    output, _ = ran("f04_infrared.tif", tmp_path, target)
    if target == "keep":
        before, after = tifffile.imread(FILES / "f04_infrared.tif"), tifffile.imread(output)
        assert np.array_equal(after[..., 3], before[..., 3])
        assert read_photo(output).pages[0].alpha is None
    else:
        with Image.open(output) as image:
            assert image.mode == "RGB"


def test_a_gain_map_stays_behind_its_picture(tmp_path):
    output, said = ran("j01_ultrahdr.jpg", tmp_path)
    assert exiftool("-s3", "-MPF0:NumberOfImages", output) == ["2"]
    before = exiftool_bytes("-MPImage2", FILES / "j01_ultrahdr.jpg")
    assert len(before) == 4542
    assert exiftool_bytes("-MPImage2", output) == before
    assert any("gain map" in line for line in said)


@pytest.mark.parametrize("target", ["png", "tiff", "webp"])
def test_a_gain_map_that_is_left_out_is_not_announced(tmp_path, target):
    output, said = ran("j01_ultrahdr.jpg", tmp_path, target)
    known = "\n".join(exiftool("-G1", "-a", output))
    assert "hdrgm" not in known
    assert "Container" not in known
    assert "left out: the gain map (HDR) behind the picture" in said


def test_components_called_red_green_and_blue_stay_so(tmp_path):
    output, _ = ran("j03_rgb_ids.jpg", tmp_path)
    data = output.read_bytes()
    frame = data.index(b"\xff\xc0")
    assert data[frame + 10 : frame + 19 : 3] == b"RGB"
    with Image.open(FILES / "j03_rgb_ids.jpg") as old, Image.open(output) as new:
        difference = np.abs(np.asarray(old)[:40].astype(int) - np.asarray(new)[:40])
    # steps of 1 store the rounding of the decoded pixels: some levels move by one, none by more
    assert (difference <= 1).mean() >= 0.99
    assert (difference == 0).mean() >= 0.95


@pytest.mark.parametrize("target", ["keep", "png", "tiff", "webp"])
def test_a_long_history_moves_to_every_format(tmp_path, target):
    output, _ = ran("j04_extxmp.jpg", tmp_path, target)
    assert len(exiftool_bytes("-XMP-photoshop:History", output)) == 90_000


def test_twelve_bits_are_named():
    with pytest.raises(ImageError, match="12 bits"):
        read_photo(FILES / "j05_12bit.jpg")


def test_a_profile_for_rgb_does_not_get_into_a_gray_png(tmp_path):
    output, said = ran("j13_gray_rgbicc.jpg", tmp_path, "png")
    assert b"iCCP" not in output.read_bytes()
    assert said == ("left out: a profile that is not for such pixels",)


def test_ten_bits_stay_ten_bits(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    output, _ = ran("h02_10bit.heic", tmp_path)
    assert heif.open_heif(output, convert_hdr_to_8bit=False).info["bit_depth"] == 10


def test_the_primary_of_two_stills_is_restored_and_the_other_stays(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    output, said = ran("h03_two.heic", tmp_path)
    before, after = heif.open_heif(FILES / "h03_two.heic"), heif.open_heif(output)
    assert len(after) == 2
    assert after.primary_index == before.primary_index == 1
    assert np.array_equal(np.asarray(before[0]), np.asarray(after[0]))
    assert not np.array_equal(np.asarray(before[1]), np.asarray(after[1]))
    assert said == ()


def test_code_points_of_colours_stay(tmp_path):
    output, _ = ran("h04_p3nclx.heic", tmp_path)
    known = tags(output)
    assert known["QuickTime:ColorPrimaries"] == 12
    assert known["QuickTime:TransferCharacteristics"] == 13


def test_lab_stays_lab(tmp_path):
    output, _ = ran("t04_icclab8.tif", tmp_path)
    with tifffile.TiffFile(output) as file:
        assert file.pages[0].photometric.name == "ICCLAB"
    seen = read_photo(output).upright_region((0, 0, 240, 288))
    pyvips = pytest.importorskip("pyvips")
    values = tifffile.imread(output)
    values = np.dstack([values[..., 0] / 2.55, values[..., 1:] - 128.0])
    lab = pyvips.Image.new_from_array(values.astype(np.float32), interpretation="lab")
    other = lab.colourspace("srgb").numpy() / 255.0
    assert np.abs(seen - other).mean() < 0.05  # libvips takes the white of D65 for Lab's


def test_a_mask_keeps_its_bytes(tmp_path):
    output, _ = ran("t05_maskpage.tif", tmp_path)
    before, after = (page_bytes(path, 1) for path in (FILES / "t05_maskpage.tif", output))
    assert before == after


def page_bytes(path, number):
    with tifffile.TiffFile(path) as file:
        page, data = file.pages[number], Path(path).read_bytes()
        places = zip(page.dataoffsets, page.databytecounts, strict=True)
        return [data[at : at + size] for at, size in places]


def test_layers_beside_a_changed_picture_go_with_a_word(tmp_path):
    output, said = ran("t07_pslayers.tif", tmp_path)
    with tifffile.TiffFile(output) as file:
        assert 37724 not in file.pages[0].tags
    assert any("layers" in line for line in said)


def test_no_unit_of_resolution_is_made_up(tmp_path):
    output, _ = ran("t09_jpeg.tif", tmp_path, "png")
    assert b"pHYs" not in output.read_bytes()


def test_a_pyramid_stays_one(tmp_path):
    output, _ = ran("t19_pyramid.tif", tmp_path)
    with tifffile.TiffFile(output) as file:
        assert [page.compression.name for page in file.pages] == ["JPEG"] * 3
        assert all(page.is_tiled and page.tilewidth == 256 for page in file.pages)
        full, half = file.pages[0].asarray(), file.pages[1].asarray()
    import cv2

    x0, y0, x1, y1 = box_of(read_photo(output).pages[0])
    shrunk = cv2.resize(full, half.shape[1::-1], interpolation=cv2.INTER_AREA).astype(int)
    difference = np.abs(shrunk - half)
    assert difference.mean() < 12
    assert difference[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2].mean() < 12
    ran("t19_pyramid.tif", tmp_path, "png")


def test_libvips_reads_the_levels_of_a_pyramid(tmp_path):
    pyvips = pytest.importorskip("pyvips")
    output, _ = ran("t19_pyramid.tif", tmp_path)
    sizes = []
    for page in range(3):
        image = pyvips.Image.tiffload(str(output), page=page)
        assert image.avg() > 0
        sizes.append((image.width, image.height))
    assert sizes == [(560, 672), (280, 336), (140, 168)]


def test_an_os2_bitmap_gets_no_resolution(tmp_path):
    output, _ = ran("b01_os2.bmp", tmp_path)
    assert tags(output).get("File:PixelsPerMeterX", 0) == 0
    assert exiftool("-s3", "-BMPVersion", output) == ["OS/2 V1"]


def test_linear_light_is_seen_as_it_is(tmp_path):
    output, _ = ran("p05_gama_linear.png", tmp_path, "jpg")
    with Image.open(output) as image:
        stream = io.BytesIO(image.info["icc_profile"])
        seen = np.asarray(ImageCms.profileToProfile(image, stream, ImageCms.createProfile("sRGB")))
    with Image.open(FILES / "p05_gama_linear.png") as image:
        light = np.asarray(image) / 255
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert abs(seen[:100].mean() - expected[:100].mean() * 255) < 3
    assert expected.mean() * 255 == pytest.approx(90.5, abs=0.1)  # 105 is what the mean becomes
    assert seen.mean() == pytest.approx(expected.mean() * 255, abs=3)


def test_jpeg_2000_in_a_folder_is_restored(tmp_path):
    from faceren.images import find_images

    names = [found.path.name for found in find_images([FILES / "mixed"])]
    assert names == ["a.jpg", "master.jp2"]
    output, _ = restored(FILES / "mixed/master.jp2", tmp_path / "a.jp2")
    with Image.open(output) as image:
        assert image.size == (240, 288)
