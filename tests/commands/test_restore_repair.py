import io
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import faceren
from faceren.commands.one import restore_face, restore_file, restore_stream
from faceren.commands.options import RunOptions
from faceren.commands.review import revert
from faceren.errors import ConfigError, FaceError
from faceren.images import write_png
from faceren.restoration.options import RestoreOptions
from faceren.restoration.repair.mask import LEVEL
from faceren.runs.lists import Choice
from tests.calls import restored


@pytest.fixture
def landscape(tmp_path: Path) -> Path:
    """A smooth picture of nothing, with a bright scratch, in 16 bits."""
    down, across = np.mgrid[0:320, 0:400]
    plane = (25_000 + 5000 * np.sin(down / 40) * np.cos(across / 60)).astype(np.uint16)
    raster = np.repeat(plane[..., None], 3, 2)
    cv2.line(raster, (60, 40), (250, 120), (64_000,) * 3, 3)
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), raster)
    return folder


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_auto_changes_the_mask_alone_in_the_photos_own_depth(landscape, tmp_path) -> None:
    out = tmp_path / "out"
    (photo,) = restored([landscape], out, repair="auto")
    assert (photo.status, photo.faces) == ("restored", ())
    mask = read(out / "masks" / "a.png.png") > 0
    before, after = read(landscape / "a.png"), read(out / "a.png")
    assert after.dtype == np.uint16
    assert np.array_equal(before[~mask], after[~mask])
    core = before[..., 0] > 60_000
    assert mask[core].mean() > 0.95
    assert after[core & mask].max() < 40_000
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[-1])
    (repair,) = line["repair"]
    assert repair["filled"]
    assert repair["share"] == pytest.approx(mask.mean(), abs=1e-5)
    assert b"pixels filled" in (out / "a.png").read_bytes()


def test_suggest_shows_the_mask_and_copies_the_file(landscape, tmp_path) -> None:
    out = tmp_path / "out"
    (photo,) = restored([landscape], out, repair="suggest")
    assert photo.status == "no_face"
    assert (out / "a.png").read_bytes() == (landscape / "a.png").read_bytes()
    assert read(out / "masks" / "a.png.png").any()
    assert not photo.repairs[0].filled


def test_an_edited_mask_is_obeyed_and_off_looks_for_nothing(landscape, tmp_path, run) -> None:
    edited, out = tmp_path / "edited", tmp_path / "out"
    edited.mkdir()
    mask = np.zeros((320, 400), np.uint8)
    mask[200:206, 100:200] = 3 * LEVEL
    Image.fromarray(mask).save(edited / "a.png.png")
    assert run("restore", landscape, "-o", out, "--repair-mask", edited, "--no-report")[0] == 0
    before, after = read(landscape / "a.png"), read(out / "a.png")
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert (before != after).any()
    assert not (out / "masks").exists()
    plain = tmp_path / "plain"
    (photo,) = restored([landscape], plain)
    assert photo.repairs == ()
    assert (plain / "a.png").read_bytes() == (landscape / "a.png").read_bytes()


def test_without_a_folder_there_is_no_place_for_suggested_masks(landscape, tmp_path) -> None:
    asked, how = RestoreOptions(repair="suggest"), RunOptions(device="cpu")
    photo, pipe = landscape / "a.png", io.BytesIO()
    for attempt in (
        lambda: restore_file(photo, tmp_path / "b.png", asked, how),
        lambda: restore_stream(photo, io.BytesIO(), pipe, asked, how),
        lambda: faceren.restore(read(photo), asked, how=how),
    ):
        with pytest.raises(ConfigError, match="--repair suggest writes masks into"):
            attempt()
    assert not (tmp_path / "b.png").exists()
    assert pipe.getvalue() == b""


def test_a_folder_of_masks_that_is_none_is_refused(landscape, tmp_path) -> None:
    from faceren.commands.workshop import repairer_of

    with pytest.raises(ConfigError, match="--repair-mask: expected a folder of masks, .* is none"):
        repairer_of(RestoreOptions(), tmp_path / "nowhere")


def test_marks_to_keep_make_no_sense_where_none_are_looked_for(landscape, tmp_path, run) -> None:
    listed = tmp_path / "marks.jsonl"
    listed.write_text('{"photo": "a.png", "box": [1, 2, 3, 4]}\n')
    code, _, said = run("restore", landscape, "-o", tmp_path / "out", "--repair-keep", listed)[:3]
    assert code == 2
    assert "--repair-keep: expected --repair suggest, auto or strong beside it" in said


@pytest.fixture(scope="module")
def scratched_face(tmp_path_factory, astronaut) -> Path:
    """The folder of a portrait with a scratch beside its face, filled and restored."""
    root = tmp_path_factory.mktemp("scratched")
    portrait = np.ascontiguousarray(astronaut[:300, 60:360])
    cv2.line(portrait, (75, 150), (95, 10), (252,) * 3, 3, cv2.LINE_AA)
    write_png(root / "a.png", portrait)
    (made,) = restored([root / "a.png"], root / "out", model="compact", repair="auto")
    assert len(made.faces) == 1
    return root


def test_one_face_anew_leaves_its_marks_filled(scratched_face, tmp_path) -> None:
    out = Path(shutil.copytree(scratched_face / "out", tmp_path / "out"))
    how = RunOptions(device="cpu", model="compact")
    before, full = read(scratched_face / "a.png"), read(out / "a.png")
    core = (before > 245).all(-1) & (read(out / "masks" / "a.png.png") > 0)
    assert core.sum() > 300
    restore_face(out, "a.png", 0, 0.0, how)
    none = read(out / "a.png")
    # not even where the face is the original's again; but for pixels at what the mask has left out
    assert (none[core].max(-1) < 240).mean() > 0.95
    assert (none != full).any()
    restore_face(out, "a.png", 0, 1.0, how)
    assert abs(read(out / "a.png").astype(int) - full).max() <= 1
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[-1])
    assert line["repair"][0]["filled"]

    mask = read(out / "masks" / "a.png.png")
    mask[:8] = 255
    cv2.imwrite(str(out / "masks" / "a.png.png"), mask)
    with pytest.raises(
        FaceError, match=r"a\.png: its marks were filled, and their mask in .* is g"
    ):
        restore_face(out, "a.png", 0, 0.5, how)
    assert abs(read(out / "a.png").astype(int) - full).max() <= 1


def test_one_face_of_a_reverted_photo_has_its_marks_again(scratched_face, tmp_path) -> None:
    out = Path(shutil.copytree(scratched_face / "out", tmp_path / "out"))
    (taken,) = revert(out, [Choice("a.png", None)]).results
    assert taken.status == "reverted"
    line = json.loads((out / "manifest.jsonl").read_text().splitlines()[-1])
    assert not line["repair"][0]["filled"]
    restore_face(out, "a.png", 0, 0.0, RunOptions(device="cpu", model="compact"))
    assert np.array_equal(read(out / "a.png"), read(scratched_face / "a.png"))


def test_one_face_of_a_photo_filled_by_a_given_mask_is_refused(scratched_face, tmp_path) -> None:
    out, photo = tmp_path / "out", scratched_face / "a.png"
    masks = scratched_face / "out" / "masks"
    restored([photo], out, model="compact", repair_mask=masks)
    with pytest.raises(FaceError, match=r"a\.png: its marks were filled by a given mask; restore"):
        restore_face(out, "a.png", 0, 0.5, RunOptions(device="cpu", model="compact"))
