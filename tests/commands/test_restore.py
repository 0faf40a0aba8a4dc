import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from faceren.config import ANOTHER_PERSON
from faceren.files import sha256_of
from faceren.runs.manifest import read_manifest
from tests.calls import restored, restoring
from tests.schema import wrong


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def astronaut(astronaut):
    return Image.fromarray(astronaut)


@pytest.fixture
def photos(tmp_path, astronaut):
    """A folder with a portrait in a sub-folder, a photo without a face, and a broken file."""
    folder = tmp_path / "photos"
    (folder / "box 1").mkdir(parents=True)
    astronaut.save(folder / "box 1" / "portrait.png")
    Image.fromarray(data.rocket()).save(folder / "rocket.jpg")
    return folder


def test_restores_a_folder_and_writes_everything_down(photos, tmp_path, run):
    out = tmp_path / "out"
    status, stdout, _ = run("restore", photos, "-o", out, "--json", "--quiet")
    assert status == 0
    lines = [json.loads(line) for line in stdout.splitlines()]
    assert [line["status"] for line in lines] == ["restored", "no_face"]
    manifest = read_manifest(out / "manifest.jsonl")
    assert list(manifest.items.values()) == lines
    raw = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert [wrong(line) for line in (*raw, *lines)] == [[]] * 5
    assert manifest.header["machine"]["precision"] == "fp32"
    assert manifest.header["date"].endswith("+00:00")
    written = (out / "box 1" / "portrait.png").read_bytes()
    original = sha256_of(photos / "box 1" / "portrait.png").encode()
    assert b"<faceren:Strength>1</faceren:Strength>" in written
    assert b"<faceren:OriginalSHA256>" + original in written
    (face,) = lines[0]["faces"]
    assert set(face) >= {"box", "landmarks", "score", "crop", "identity_distance", "ms"}
    assert 0 < face["identity_distance"] < ANOTHER_PERSON
    assert (out / "rocket.jpg").read_bytes() == (photos / "rocket.jpg").read_bytes()


def test_one_view_or_the_mean_of_two(photos, tmp_path, run):
    found = {}
    for ensemble in ("auto", "on", "off"):
        out = tmp_path / ensemble
        assert run("restore", photos, "-o", out, "--ensemble", ensemble, "--no-report")[0] == 0
        header = read_manifest(out / "manifest.jsonl").header
        found[ensemble] = header["self_ensemble"], pixels(out / "box 1" / "portrait.png")
    assert [said for said, _ in found.values()] == [True, True, False]  # base takes two
    assert (found["auto"][1] == found["on"][1]).all()
    assert (found["on"][1] != found["off"][1]).any()
    assert run("restore", photos, "-o", tmp_path / "x", "--ensemble", "both")[0] == 2


def test_the_face_changes_and_nothing_outside_its_crop(photos, tmp_path):
    from faceren.faces.alignment import crop_corners, crop_transform

    out = tmp_path / "out"
    (portrait, _) = restored([photos], out)
    before, after = (
        pixels(photos / "box 1" / "portrait.png"),
        pixels(out / "box 1" / "portrait.png"),
    )
    (face,) = portrait.faces
    corners = crop_corners(crop_transform(np.array(face.landmarks), 256), 256)
    y, x = np.mgrid[: before.shape[0], : before.shape[1]]
    u, v = corners[1] - corners[0], corners[3] - corners[0]
    a = ((x - corners[0, 0]) * u[0] + (y - corners[0, 1]) * u[1]) / (u @ u)
    b = ((x - corners[0, 0]) * v[0] + (y - corners[0, 1]) * v[1]) / (v @ v)
    inside = (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1)
    np.testing.assert_array_equal(after[~inside], before[~inside])
    assert (after[inside] != before[inside]).mean() > 0.3


def test_the_second_run_computes_nothing_and_the_third_redoes_what_changed(photos, tmp_path, run):
    out = tmp_path / "out"
    run("restore", photos, "-o", out)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    status, stdout, _ = run("restore", photos, "-o", out, "--json")
    assert status == 0
    again = [json.loads(line) for line in stdout.splitlines()]
    assert [wrong(line) for line in again] == [[], []]
    recorded = read_manifest(out / "manifest.jsonl").items
    for line in again:  # its faces and all
        assert line["status"] == "skipped"
        assert line | {"status": line["previous"]} == recorded[line["key"]] | {
            "previous": line["previous"]
        }
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    (out / "rocket.jpg").write_bytes(b"spoiled")
    results = restored([photos], out)
    assert sorted(result.status for result in results) == ["no_face", "skipped"]
    results = restored([photos], out, strength=0.5)
    assert sorted(result.status for result in results) == ["no_face", "restored"]


def test_strength_zero_returns_the_input_pixels(photos, tmp_path, run):
    run("restore", photos, "-o", tmp_path / "out", "--strength", "0")
    np.testing.assert_array_equal(
        pixels(tmp_path / "out/box 1/portrait.png"), pixels(photos / "box 1/portrait.png")
    )


def test_bytes_do_not_depend_on_neighbours_or_workers(photos, astronaut, tmp_path, run):
    for index in range(4):
        astronaut.rotate(5 * index + 3).save(photos / f"extra_{index}.png")
    run("restore", photos, "-o", tmp_path / "many", "--workers", "4")
    alone = photos / "extra_2.png"
    run("restore", alone, "-o", tmp_path / "one", "--workers", "1")
    assert (tmp_path / "many/extra_2.png").read_bytes() == (
        tmp_path / "one/extra_2.png"
    ).read_bytes()


def test_gray_stays_gray_and_16_bit_stays_16_bit(photos, astronaut, tmp_path, run):
    import tifffile

    gray = np.asarray(astronaut.convert("L"))
    Image.fromarray(gray).save(photos / "gray.png")
    deep = gray.astype(np.uint16) * 257
    tifffile.imwrite(photos / "deep.tif", deep)
    run("restore", photos, "-o", tmp_path / "out")
    with Image.open(tmp_path / "out/gray.png") as image:
        assert image.mode == "L"
    after = tifffile.imread(tmp_path / "out/deep.tif")
    assert after.dtype == np.uint16
    assert after.shape == deep.shape
    assert np.array_equal(after[-50:], deep[-50:])
    assert not np.array_equal(after, deep)


def test_a_rotated_file_keeps_its_raster_and_its_orientation(astronaut, tmp_path):
    stored = astronaut.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    exif[0x010F] = "Camera"
    stored.save(tmp_path / "turned.png", exif=exif.tobytes())
    (result,) = restored([tmp_path / "turned.png"], tmp_path / "out")
    with Image.open(result.output) as image:
        assert dict(image.getexif()) == dict(exif)
        assert image.size == stored.size
    (face,) = result.faces
    assert face.landmarks[0][1] < face.landmarks[3][1]
    upright = tmp_path / "upright.png"
    astronaut.save(upright)
    (plain,) = restored([upright], tmp_path / "out")
    turned_back = np.rot90(pixels(result.output), -1)
    np.testing.assert_array_equal(turned_back, pixels(plain.output))


def test_largest_and_saved_faces(photos, tmp_path, run):
    out = tmp_path / "out"
    run("restore", photos, "-o", out, "--faces", "largest", "--save-faces")
    names = sorted(path.name for path in (out / "faces/box 1").iterdir())
    assert names == ["portrait.png_00_after.png", "portrait.png_00_before.png"]


def test_min_face_leaves_small_faces_alone(photos, tmp_path):
    results = restored([photos], tmp_path / "out", min_face=400)
    assert {result.status for result in results} == {"no_face"}


def test_aligned_restores_the_whole_image(astronaut, tmp_path, run):
    astronaut.crop((130, 0, 330, 200)).resize((200, 150)).save(tmp_path / "crop.png")
    status, _, _ = run("restore", tmp_path / "crop.png", "-o", tmp_path / "out", "--aligned")
    assert status == 0
    after, before = pixels(tmp_path / "out/crop.png"), pixels(tmp_path / "crop.png")
    assert after.shape == before.shape
    assert (after[-5:] != before[-5:]).any()


def test_dry_run_writes_nothing(photos, tmp_path, run):
    status, stdout, _ = run("restore", photos, "-o", tmp_path / "out", "--dry-run", "--json")
    assert status == 0
    assert stdout.count('"planned"') == 2
    assert not (tmp_path / "out").exists()


def test_bad_files_are_named_and_the_others_done(photos, tmp_path, run):
    (photos / "text.jpg").write_text("no picture")
    (photos / "empty.png").write_bytes(b"")
    whole = (photos / "rocket.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    status, stdout, stderr = run("restore", photos, "-o", tmp_path / "out", "--json")
    assert status == 1
    lines = {Path(line["input"]).name: line for line in map(json.loads, stdout.splitlines())}
    failed = {name for name, line in lines.items() if line["status"] == "failed"}
    assert failed == {"text.jpg", "empty.png", "cut.jpg"}
    assert all(lines[name]["reason"] for name in failed)
    assert not any((tmp_path / "out" / name).exists() for name in failed)
    assert stderr.count("error:") == 3
    assert (tmp_path / "out/rocket.jpg").exists()
    again, stdout, _ = run("restore", photos, "-o", tmp_path / "out", "--json")
    assert again == 1
    assert stdout.count('"skipped"') == 5
    (photos / "text.jpg").unlink()
    (photos / "empty.png").unlink()
    (photos / "cut.jpg").write_bytes(whole)
    assert run("restore", photos, "-o", tmp_path / "out", "--retry-failed")[0] == 0


def test_inputs_that_would_collide_are_refused_before_any_work(photos, astronaut, tmp_path, run):
    other = tmp_path / "other"
    other.mkdir()
    astronaut.save(other / "rocket.jpg")
    status, _, message = run("restore", photos, other, "-o", tmp_path / "out")
    assert status == 2
    assert "would both be written to" in message
    assert list((tmp_path / "out").glob("*.jpg")) == []


def test_a_model_with_a_wrong_hash_is_refused(photos, tmp_path, monkeypatch, run):
    import faceren.assets as assets

    spoiled = tmp_path / "models"
    spoiled.mkdir()
    (spoiled / f"faceren-{assets.DEFAULT_MODEL}.safetensors").write_bytes(b"not the weights")
    monkeypatch.setattr(assets, "models_dir", lambda: spoiled)
    assets.asset.cache_clear()
    status, _, message = run("restore", photos, "-o", tmp_path / "out")
    assets.asset.cache_clear()
    assert status == 4
    assert "SHA-256" in message


def test_a_killed_run_resumes_to_the_same_bytes(photos, astronaut, tmp_path, run):
    for index in range(6):
        astronaut.rotate(4 * index).save(photos / f"p{index}.png")
    run("restore", photos, "-o", tmp_path / "calm")
    command = [sys.executable, "-m", "faceren", "restore", str(photos), "-o"]
    killed = subprocess.Popen(
        [*command, str(tmp_path / "killed"), "--device", "cpu"], stderr=subprocess.DEVNULL
    )
    manifest = tmp_path / "killed/manifest.jsonl"
    while killed.poll() is None:
        if manifest.exists() and manifest.read_bytes().count(b"\n") >= 3:
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait()
    run("restore", photos, "-o", tmp_path / "killed")
    for path in sorted((tmp_path / "calm").rglob("*.[pj][np]g")):
        twin = tmp_path / "killed" / path.relative_to(tmp_path / "calm")
        assert twin.read_bytes() == path.read_bytes()
    assert not list((tmp_path / "killed").rglob(".faceren-*.png"))


def test_restoring_never_imports_torchvision(photos, tmp_path):
    code = (
        "import sys; from faceren import cli\n"
        f"sys.argv = ['faceren', 'restore', {str(photos)!r}, '-o', {str(tmp_path / 'o')!r}]\n"
        "try: cli.main()\n"
        "except SystemExit as stopped: assert stopped.code == 0\n"
        "assert not {'torchvision', 'torchmetrics', 'facexlib', 'lpips'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_shipped_samples_stand_in_for_missing_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = restoring([Path("sample_photos/")], Path("out"), dry_run=True)
    assert planned.shipped_samples
    assert planned.total >= 6


def test_a_folder_of_another_command_is_no_output(photos, tmp_path, run):
    assert run("degrade", photos, "--task", "jpeg", "-o", tmp_path / "out")[0] == 0
    status, _, message = run("restore", photos, "-o", tmp_path / "out")
    assert status == 2
    assert "holds the manifest of 'degrade'" in message


def test_a_run_from_within_the_photos_folder_has_a_record_that_holds_everywhere(
    photos, tmp_path, run, monkeypatch
):
    monkeypatch.chdir(photos)
    assert run("restore", "rocket.jpg", "-o", "../out", "-q")[0] == 0
    monkeypatch.chdir(tmp_path)
    assert run("restore", "--verify", "out")[0] == 0
    assert run("restore", "photos/rocket.jpg", "-o", "out")[2].count("nothing has changed") == 1
    Path("list.txt").write_text("rocket.jpg\n")
    assert run("restore", "-o", "out", "--only", "list.txt", "--strength", "0.5", "-q")[0] == 0


@pytest.mark.parametrize(
    "options",
    [["--suffix", "_restored"], ["--format", "webp"], ["--save-faces"], ["--repair", "suggest"]],
)
def test_a_name_that_the_disk_cannot_hold_is_one_photos_fault(options, tmp_path, astronaut, run):
    name = "x" * 251 + ".jpg"
    (tmp_path / "in").mkdir()
    astronaut.save(tmp_path / "in" / name)
    astronaut.save(tmp_path / "in/z.jpg")
    status, _, err = run(
        "restore", tmp_path / "in", "-o", tmp_path / "out", *options, "--no-report"
    )
    assert status == 1
    assert "expected a name that this disk can hold" in err
    made = read_manifest(tmp_path / "out/manifest.jsonl").items.values()
    assert sorted(line["status"] for line in made) == ["failed", "restored"]
    assert not (tmp_path / "out" / name).exists()


@pytest.mark.parametrize(
    ("place", "options", "flag"),
    [
        ("masks/box 1/portrait.png.png", ["--repair", "suggest"], "--repair"),
        ("masks/rocket.jpg.1.png", ["--repair", "suggest"], "--repair"),
        ("faces/rocket.jpg_00_before.png", ["--save-faces"], "--save-faces"),
    ],
)
def test_photos_in_the_places_of_crops_and_masks_are_refused(
    place, options, flag, photos, tmp_path, astronaut, run
):
    (photos / place).parent.mkdir(parents=True)
    astronaut.save(photos / place)
    status, _, err = run("restore", photos, "-o", tmp_path / "out", *options)
    assert status == 2
    assert f"{place} would be written where {flag} writes" in err
    folder = place.partition("/")[0]
    arguments = ("restore", photos, "-o", tmp_path / "out", *options, "--dry-run")
    assert run(*arguments, "--exclude", folder)[0] == 0
    assert run("restore", photos, "-o", tmp_path / "out", "--dry-run")[0] == 0
