"""Whole photos through ``restore``: enlarged, renovated, failed, with odd names, interrupted."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from faceren.commands.one import restore_face
from faceren.commands.options import RunOptions
from faceren.commands.review import revert
from faceren.errors import MachineError
from faceren.runs.lists import Choice
from faceren.runs.manifest import read_manifest
from tests.calls import restored
from tests.schema import wrong


@pytest.fixture
def astronaut(astronaut):
    """A portrait of 224×224 pixels, the face about 100 wide."""
    return Image.fromarray(astronaut[:224, 110:334])


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_photo_is_enlarged_and_its_face_with_it(astronaut, tmp_path):
    astronaut.save(tmp_path / "a.png", dpi=(300, 300))
    (plain,) = restored([tmp_path / "a.png"], tmp_path / "plain")
    (result,) = restored([tmp_path / "a.png"], tmp_path / "out", scale=2)
    with Image.open(result.output) as image:
        assert image.size == (448, 448)
        assert image.info["dpi"] == pytest.approx((600, 600), abs=0.02)
    assert result.faces[0].box == pytest.approx(plain.faces[0].box)
    assert result.faces[0].landmarks == pytest.approx(np.array(plain.faces[0].landmarks))
    lanczos = np.asarray(astronaut.resize((448, 448), Image.Resampling.LANCZOS), float)
    after = pixels(result.output).astype(float)
    x0, y0, x1, y1 = (round(2 * edge) for edge in result.faces[0].box)
    far = after[-60:, :60] - lanczos[-60:, :60]
    assert np.abs(far).mean() < 1.5
    assert np.abs(after - lanczos)[y0:y1, x0:x1].mean() > 1.5 * np.abs(far).mean()


def test_a_photo_without_a_face_is_enlarged_too(tmp_path):
    deep = np.linspace(0, 65535, 40 * 60).astype(np.uint16).reshape(40, 60)
    tifffile.imwrite(tmp_path / "a.tif", deep)
    (result,) = restored([tmp_path / "a.tif"], tmp_path / "out", scale=4)
    after = tifffile.imread(result.output)
    assert (result.status, after.shape, after.dtype) == ("no_face", (160, 240), np.uint16)
    assert b"RestoredBy" not in result.output.read_bytes()


def test_an_enlarged_photo_beyond_the_limit_fails_with_its_size(tmp_path):
    Image.new("L", (60, 40)).save(tmp_path / "a.png")
    (result,) = restored([tmp_path / "a.png"], tmp_path / "out", scale=4, max_pixels=9999)
    assert result.status == "failed"
    assert "240×160 = 38,400 pixels" in result.reason


def test_the_background_is_renovated_and_said_so(tmp_path):
    rocket = Image.fromarray(data.rocket()[::2, ::2])
    rocket.save(tmp_path / "a.png")
    (result,) = restored([tmp_path / "a.png"], tmp_path / "out", background="renovate")
    changed = pixels(result.output) != np.asarray(rocket)
    assert result.status == "no_face"
    assert changed.any(axis=2).mean() > 0.3
    assert b"RestoredBy" in result.output.read_bytes()


def test_a_face_is_the_same_on_a_renovated_background(astronaut, tmp_path):
    astronaut.save(tmp_path / "a.png")
    (plain,) = restored([tmp_path / "a.png"], tmp_path / "plain")
    (whole,) = restored([tmp_path / "a.png"], tmp_path / "whole", background="renovate")
    x, y = (round(v) for v in plain.faces[0].landmarks[2])
    nose = (slice(y - 8, y + 8), slice(x - 8, x + 8))
    np.testing.assert_array_equal(pixels(whole.output)[nose], pixels(plain.output)[nose])
    assert (pixels(whole.output) != pixels(plain.output)).mean() > 0.1


def test_an_output_that_was_retouched_is_kept_beside_the_new_one(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    (first,) = restored([tmp_path / "a.png"], tmp_path / "out")
    made = first.output.read_bytes()
    first.output.write_bytes(made + b"by hand")
    (second,) = restored([tmp_path / "a.png"], tmp_path / "out")
    assert second.output.read_bytes() == made
    kept = tmp_path / "out" / ".stale" / "a.png"
    assert kept.read_bytes() == made + b"by hand"
    assert second.warnings[0].endswith(f"as it was it is kept in {kept}")


def test_a_photo_that_fails_later_leaves_no_earlier_output_in_place(astronaut, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "box").mkdir(parents=True)
    astronaut.save(folder / "box" / "a.jpg")
    (first,) = restored([folder], out)
    earlier = first.output.read_bytes()
    spoilt = (folder / "box" / "a.jpg").read_bytes()[:2000]
    (folder / "box" / "a.jpg").write_bytes(spoilt)
    (second,) = restored([folder], out, strength=0.5)
    assert second.status == "failed"
    assert not second.output.exists()
    assert (out / ".stale/box/a.jpg").read_bytes() == earlier
    assert f"moved to {out / '.stale/box/a.jpg'}" in second.reason
    line = read_manifest(out / "manifest.jsonl").items["box/a.jpg"]
    assert (line["status"], line["output"]) == ("failed", None)
    assert (folder / "box" / "a.jpg").read_bytes() == spoilt


NAMES = [
    "a b.png",
    "großmutter 👵🏽.png",
    "new\nline.png",
    "[b]{c}(d).png",
    "-o.png",
    "x" * 251 + ".png",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_come_through(name, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("L", (40, 40)).save(folder / "plain.png")
    (folder / "plain.png").rename(folder / name)
    (result,) = restored([folder], tmp_path / "out", scale=2)
    assert result.status == "no_face"
    assert pixels(tmp_path / "out" / name).shape == (80, 80)
    assert list(read_manifest(tmp_path / "out/manifest.jsonl").items) == [name]
    assert restored([folder], tmp_path / "out", scale=2)[0].status == "skipped"


def test_a_name_that_is_nothing_but_suffix_comes_through(tmp_path):
    path = tmp_path / ("a." + "b" * 253)
    Image.new("L", (40, 40)).save(path, format="PNG")
    (result,) = restored([path], tmp_path / "out")
    assert result.output.read_bytes() == path.read_bytes()


def test_a_photo_that_vanishes_or_changes_during_the_run_fails_alone(tmp_path, monkeypatch):
    from faceren.restoration import pipeline

    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("changed", "kept", "vanished"):
        Image.new("L", (40, 40)).save(folder / f"{name}.png")
    finish = pipeline.finish

    def later(prepared, *arguments, **options):
        if prepared.job.source.stem == "vanished":
            prepared.job.source.unlink()
        if prepared.job.source.stem == "changed":
            prepared.job.source.write_bytes(b"something else")
        return finish(prepared, *arguments, **options)

    monkeypatch.setattr(pipeline, "finish", later)
    results = {result.key: result for result in restored([folder], tmp_path / "out")}
    assert "changed during the run" in results["changed.png"].reason
    assert "no such file" in results["vanished.png"].reason
    assert [results[key].status for key in sorted(results)] == ["failed", "no_face", "failed"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["kept.png"]


@pytest.fixture
def no_large_files():
    """Writing more than 100 KB into a file fails, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_full_disk_stops_the_run_in_one_line_and_leaves_no_piece(tmp_path, suffix, request):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a.{suffix}")
    request.getfixturevalue("no_large_files")
    with pytest.raises(MachineError, match=r"out/a\..*File too large; free space"):
        restored([tmp_path / f"a.{suffix}"], tmp_path / "out")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"manifest.jsonl", ".faceren-lock", ".faceren-planned"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_an_output_that_cannot_be_replaced_stops_the_run(tmp_path):
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o500)
    with pytest.raises(MachineError, match="cannot be written"):
        restored([tmp_path / "a.png"], tmp_path / "out")


def test_a_read_only_output_of_an_earlier_run_is_replaced(tmp_path):
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    (result,) = restored([tmp_path / "a.png"], tmp_path / "out")
    result.output.chmod(0o400)
    (again,) = restored([tmp_path / "a.png"], tmp_path / "out", scale=2)
    assert pixels(again.output).shape == (80, 80)


def test_a_loop_of_links_ends(astronaut, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("L", (40, 40)).save(folder / "a.png")
    (folder / "again").symlink_to(folder)
    (folder / "self.png").symlink_to("self.png")
    results = {result.key: result for result in restored([folder], tmp_path / "out")}
    assert {key: result.status for key, result in results.items()} == {
        "a.png": "no_face",
        "self.png": "failed",
    }


def test_pipes_and_devices_fail_and_stop_nothing(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("L", (40, 40)).save(folder / "a.png")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "zero.jpg").symlink_to("/dev/zero")
    for status in ("no_face", "skipped"):
        good, *bad = restored([folder], tmp_path / "out")
        assert good.status == status
        assert [result.status for result in bad] == ["failed", "failed"]
        assert all("no regular file" in result.reason for result in bad)


def test_thousands_of_other_files_are_no_photos(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(5000):
        (folder / f"{index}.txt").touch()
    Image.new("L", (40, 40)).save(folder / "a.png")
    assert [result.key for result in restored([folder], tmp_path / "out")] == ["a.png"]


def test_each_page_of_a_tiff_is_restored(astronaut, tmp_path):
    gray = np.asarray(astronaut.convert("L"))
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.asarray(astronaut))
        file.write(gray.astype(np.uint16) * 257)
        file.write(np.zeros((50, 60), np.uint8))
    (result,) = restored([tmp_path / "a.tif"], tmp_path / "out")
    assert len(result.faces) == 2
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(result.output) as after:
        pairs = [(a.asarray(), b.asarray()) for a, b in zip(before.pages, after.pages, strict=True)]
    assert [(a.shape, a.dtype) for a, _ in pairs] == [(b.shape, b.dtype) for _, b in pairs]
    assert [bool((a != b).any()) for a, b in pairs] == [True, True, False]


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "bmp"])
def test_pixels_outside_the_mask_are_bit_identical(astronaut, suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    wide = Image.new("RGB", (500, 224), (90, 120, 40))
    wide.paste(astronaut, (20, 0))
    lossless = {"lossless": True, "exact": True} if suffix == "webp" else {}
    wide.save(path, **lossless)
    (result,) = restored([path], tmp_path / "out")
    before, after = pixels(path), pixels(result.output)
    np.testing.assert_array_equal(after[:, 300:], before[:, 300:])
    assert (after != before).any()


def test_memory_for_one_photo_at_a_time_changes_no_byte(astronaut, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(4):
        astronaut.rotate(3 * index).save(folder / f"{index}.png")
    restored([folder], tmp_path / "many", workers=3)
    results = restored([folder], tmp_path / "few", max_memory="1M")  # less than one takes
    for result in results:
        assert result.output.read_bytes() == (tmp_path / "many" / result.key).read_bytes()


@pytest.mark.parametrize("background", ["keep", "renovate"])
def test_faces_made_one_at_a_time_change_no_byte(astronaut, tmp_path, run, monkeypatch, background):
    pixels = np.asarray(astronaut.crop((120, 10, 330, 220)))
    two = Image.fromarray(np.hstack([pixels, pixels[:, ::-1]]))  # their crops overlap
    (tmp_path / "in").mkdir()
    two.save(tmp_path / "in" / "a.tif", save_all=True, append_images=[two.rotate(10)])
    command = ["restore", tmp_path / "in", "--save-faces", "--background", background]
    command += ["--model", "compact", "--device", "cpu"]
    for name, most in (("many", 0), ("few", 1 << 28)):
        monkeypatch.setattr("faceren.restoration.photo.MOST_CROPS", most)
        assert run(*command, "-o", tmp_path / name)[0] == 0
    many, few = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
        for out in (tmp_path / "many", tmp_path / "few")
    )
    texts = {Path("manifest.jsonl"), Path("report.html")}  # which tell times and folders
    assert set(many) == set(few)
    assert {name for name in many if many[name] != few[name]} <= texts
    assert len([name for name in many if name.parts[0] == "faces"]) == 2 * 2
    faces = [json.loads(text)["faces"] for text in last_lines(tmp_path, "many", "few")]
    times = [[face.pop("ms") for face in found] for found in faces]
    assert faces[0] == faces[1]
    assert all(ms > 0 for found in times for ms in found)


def last_lines(folder, *names):
    """The line of the only photo in the manifest of each run."""
    return [(folder / name / "manifest.jsonl").read_text().splitlines()[-1] for name in names]


@pytest.mark.parametrize("folder", ["", "box", "faces/box", "report"])
@pytest.mark.parametrize("is_done", [False, True])
def test_leftovers_of_a_killed_run_are_removed(folder, is_done, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    if is_done:
        restored([tmp_path / "a.png"], out)
    place = out / folder
    place.mkdir(parents=True, exist_ok=True)
    dead, living = place / f".faceren-{process.pid}-x.png", place / f".faceren-{os.getpid()}-x.png"
    dead.touch()
    living.touch()
    restored([tmp_path / "a.png"], out)
    assert not dead.exists()
    assert living.exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_it_resumes_to_the_same_bytes(astronaut, tmp_path, seed):
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "box").mkdir(parents=True)
    for index, suffix in enumerate(("png", "jpg", "tif", "webp", "bmp")):
        astronaut.rotate(2 * index).save(folder / f"{index}.{suffix}")
    astronaut.save(folder / "box" / "5.png")
    command = [sys.executable, "-m", "faceren", "restore", str(folder), "-o", str(out)]
    command += ["--save-faces", "--device", "cpu", "--quiet"]

    def files():
        return {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.suffix != ".jsonl"}

    subprocess.run(command, check=True)
    calm = files()
    shutil.rmtree(out)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        process = subprocess.Popen(command)
        wanted = rng.integers(len(calm) + 1)
        while process.poll() is None and len(list(out.rglob("*.*"))) < wanted:
            time.sleep(0.002)
        time.sleep(float(rng.uniform(0, 0.1)))
        process.kill()
        process.wait()
    subprocess.run(command, check=True)
    assert files() == calm  # the page, the crops and their pictures too, and nothing half-done


def test_files_of_no_known_kind_are_counted_and_named(tmp_path, run):
    (tmp_path / "in").mkdir()
    Image.new("L", (40, 40)).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.png.xmp").write_text("sidecar")
    for name in ("manifest.jsonl", "faceren.toml"):  # which are faceren's own
        (tmp_path / "in" / name).touch()
    status, stdout, stderr = run("restore", tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert status == 0
    assert "1 file is of no kind that is restored: a.png.xmp" in stderr
    last = json.loads(stdout.splitlines()[-1])
    assert last == {"left_out": [str(tmp_path / "in" / "a.png.xmp")]}


def test_what_a_format_cannot_hold_is_said_before_the_work_and_in_the_manifest(tmp_path, run):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (17000, 20)).save(tmp_path / "in" / "wide.jpg")
    status, _, stderr = run(
        "restore", tmp_path / "in", "-o", tmp_path / "out", "--format", "webp", "--no-report"
    )
    assert status == 1
    assert "16383" in stderr


def test_a_name_is_one_name_however_its_accents_are_written(tmp_path, run):
    (tmp_path / "in").mkdir()
    decomposed, composed = "Jose\u0301.png", "Jos\u00e9.png"
    Image.new("L", (40, 40)).save(tmp_path / "in" / decomposed)
    (tmp_path / "list.txt").write_text(composed + "\n", encoding="utf-8")
    out = tmp_path / "out"
    status, _, stderr = run("restore", tmp_path / "in", "-o", out, "--only", tmp_path / "list.txt")
    assert status == 0, stderr
    assert (out / decomposed).exists()


def test_outputs_keep_the_times_of_their_originals_if_asked(tmp_path, run):
    source = tmp_path / "a.png"
    Image.new("L", (40, 40)).save(source)
    os.utime(source, (1_000_000_000, 1_000_000_000))
    assert run("restore", source, "-o", tmp_path / "out", "--keep-times")[0] == 0
    assert (tmp_path / "out" / "a.png").stat().st_mtime == 1_000_000_000


@pytest.fixture
def mixed(astronaut, tmp_path):
    """A folder with a face of 72 pixels' width, one of 179, and none."""
    folder = tmp_path / "in"
    folder.mkdir()
    astronaut.resize((180, 180)).save(folder / "small.jpg", quality=95, dpi=(300, 300))
    astronaut.resize((448, 448)).save(folder / "large.png")
    Image.new("RGB", (60, 40), (90, 120, 40)).save(folder / "none.png")
    return folder


def test_a_photo_is_enlarged_where_its_faces_are_small(mixed, tmp_path):
    auto = {result.key: result for result in restored([mixed], tmp_path / "auto", scale="auto")}
    for name, scale in (("small.jpg", 2), ("large.png", 1), ("none.png", 1)):
        (fixed,) = restored([mixed / name], tmp_path / str(scale), scale=scale)
        assert auto[name].output.read_bytes() == fixed.output.read_bytes()
        assert auto[name].to_json()["scale"] == scale
        faces = [[replace(face, ms=0) for face in r.faces] for r in (auto[name], fixed)]
        assert faces[0] == faces[1]
        assert auto[name].size == fixed.size
    assert (auto["none.png"].status, auto["none.png"].warnings) == ("no_face", ())
    assert auto["none.png"].output.read_bytes() == (mixed / "none.png").read_bytes()
    with Image.open(auto["small.jpg"].output) as image:
        assert (image.size, image.info["dpi"]) == ((360, 360), (600, 600))
    assert auto["small.jpg"].faces[0].box[2] < 180  # in pixels of the original


def test_what_was_enlarged_by_its_faces_is_recorded_resumed_and_verified(mixed, tmp_path, run):
    out = tmp_path / "out"
    command = ["restore", mixed, "-o", out, "--scale", "auto", "--device", "cpu"]
    assert run(*command)[0] == 0
    written = {path: path.read_bytes() for path in out.glob("*.*g")}
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert lines[0]["options"]["scale"] == "auto"
    assert {line["key"]: line["scale"] for line in lines[1:]} == {
        "large.png": 1,
        "none.png": 1,
        "small.jpg": 2,
    }
    assert all(wrong(line) == [] for line in lines)
    assert "nothing has changed since the last run" in run(*command)[2]
    assert run("restore", "--verify", out)[0] == 0
    facts = (out / "report.html").read_text()
    assert "<dt>Enlarged</dt><dd>twice, where faces are small</dd>" in facts
    suggested = json.loads(re.search(r'id="data">(.*?)</', facts)[1])["commands"]
    assert suggested["weaker"].endswith("--only weaker.txt --strength 0.6 --scale auto")
    (tmp_path / "again.txt").write_text("small.jpg\n")
    only = ["restore", "-o", out, "--only", tmp_path / "again.txt", "--scale", "auto"]
    assert run(*only, "--strength", "0.5", "--device", "cpu")[0] == 0
    assert pixels(out / "small.jpg").shape == (360, 360, 3)
    assert run(*only, "--device", "cpu")[0] == 0
    assert {path: path.read_bytes() for path in out.glob("*.*g")} == written


def test_single_faces_of_what_was_enlarged_are_taken_back_and_made_anew(astronaut, tmp_path):
    two = Image.new("RGB", (400, 180))
    two.paste(astronaut.resize((180, 180)))
    two.paste(astronaut.resize((180, 180)).transpose(Image.Transpose.FLIP_LEFT_RIGHT), (220, 0))
    two.save(tmp_path / "a.png")
    out = tmp_path / "out"
    (result,) = restored([tmp_path / "a.png"], out, scale="auto", model="compact")
    (plain,) = restored([tmp_path / "a.png"], tmp_path / "plain", scale=2, strength=0.0)
    full, grown = pixels(result.output), pixels(plain.output)
    left = next(n for n, face in enumerate(result.faces) if face.box[0] < 200)
    assert [taken.status for taken in revert(out, [Choice("a.png", left)]).results] == ["reverted"]
    now = pixels(out / "a.png")
    np.testing.assert_array_equal(now[:, :400], grown[:, :400])
    np.testing.assert_array_equal(now[:, 400:], full[:, 400:])
    restore_face(out, "a.png", left, 1.0, RunOptions(device="cpu", model="compact"))
    assert np.abs(pixels(out / "a.png").astype(int) - full).max() <= 1
    line = read_manifest(out / "manifest.jsonl").items["a.png"]
    assert (line["scale"], [face.get("reverted") for face in line["faces"]]) == (2, [None, None])
    list(revert(out, [Choice("a.png")]).results)
    assert (out / "a.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_a_limit_that_keeps_a_photo_as_it_is_is_said_and_another_limit_makes_it_anew(
    mixed, tmp_path
):
    photo, out = mixed / "small.jpg", tmp_path / "out"
    most = 4 * 180 * 180
    (kept,) = restored([photo], out, scale="auto", max_pixels=most - 1)
    (once,) = restored([photo], tmp_path / "once")
    limit = f"{most:,} pixels, more than the limit of {most - 1:,}"
    assert kept.warnings == (f"not enlarged, it would have {limit}",)
    assert kept.to_json()["scale_reason"].endswith(f"enlarged it would have {limit}")
    assert kept.output.read_bytes() == once.output.read_bytes()
    again = [restored([photo], out, scale="auto", max_pixels=n)[0] for n in (most - 1, most, 2**28)]
    assert [result.status for result in again] == ["skipped", "restored", "restored"]
    assert [result.to_json()["scale"] for result in again] == [1, 2, 2]
