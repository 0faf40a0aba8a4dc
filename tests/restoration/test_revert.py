import numpy as np
import pytest
from PIL import Image

from faceren.errors import FaceError, ImageError
from faceren.files import sha256_of
from faceren.images import read_photo
from faceren.restoration.revert import face_shares, reverted
from tests.runs import add_photo, as_earlier, face_at, picture, restored

TWO = [face_at(4, 8, 80), face_at(104, 20, 80)]
OVERLAPPING = [face_at(4, 8, 96), face_at(60, 8, 96)]


def take_back(root, line, faces=None):
    key = line["key"]
    return reverted(line, root / "photos" / key, root / "out" / key, faces, max_pixels=10**6)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("key", ["p.png", "p.jpg", "p.tif", "p.webp"])
def test_a_whole_photo_gets_its_bytes_back(key, tmp_path):
    line = add_photo(tmp_path, key, TWO)
    new = take_back(tmp_path, line)
    assert (tmp_path / "out" / key).read_bytes() == (tmp_path / "photos" / key).read_bytes()
    assert (new["status"], new["output_sha256"]) == ("reverted", line["input_sha256"])
    marked = [(face["reverted"], face["identity_distance"]) for face in new["faces"]]
    assert marked == [(True, None)] * 2


def test_a_record_of_an_earlier_version_is_taken_back_and_stays_one(tmp_path):
    line = add_photo(tmp_path, "p.png", [as_earlier(face) for face in TWO])
    new = take_back(tmp_path, line, {1})
    assert [face["identity"] for face in new["faces"]] == [0.2, None]
    assert not any("identity_distance" in face for face in new["faces"])


@pytest.mark.parametrize("key", ["p.png", "p.tif"])
def test_one_face_gets_its_pixels_back_and_the_other_stays(key, tmp_path):
    line = add_photo(tmp_path, key, TWO)
    new = take_back(tmp_path, line, {1})
    np.testing.assert_array_equal(pixels(tmp_path / "out" / key), restored(picture(0), TWO[:1]))
    assert new["status"] == "restored"
    assert [face.get("reverted", False) for face in new["faces"]] == [False, True]
    assert new["faces"][0] == line["faces"][0]
    assert new["output_sha256"] != line["output_sha256"]


def test_the_last_face_makes_it_the_original_again(tmp_path):
    line = take_back(tmp_path, add_photo(tmp_path, "p.png", TWO), {0})
    new = take_back(tmp_path, line, {1})
    assert new["status"] == "reverted"
    assert (tmp_path / "out/p.png").read_bytes() == (tmp_path / "photos/p.png").read_bytes()


def test_in_a_jpeg_the_other_face_and_the_rest_stay_as_they_were(tmp_path):
    line = add_photo(tmp_path, "p.jpg", TWO, save={"quality": 95})
    before, after = pixels(tmp_path / "photos/p.jpg"), pixels(tmp_path / "out/p.jpg")
    take_back(tmp_path, line, {0})
    now = pixels(tmp_path / "out/p.jpg").astype(int)
    assert np.abs(now[16:80, 8:72] - before[16:80, 8:72]).max() <= 12
    assert np.abs(now[:, 104:] - after[:, 104:]).mean() < 1.5
    assert np.abs(now[16:80, 8:72] - after[16:80, 8:72]).mean() > 30


def test_16_bits_and_the_stored_orientation_are_kept(tmp_path):
    import tifffile

    line = add_photo(tmp_path, "p.tif", TWO)
    upright = [picture(0), restored(picture(0), TWO)]
    for place, seen in zip(("photos", "out"), upright, strict=True):
        stored = np.rot90(seen, 1).astype(np.uint16) * 257  # Orientation 6 turns it back
        tag = (274, "H", 1, 6, True)
        tifffile.imwrite(tmp_path / place / "p.tif", stored, photometric="rgb", extratags=[tag])
    line |= {f"{a}_sha256": sha256_of(tmp_path / b / "p.tif") for a, b in
             (("input", "photos"), ("output", "out"))}  # fmt: skip
    take_back(tmp_path, line, {0})
    now = tifffile.imread(tmp_path / "out/p.tif")
    np.testing.assert_array_equal(np.rot90(now, -1), restored(picture(0), TWO[1:]) * np.uint16(257))
    assert read_photo(tmp_path / "out/p.tif").pages[0].orientation == 6


def test_a_face_on_the_second_page_leaves_the_first_alone(tmp_path):
    import tifffile

    faces = [TWO[0], TWO[1] | {"page": 1}]
    line = add_photo(tmp_path, "p.tif", faces)
    before = np.stack([picture(0), picture(1)])
    after = np.stack([restored(page, [face]) for page, face in zip(before, faces, strict=True)])
    for place, pages, field in (("photos", before, "input"), ("out", after, "output")):
        tifffile.imwrite(tmp_path / place / "p.tif", pages, photometric="rgb")
        line[f"{field}_sha256"] = sha256_of(tmp_path / place / "p.tif")
    take_back(tmp_path, line, {1})
    now = tifffile.imread(tmp_path / "out/p.tif")
    np.testing.assert_array_equal(now, np.stack([after[0], before[1]]))


def test_shares_are_whole_where_one_face_is_alone_and_smooth_between():
    faces = dict(enumerate(OVERLAPPING))
    ((box, share),) = face_shares(faces, {0}, (120, 200))
    x0, y0, _, _ = box
    row = share[56 - y0]
    assert row[10 - x0] == 1  # face 0 alone
    assert row[120 - x0] == 0 if box[2] > 120 else True
    assert np.all(np.diff(row[60 - x0 : 99 - x0]) <= 1e-6)
    assert row[80 - x0] == pytest.approx(0.5, abs=0.02)  # half way between
    ((_, both),) = face_shares({0: faces[0]}, {0}, (120, 200))
    inside = both[30 - y0 : 80 - y0, 30 - x0 : 80 - x0]
    assert np.all(inside == 1)


def test_an_enlarged_output_gets_the_enlarged_original(tmp_path):
    from faceren.images import enlarged

    line = add_photo(tmp_path, "p.png", TWO)
    large = enlarged(read_photo(tmp_path / "photos/p.png"), 2, max_pixels=10**6)
    base = large.pages[0].raster
    doubled = [face | {"box": [2 * v for v in face["box"]]} for face in TWO]
    Image.fromarray(restored(base, doubled)).save(tmp_path / "out/p.png")
    line["output_sha256"] = sha256_of(tmp_path / "out/p.png")
    take_back(tmp_path, line, {0})
    np.testing.assert_array_equal(pixels(tmp_path / "out/p.png"), restored(base, doubled[1:]))


def test_another_format_gets_the_original_in_that_format(tmp_path):
    line = add_photo(tmp_path, "p.png", TWO) | {"key": "p.webp"}
    Image.fromarray(restored(picture(0), TWO)).save(tmp_path / "out/p.webp", lossless=True)
    source, output = tmp_path / "photos/p.png", tmp_path / "out/p.webp"
    new = reverted(line, source, output, None, max_pixels=10**6)
    assert output.read_bytes()[8:12] == b"WEBP"
    assert np.abs(pixels(output).astype(int) - picture(0)).mean() < 4
    assert new["status"] == "reverted"


@pytest.mark.parametrize(
    ("spoil", "faces", "error", "message"),
    [
        ("photos", None, ImageError, "the original has changed since"),
        ("photos", {0}, ImageError, "the original has changed since"),
        ("out", {0}, ImageError, "restore it again"),
        (None, {2}, FaceError, "no face 3, it has 2"),
    ],
)
def test_what_cannot_be_taken_back_stays_as_it_is(spoil, faces, error, message, tmp_path):
    line = add_photo(tmp_path, "p.png", TWO)
    if spoil:
        Image.fromarray(picture(9)).save(tmp_path / spoil / "p.png")
    output = (tmp_path / "out/p.png").read_bytes()
    with pytest.raises(error, match=message):
        take_back(tmp_path, line, faces)
    assert (tmp_path / "out/p.png").read_bytes() == output


def test_an_original_that_is_gone_is_named(tmp_path):
    line = add_photo(tmp_path, "p.png", TWO)
    (tmp_path / "photos/p.png").unlink()
    with pytest.raises(ImageError, match="the original is gone; nothing was taken back"):
        take_back(tmp_path, line)


def test_one_face_of_a_file_of_another_form_is_refused(tmp_path):
    line = add_photo(tmp_path, "p.png", TWO)
    Image.fromarray(picture(0)).convert("L").save(tmp_path / "out/p.png")
    line["output_sha256"] = sha256_of(tmp_path / "out/p.png")
    with pytest.raises(FaceError, match="take the whole photo back"):
        take_back(tmp_path, line, {0})
