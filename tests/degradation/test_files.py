"""One file, or several, degraded: what is read, drawn, written and said."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from faceren.degradation import apply, draw
from faceren.degradation.files import (
    DegradeJob,
    DegradeSettings,
    Resize,
    degrade_file,
    degrade_files,
    skipped,
)
from faceren.errors import ConfigError
from faceren.files import sha256_of
from faceren.images import read_rgb

SETTINGS = DegradeSettings(task="jpeg", seed=7, size=None)


@pytest.fixture
def jobs(tmp_path):
    made = []
    for index, name in enumerate(("a", "b", "c")):
        levels = np.random.default_rng(index).integers(0, 256, (64, 72, 3)).astype(np.uint8)
        Image.fromarray(levels).save(tmp_path / f"{name}.bmp")
        made.append(
            DegradeJob(
                tmp_path / f"{name}.bmp",
                tmp_path / "out" / f"{name}.png",
                f"{name}.png",
                relative=f"{name}.bmp",
                settings=replace(SETTINGS, seed=index),
            )
        )
    return made


def test_a_job_writes_what_its_seed_draws(jobs):
    result = degrade_file(jobs[1])
    drawn = draw("jpeg", seed=1, size=64)
    np.testing.assert_array_equal(read_rgb(jobs[1].output), apply(read_rgb(jobs[1].source), drawn))
    assert (result.status, result.degradation, result.resize) == ("degraded", drawn, None)
    assert result.output_sha256 == sha256_of(jobs[1].output)


def test_a_line_of_the_manifest_says_all_that_is_needed_to_do_it_again(jobs):
    result = degrade_file(replace(jobs[0], settings=replace(SETTINGS, size=128)))
    line = result.to_json()
    assert line["resize"] == {"width": 144, "height": 128, "filter": "cubic"}
    assert (line["task"], line["seed"], line["copy"]) == ("jpeg", 7, 0)
    assert (line["key"], line["relative"]) == ("a.png", "a.bmp")
    again = DegradeSettings(
        task="jpeg", seed=0, degradation=result.degradation, resize=result.resize
    )
    written = sha256_of(jobs[0].output)
    repeated = degrade_file(replace(jobs[0], settings=again, expected_sha256=written))
    assert (repeated.reason, repeated.output_sha256) == ("", written)


def test_other_bytes_than_those_expected_are_told(jobs):
    result = degrade_file(replace(jobs[0], expected_sha256="0" * 64))
    assert result.status == "degraded"
    assert result.reason.endswith("a.png: replayed, but not to the same bytes")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"settings": None, "refusal": "not in the manifest"}, "not in the manifest"),
        ({"input_sha256": "0" * 64}, "the file has changed since the manifest was written"),
        ({"max_pixels": 1000}, "a.bmp"),
    ],
)
def test_what_cannot_be_done_fails_and_writes_nothing(jobs, changes, reason):
    result = degrade_file(replace(jobs[0], **changes))
    assert result.status == "failed"
    assert reason in result.reason
    assert result.to_json()["output"] is None
    assert not jobs[0].output.exists()


def test_a_photo_that_is_too_small_is_refused(jobs):
    Image.new("RGB", (63, 200)).save(jobs[0].source)
    assert "63×200 pixels, expected at least 64" in degrade_file(jobs[0]).reason


@pytest.mark.parametrize("workers", [1, 2])
def test_files_come_in_order_and_what_is_unchanged_is_skipped(jobs, workers):
    first = list(degrade_files(jobs[:2], {}, workers=1))
    earlier = {result.job.key: result.to_json() for result in first}
    earlier["b.png"] |= {"settings": "of another seed"}
    results = list(degrade_files(jobs, earlier, workers))
    assert [result.job.key for result in results] == ["a.png", "b.png", "c.png"]
    assert [result.status for result in results] == ["skipped", "degraded", "degraded"]
    assert results[0].output_sha256 == first[0].output_sha256


def test_only_what_was_degraded_is_skipped(jobs):
    line = degrade_file(jobs[0]).to_json()
    assert skipped(jobs[0], line).input_sha256 == line["input_sha256"]
    assert skipped(jobs[0], line | {"status": "failed"}) is None
    assert skipped(jobs[0], None) is None
    assert skipped(replace(jobs[0], settings=None), line) is None


def test_the_digest_changes_with_all_that_decides_the_output():
    others = [
        replace(SETTINGS, seed=8),
        replace(SETTINGS, task="full"),
        replace(SETTINGS, size=64),
        replace(SETTINGS, compat=("area",)),
        replace(SETTINGS, degradation=draw("jpeg", seed=1, size=64)),
        replace(SETTINGS, resize=Resize(width=64, height=64, filter="area")),
    ]
    assert len({settings.digest() for settings in (SETTINGS, *others)}) == 7
    assert replace(SETTINGS, seed=7).digest() == SETTINGS.digest()


def test_the_shorter_side_is_brought_to_size():
    wide = np.zeros((100, 250, 3), np.uint8)
    assert Resize.to_side(wide, 50) == Resize(width=125, height=50, filter="area")
    assert Resize.to_side(wide, 200) == Resize(width=500, height=200, filter="cubic")
    assert Resize.to_side(wide, 100) is None
    assert Resize.to_side(wide, 200)(wide).shape == (200, 500, 3)


@pytest.mark.parametrize(
    "value",
    [{"width": 4}, {"width": 4, "height": -1, "filter": "area"}, [4, 4], "4x4",
     {"width": True, "height": 4, "filter": "area"}, {"width": 4, "height": 4, "filter": "lens"}],
)  # fmt: skip
def test_a_resize_of_another_form_is_refused(value):
    with pytest.raises(ConfigError, match="resize: expected width, height and filter"):
        Resize.from_json(value)


def test_a_resize_is_read_as_it_is_written():
    assert Resize.from_json(None) is None
    value = {"width": 4, "height": 5, "filter": "area"}
    assert Resize.from_json(value) == Resize(width=4, height=5, filter="area")


def test_what_nobody_has_foreseen_fails_one_photo(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise ZeroDivisionError("of a library")

    monkeypatch.setattr("faceren.degradation.files.read_rgb", fails)
    job = DegradeJob(
        tmp_path / "a.png",
        tmp_path / "out.png",
        "out.png",
        relative="a.png",
        settings=DegradeSettings(task="denoise", seed=1),
    )
    done = degrade_file(job)
    assert done.status == "failed"
    assert done.reason.startswith(f"{tmp_path}/a.png: ZeroDivisionError: of a library")
