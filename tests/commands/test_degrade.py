import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceren.commands.degrade import default_output, degrade, sheet
from faceren.commands.options import DegradeOptions
from faceren.degradation import Degradation, apply, files, item_seed
from faceren.degradation.files import Resize
from faceren.errors import ConfigError, MachineError, NothingToDoError
from faceren.files import sha256_of
from faceren.images import read_rgb
from tests.calls import degraded


def picture(width: int = 80, height: int = 80, seed: int = 1) -> Image.Image:
    rng = np.random.Generator(np.random.PCG64(seed))
    small = rng.integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Three photos in a small tree."""
    folder = tmp_path / "clean"
    (folder / "a" / "deep").mkdir(parents=True)
    picture(80, 80, 1).save(folder / "one.png")
    picture(96, 72, 2).save(folder / "a" / "two.jpg", quality=95)
    picture(70, 90, 3).save(folder / "a" / "deep" / "three.webp", lossless=True)
    return folder


def lines(output: Path) -> list[dict[str, Any]]:
    text = (output / "manifest.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def pngs(output: Path) -> dict[str, bytes]:
    return {p.relative_to(output).as_posix(): p.read_bytes() for p in output.rglob("*.png")}


def test_the_tree_is_mirrored_as_png(clean: Path, tmp_path: Path) -> None:
    results = degraded([clean], tmp_path / "out", task="full")
    assert [r.status for r in results] == ["degraded"] * 3
    assert sorted(pngs(tmp_path / "out")) == ["a/deep/three.png", "a/two.png", "one.png"]
    with Image.open(tmp_path / "out" / "a" / "two.png") as image:
        assert image.size == (96, 72)


def test_the_manifest_says_what_was_done(clean: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    degraded([clean], out, task="full", seed=7, compat=("swapped-jpeg",))
    header, *items = lines(out)
    assert header["command"] == "degrade"
    assert header["options"]["compat"] == ["swapped-jpeg"]
    assert set(header["libraries"]) == {"faceren", "numpy", "opencv", "pillow"}
    item = next(i for i in items if i["key"] == "one.png")
    assert item["input"] == str(clean / "one.png")
    assert item["input_sha256"] == sha256_of(clean / "one.png")
    assert item["output"] == str(out / "one.png")
    assert item["output_sha256"] == sha256_of(out / "one.png")
    assert (item["status"], item["task"], item["resize"]) == ("degraded", "full", None)
    assert item["seed"] == item_seed(7, "one.png")
    again = apply(read_rgb(clean / "one.png"), Degradation.from_json("full", item["degradation"]))
    assert np.array_equal(again, read_rgb(out / "one.png"))


@pytest.mark.parametrize(
    ("size", "expected", "by"), [(64, (85, 64), "area"), (128, (171, 128), "cubic")]
)
def test_the_shorter_side_is_scaled_and_the_filter_recorded(
    clean: Path, tmp_path: Path, size: int, expected: tuple[int, int], by: str
) -> None:
    degraded([clean / "a" / "two.jpg"], tmp_path / "out", task="jpeg", size=size)
    with Image.open(tmp_path / "out" / "two.png") as image:
        assert image.size == expected
    resize = lines(tmp_path / "out")[1]["resize"]
    assert resize == {"width": expected[0], "height": expected[1], "filter": by}


def test_processes_and_order_change_no_byte(clean: Path, tmp_path: Path) -> None:
    degraded([clean], tmp_path / "one", task="historic")
    degraded([clean], tmp_path / "two", task="historic", workers=2)
    assert pngs(tmp_path / "one") == pngs(tmp_path / "two")
    degraded([clean / "a"], tmp_path / "part", task="historic")  # other relative paths, other seeds
    assert pngs(tmp_path / "part")["two.png"] != pngs(tmp_path / "one")["a/two.png"]


def test_copies_are_numbered_and_differ(clean: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    degraded([clean / "one.png"], out, task="denoise", copies=3)
    assert sorted(pngs(out)) == ["one_1.png", "one_2.png", "one_3.png"]
    assert len(set(pngs(out).values())) == 3


def test_a_replay_gives_the_same_bytes(clean: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    degraded([clean], first, task="historic", size=100, copies=2)
    replayed = degrade([clean], again, DegradeOptions(replay=first / "manifest.jsonl", workers=1))
    assert replayed.warning == ""
    assert [r.status for r in replayed] == ["degraded"] * 6
    assert pngs(first) == pngs(again)
    degraded(
        [clean], tmp_path / "third", replay=again / "manifest.jsonl"
    )  # a replay can be replayed
    assert pngs(first) == pngs(tmp_path / "third")


def test_a_replay_names_what_changed_is_missing_or_unknown(clean: Path, tmp_path: Path) -> None:
    degraded([clean], tmp_path / "first", task="jpeg")
    picture(80, 80, 9).save(clean / "one.png")
    (clean / "a" / "two.jpg").unlink()
    picture().save(clean / "new.png")
    results = degraded([clean], tmp_path / "again", replay=tmp_path / "first" / "manifest.jsonl")
    reasons = {r.job.relative: (r.status, r.reason) for r in results}
    assert reasons["a/deep/three.webp"] == ("degraded", "")
    assert "has changed since the manifest" in reasons["one.png"][1]
    assert "not among the inputs" in reasons["a/two.jpg"][1]
    assert "does not say what to do" in reasons["new.png"][1]
    assert list(pngs(tmp_path / "again")) == ["a/deep/three.png"]


def test_a_replay_warns_of_other_versions_and_of_other_bytes(clean: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    degraded([clean / "one.png"], first, task="jpeg")
    header, item = lines(first)
    header["libraries"]["opencv"] = "4.0.0"
    item["degradation"][0]["quality"] = 90
    (first / "manifest.jsonl").write_text(json.dumps(header) + "\n" + json.dumps(item) + "\n")
    again = DegradeOptions(replay=first / "manifest.jsonl")
    replayed = degrade([clean / "one.png"], tmp_path / "again", again)
    assert "opencv 4.0.0, here" in replayed.warning
    (result,) = replayed
    assert result.status == "degraded"
    assert "not to the same bytes" in result.reason


def edited(first: Path, **changes: object) -> Path:
    header, item = lines(first)
    path = first / "edited.jsonl"
    path.write_text(json.dumps(header) + "\n" + json.dumps(item | changes) + "\n")
    return path


def test_a_line_with_a_mistake_fails_alone(clean: Path, tmp_path: Path) -> None:
    degraded([clean / "one.png"], tmp_path / "first", task="jpeg")
    for changes, message in (
        ({"degradation": [{"op": "Jpeg", "quality": 400}]}, "expected int from 1 to 100"),
        ({"resize": {"width": 5}}, "resize: expected width, height and filter"),
    ):
        path = edited(tmp_path / "first", **changes)
        (result,) = degraded([clean / "one.png"], tmp_path / "again", replay=path)
        assert result.status == "failed"
        assert message in result.reason


def test_a_manifest_cannot_write_outside_the_output(clean: Path, tmp_path: Path) -> None:
    degraded([clean / "one.png"], tmp_path / "first", task="jpeg")
    path = edited(tmp_path / "first", key="../../evil.png")
    (result,) = degraded([clean / "one.png"], tmp_path / "again", replay=path)
    assert result.status == "failed"
    assert "does not say what to do" in result.reason
    assert not (tmp_path / "evil.png").exists()


def test_other_files_are_no_manifest(clean: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"format_version": 1, "command": "restore"}\n')
    with pytest.raises(ConfigError, match="expected a manifest of 'degrade'"):
        degraded([clean], tmp_path / "out", replay=other)
    other.write_text('{"format_version": 99}\n')
    with pytest.raises(ConfigError, match="manifest format 99"):
        degraded([clean], tmp_path / "out", replay=other)
    with pytest.raises(ConfigError, match="no such file"):
        degraded([clean], tmp_path / "out", replay=tmp_path / "nowhere.jsonl")


def test_a_second_run_does_only_what_changed(clean: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    degraded([clean], out, task="full")
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    assert {r.status for r in degraded([clean], out, task="full")} == {"skipped"}
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("*.png")}
    (out / "one.png").unlink()
    picture(80, 80, 9).save(clean / "a" / "two.jpg")
    again = {r.job.key: r.status for r in degraded([clean], out, task="full")}
    assert again == {"one.png": "degraded", "a/two.png": "degraded", "a/deep/three.png": "skipped"}


def test_other_settings_or_overwrite_do_everything_anew(clean: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    degraded([clean / "one.png"], out, task="full")
    for options in ({"task": "jpeg"}, {"seed": 1}, {"compat": ("area",)}, {"size": 64}):
        (result,) = degraded([clean / "one.png"], out, **({"task": "full"} | options))
        assert result.status == "degraded"
    (result,) = degraded([clean / "one.png"], out, task="full", size=64, overwrite=True)
    assert result.status == "degraded"


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_files_are_reported_and_the_rest_is_done(
    clean: Path, tmp_path: Path, workers: int
) -> None:
    (clean / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (clean / "text.png").write_text("hello")
    picture(63, 200).save(clean / "small.png")
    out = tmp_path / "out"
    results = {r.job.relative: r for r in degraded([clean], out, task="jpeg", workers=workers)}
    failed = {name for name, r in results.items() if r.status == "failed"}
    assert failed == {"broken.jpg", "text.png", "small.png"}
    assert "small.png: 63×200 pixels, expected at least 64" in results["small.png"].reason
    assert len(pngs(out)) == 3
    assert [i["output"] for i in lines(out)[1:] if i["status"] == "failed"] == [None] * 3


def test_alpha_gray_cmyk_and_16_bit_become_rgb(tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    clean.mkdir()
    picture().convert("RGBA").save(clean / "alpha.png")
    picture().convert("L").save(clean / "gray.png")
    picture().convert("CMYK").save(clean / "cmyk.jpg")
    deep = np.arange(6400, dtype=np.uint16).reshape(80, 80) * 10
    Image.fromarray(deep).save(clean / "deep.png")
    assert {r.status for r in degraded([clean], tmp_path / "out", task="full")} == {"degraded"}
    for path in (tmp_path / "out").iterdir():
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert (image.mode, image.size) == ("RGB", (80, 80))


def test_the_output_may_not_be_or_lie_in_the_input(clean: Path) -> None:
    with pytest.raises(ConfigError, match="originals are never written to"):
        degraded([clean], clean, task="full")
    with pytest.raises(ConfigError, match="lies inside the input"):
        degraded([clean], clean / "out", task="full")
    assert degraded([clean], clean / "out", task="full", exclude=("out",))


def test_two_photos_for_one_output_are_refused(clean: Path, tmp_path: Path) -> None:
    picture().save(clean / "one.bmp")
    with pytest.raises(ConfigError, match="would both be written to"):
        degraded([clean], tmp_path / "out", task="full")
    other = tmp_path / "other"
    other.mkdir()
    picture().save(other / "two.jpg")
    with pytest.raises(ConfigError, match="same place below their folders"):
        degraded([clean / "a", other], tmp_path / "out", task="full")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "historc"}, "unknown task 'historc'; did you mean 'historic'"),
        ({}, "either --task or --replay"),
        ({"task": "full", "replay": Path("x")}, "either --task or --replay"),
        ({"task": "full", "size": 32}, "--size: expected 'keep' or int .* 64.*, got 32"),
        ({"task": "full", "copies": 0}, "--copies: expected int .* 1.*, got 0"),
        ({"task": "full", "compat": ("offline-once",), "copies": 2}, "give --copies 1"),
        ({"task": "full", "compat": ("ara",)}, "did you mean 'area'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    clean: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        degraded([clean], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToDoError, match="no image found"):
        degraded([tmp_path / "empty"], tmp_path / "out", task="full")
    with pytest.raises(ConfigError, match="no such file or folder"):
        degraded([tmp_path / "nowhere"], tmp_path / "out", task="full")


def test_a_folder_of_another_command_is_refused(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.jsonl").write_text(
        '{"format_version": 1, "command": "restore"}\n'
    )
    with pytest.raises(ConfigError, match="holds the manifest of 'restore'"):
        degraded([clean], tmp_path / "out", task="full")


def test_a_full_disk_ends_the_run(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MachineError("cannot write: no space left")

    monkeypatch.setattr("faceren.degradation.files.write_png", full)
    with pytest.raises(MachineError, match="no space left"):
        degraded([clean], tmp_path / "out", task="full")


def test_a_run_has_a_length_and_a_default_output(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    planned = degrade([clean], None, DegradeOptions(task="jpeg", workers=1))
    assert len(planned) == 3
    assert planned.output == Path("clean_jpeg")
    assert len(list(planned)) == 3
    assert default_output([clean / "one.png"], "full") == Path("one_full")


def test_a_run_that_is_left_half_way_goes_on_later(clean: Path, tmp_path: Path) -> None:
    started = degrade([clean], tmp_path / "out", DegradeOptions(task="full", workers=1))
    next(iter(started))
    started.results.close()  # type: ignore[attr-defined]  # a generator, as Ctrl-C would leave it
    statuses = [r.status for r in degraded([clean], tmp_path / "out", task="full", size=512)]
    assert sorted(statuses) == ["degraded", "degraded", "skipped"]


def test_resize_is_none_when_nothing_is_needed() -> None:
    image = np.zeros((512, 600, 3), np.uint8)
    assert Resize.to_side(image, 512) is None
    assert Resize.to_side(image, None) is None
    assert Resize.to_side(image, 256) == Resize(width=300, height=256, filter="area")


def test_the_sheet_shows_every_task(clean: Path, tmp_path: Path) -> None:
    written = sheet([clean], tmp_path / "sheet.png", limit=2, cell=64)
    page = read_rgb(written)
    assert page.shape == (8 + 4 * (64 + 16 + 8), 8 + 8 * (64 + 8), 3)
    # no cell is empty, and no two of one face are alike
    cells = [
        page[8 + 16 + r * 88 :, 8 + c * 72 :][:64, :64].tobytes()
        for r in range(4)
        for c in range((8, 7)[r % 2])  # the clean face and the tasks, then the presets
    ]
    assert len(set(cells)) == 30
    assert sheet([clean], tmp_path / "again.png", limit=2, cell=64).read_bytes() == (
        written.read_bytes()
    )


def test_sheet_arguments_are_checked(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a limit from 1"):
        sheet([clean], tmp_path / "s.png", limit=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToDoError, match="no image"):
        sheet([tmp_path / "empty"], tmp_path / "s.png")


def test_a_dead_worker_is_a_clear_error(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "degrade_file", _die)
    with pytest.raises(MachineError, match="a worker process died"):
        degraded([clean], tmp_path / "out", task="full", workers=2)


def _die(job: object) -> None:
    os._exit(1)


def test_a_worker_loads_no_torch() -> None:
    code = "import sys, faceren.degradation.files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
