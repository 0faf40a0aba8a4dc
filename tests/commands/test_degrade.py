import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceren.commands.degrade import default_output, degrade, sheet
from faceren.commands.options import DegradeOptions
from faceren.degradation import TASKS, Degradation, apply, files, item_seed
from faceren.degradation.files import ROWS, Resize
from faceren.errors import ConfigError, MachineError, NothingToDoError
from faceren.files import sha256_of
from faceren.images import read_rgb
from faceren.runs.storage import Storage, Stored
from faceren.runs.stored import Stage
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
        for c in range(8)
    ]
    assert len(set(cells)) == 32
    assert {*ROWS[0], *ROWS[1]} == {"clean", *TASKS}
    assert sheet([clean], tmp_path / "again.png", limit=2, cell=64).read_bytes() == (
        written.read_bytes()
    )


def test_a_sheet_replaces_none_of_its_photos(clean: Path, tmp_path: Path) -> None:
    photo = next(path for path in sorted(clean.rglob("*")) if path.is_file())
    twin = tmp_path / "photo.png"
    twin.write_bytes(photo.read_bytes())
    with pytest.raises(ConfigError, match="expected another file than the photos"):
        sheet([clean, tmp_path], twin, limit=1)
    with pytest.raises(ConfigError, match=r"ending in \.png, got 'sheet'"):
        sheet([clean], tmp_path / "sheet")
    assert twin.read_bytes() == photo.read_bytes()


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


def merged(lines_of: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of a record without what only one of its parts has."""
    return [{k: v for k, v in line.items() if k != "shard"} for line in lines_of]


def test_three_parts_merged_are_the_single_run(clean: Path, tmp_path: Path, run: Any) -> None:
    for number in range(9):
        picture(64, 64, 10 + number).save(clean / f"{number}.png")
    how = ("--task", "full", "--size", "64", "--copies", "2", "--workers", "1")
    out, one = tmp_path / "out", tmp_path / "one"
    assert run("degrade", clean, "-o", out, *how)[0] == 0
    single, record = pngs(out), lines(out)
    shutil.rmtree(out)
    made: list[set[str]] = []
    for index in range(3):
        said = run("degrade", clean, "-o", out, *how, "--shard", f"{index}/3")[2]
        assert f"when all parts have ended: faceren degrade --merge {out}" in said
        made.append(set(pngs(out)) - set().union(*made))
    assert all(made)
    status, _, said = run("degrade", clean, "-o", out, *how)
    assert (
        status,
        f"not yet merged; when all of them are done: faceren degrade --merge {out}",
    ) == (
        2,
        said[said.index("not yet") :].strip(),
    )
    status, _, said = run("restore", "--merge", out)
    assert (status, "is one of a run of 'degrade': faceren degrade --merge" in said) == (2, True)
    status, _, said = run("degrade", "--merge", out)
    assert (status, said) == (0, f"3 shards, 24 photos: 24 degraded; in {out}\n")
    assert pngs(out) == single
    assert merged(lines(out)) == record
    assert not (out / ".shards").exists()
    assert "24 photos: 0 degraded, 24 skipped" in run("degrade", clean, "-o", out, *how)[2]
    for index in range(2):
        run("degrade", clean, "-o", tmp_path / f"p{index}", *how, "--shard", f"{index}/2")
    assert run("degrade", "--merge", tmp_path / "p0", tmp_path / "p1", "-o", one)[0] == 0
    assert pngs(one) == single


def test_parts_of_other_libraries_are_not_merged(clean: Path, tmp_path: Path, run: Any) -> None:
    for index in range(2):
        degraded([clean], tmp_path / "out", task="jpeg", shard=f"{index}/2")
    part = tmp_path / "out" / ".shards" / "1-of-2.jsonl"
    part.write_text(re.sub('"opencv": "[^"]*"', '"opencv": "1.0"', part.read_text()))
    status, _, said = run("degrade", "--merge", tmp_path / "out")
    assert (status, "shards 0/2 and 1/2 differ in opencv: '" in said) == (2, True)


@pytest.fixture
def store(clean: Path, memory: Any) -> Any:
    """The same photos in a store, and one that is damaged."""
    for path in clean.rglob("*.*"):
        memory.pipe_file(f"/a/clean/{path.relative_to(clean).as_posix()}", path.read_bytes())
    memory.pipe_file("/a/clean/damaged.jpg", b"no photo")
    return memory


def objects(memory: Any) -> dict[str, bytes]:
    return {name.removeprefix("/a/out/"): memory.cat_file(name) for name in memory.find("/a/out")}


STORED = ("degrade", "memory://a/clean", "-o", "memory://a/out", "--task", "full", "--size", "64")


def test_a_store_gets_what_a_disk_gets(
    clean: Path, tmp_path: Path, store: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean / "damaged.jpg").write_bytes(b"no photo")
    degraded([clean], tmp_path / "out", task="full", size=64)
    originals = {name: store.cat_file(name) for name in store.find("/a/clean")}
    status, _, said = run(*STORED)
    assert status == 1
    assert "error: memory://a/clean/damaged.jpg: expected a JPEG, PNG" in said
    assert "4 photos: 3 degraded, 0 skipped, 1 failed; in memory://a/out" in said
    made = objects(store)
    record = made.pop("manifest.jsonl").decode().splitlines()
    assert made == pngs(tmp_path / "out")
    header, *items = map(json.loads, record)
    assert header == lines(tmp_path / "out")[0]
    places = ("input", "output", "reason", "stored")
    for item, line in zip(items, lines(tmp_path / "out")[1:], strict=True):
        assert {k: v for k, v in item.items() if k not in places} == {
            k: v for k, v in line.items() if k not in places
        }
        assert item["input"] == f"memory://a/clean/{item['relative']}"
    assert {name: store.cat_file(name) for name in store.find("/a/clean")} == originals
    monkeypatch.setattr(Stage, "put", lambda *_: pytest.fail("was done again"))
    assert "4 photos: 0 degraded, 3 skipped, 1 failed" in run(*STORED)[2]


def test_parts_in_a_store_and_a_replay_from_one(store: Any, run: Any) -> None:
    run(*STORED)
    single = objects(store)
    store.rm("/a/out", recursive=True)
    for index in range(2):
        said = run(*STORED, "--shard", f"{index}/2")[2]
        assert "when all parts have ended: faceren degrade --merge memory://a/out" in said
    status, _, said = run("restore", "memory://a/clean", "-o", "memory://a/out")
    assert (status, "holds the records of shards 0/2, 1/2 (this is 0/1)" in said) == (2, True)
    assert run("degrade", "--merge", "memory://a/out")[0] == 0
    made = objects(store)
    version = re.compile(rb'"output": "[0-9.]+, ')  # a new object has another one
    assert {k: version.sub(b"", v) for k, v in made.items()} == {
        k: version.sub(b"", v) for k, v in single.items()
    }
    status, _, said = run("restore", "memory://a/clean", "-o", "memory://a/out")
    assert (status, "-o memory://a/out holds the manifest of 'degrade'" in said) == (2, True)
    replay = ("degrade", "memory://a/clean", "-o", "memory://a/again", "--replay")
    status, _, said = run(*replay, "memory://a/out/manifest.jsonl")
    assert status == 1  # of the damaged one nothing is known
    assert "memory://a/clean/damaged.jpg: the manifest memory://a/out/manifest.jsonl does" in said
    again = {
        name.removeprefix("/a/again/"): store.cat_file(name) for name in store.find("/a/again")
    }
    assert {k: v for k, v in again.items() if k.endswith(".png")} == {
        k: v for k, v in made.items() if k.endswith(".png")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["memory://a/clean", "--task", "full"], "expected an output folder in an object store"),
        (["memory://a/clean", "-o", "out", "--task", "full"], "out: expected all inputs and -o in"),
        (["memory://a/none", "-o", "memory://a/out", "--task", "full"], "no image found in memory"),
        ([*STORED[1:], "--shard", "2/2"], "--shard: expected I/N"),
        (["memory://a/clean", "--sheet", "a.png"], "--sheet: expected photos and a PNG on a disk"),
        (
            [*STORED[1:4], "--replay", "memory://a/no.jsonl"],
            "--replay memory://a/no.jsonl: no such",
        ),
    ],
)
def test_what_a_store_cannot_do_is_refused(
    store: Any, run: Any, arguments: list[str], message: str
) -> None:
    status, out, said = run("degrade", *arguments)
    assert status in (2, 3)
    assert (out, len(said.splitlines())) == ("", 1)
    assert message in said
    assert objects(store) == {}


def test_copies_of_a_photo_in_a_store_are_made_of_one_that_is_brought_once(
    clean: Path, tmp_path: Path, store: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    degraded([clean], tmp_path / "out", task="full", size=64, copies=3)
    store.rm_file("/a/clean/damaged.jpg")
    fetched, brought = Storage.fetch, []

    def fetch(self: Storage, item: Stored, target: Path) -> None:
        brought.append(item.key)
        fetched(self, item, target)

    monkeypatch.setattr(Storage, "fetch", fetch)
    status, _, said = run(*STORED, "--copies", "3")
    assert (status, "9 photos: 9 degraded" in said) == (0, True)
    made = objects(store)
    del made["manifest.jsonl"]
    assert made == pngs(tmp_path / "out")
    assert len(brought) == len(set(brought)) == 3
    store.rm_file("/a/out/" + next(name for name in made if name.endswith("_2.png")))
    brought.clear()
    assert "9 photos: 1 degraded, 8 skipped" in run(*STORED, "--copies", "3")[2]
    assert len(brought) == 1
