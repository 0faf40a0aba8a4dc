"""A whole run with a network that only brightens: order, failures, settings, time."""

import errno
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from faceren.errors import FaceError, MachineError
from faceren.faces.given import GivenFace
from faceren.files import sha256_of
from faceren.restoration.options import RestoreOptions
from faceren.restoration.pipeline import Pipeline, Timing
from faceren.runs.plan import Job
from faceren.runs.resume import unchanged

BLACK = 0


class Brightening:
    """A restorer that adds 51 levels, and fails where a picture is all black."""

    faces_a_pass = 1
    devices = 1
    on_cpu = True
    cores = 2
    computed = "tests"
    checkpoint = SimpleNamespace(sha256="0" * 64, info=SimpleNamespace(name="net"))

    def __init__(self):
        self.used = {}

    def use_cores(self, number):
        self.used.setdefault(threading.current_thread().name.rpartition("_")[0], number)

    def restore_pictures(self, pictures):
        if any(picture.max() == BLACK for picture in pictures):
            raise FaceError("black")
        return [picture + np.float32(0.2) for picture in pictures]


@pytest.fixture
def jobs(tmp_path):
    """Six photos of one level each, 20 to 25; the third is no photo, the fourth all black."""
    made = []
    for index in range(6):
        path = tmp_path / "in" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        level = BLACK if index == 3 else 20 + index
        Image.new("RGB", (40, 30), (level, level, level)).save(path)
        made.append(Job(path, tmp_path / "out" / path.name, path.name))
    made[2].source.write_bytes(b"no photo")
    return made


def pipeline(**more):
    options = RestoreOptions(aligned=True, color="free")
    plain = {"restorer": Brightening(), "options": options, "max_pixels": 10**6, "workers": 2}
    return Pipeline(**(plain | more))


def told(results):
    return [(result.key, result.status) for result in results]


def test_results_come_in_order_and_a_bad_photo_stops_no_other(jobs):
    results = list(pipeline().run(jobs))
    failed = {"2.png", "3.png"}
    assert told(results) == [
        (job.key, "failed" if job.key in failed else "restored") for job in jobs
    ]
    for job, level in zip(jobs, (20, 21, None, None, 24, 25), strict=True):
        assert job.output.exists() == (level is not None)
        if level is not None:
            with Image.open(job.output) as image:
                assert image.getpixel((7, 9)) == (level + 51,) * 3


def test_a_failure_names_its_photo_and_its_bytes(jobs):
    results = list(pipeline().run(jobs))
    assert str(jobs[2].source) in results[2].reason
    assert results[3].reason == f"{jobs[3].source}: black"
    assert results[3].input_sha256 == sha256_of(jobs[3].source)
    assert results[3].faces == ()


def test_one_at_a_time_gives_the_same_bytes(jobs, tmp_path):
    together = [result.output_sha256 for result in pipeline().run(jobs)]
    line = pipeline()
    assert [line.one(job).output_sha256 for job in jobs] == together


def test_a_device_that_fails_stops_the_run(jobs):
    class Broken(Brightening):
        def restore_pictures(self, pictures):
            raise MachineError("does not fit into memory")

    with pytest.raises(MachineError, match="does not fit"):
        list(pipeline(restorer=Broken()).run(jobs))


def test_workers_compute_on_one_core_each_and_the_caller_gets_its_own_back(jobs):
    restorer = Brightening()
    list(pipeline(restorer=restorer).run(jobs))
    assert restorer.used["faceren"] == 1
    assert restorer.used[""] == 2  # this thread, at the end


def test_settings_tell_apart_weights_options_and_marked_faces(jobs):
    plain, job = pipeline(), jobs[0]
    marked = pipeline(given={job.key: (GivenFace((1, 2, 30, 40)),)})
    other = pipeline(options=RestoreOptions(aligned=True))
    settings = [each.settings(job) for each in (plain, marked, other)]
    assert len(set(settings)) == 3
    assert marked.settings(jobs[1]) == plain.settings(jobs[1])
    assert [result.settings for result in plain.run(jobs)] == [settings[0]] * 6


def test_every_stage_is_timed(jobs):
    line = pipeline()
    began = time.perf_counter()
    list(line.run(jobs))
    gone = time.perf_counter() - began
    assert line.timing.prepare > 0
    assert line.timing.finish > 0
    assert 0 < line.timing.network < gone


def test_passes_side_by_side_count_once_and_other_stages_twice(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 6.0, 10.0, 11.0, 12.0, 15.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timing = Timing()
    with timing.of("network"), timing.of("network"):  # from 0 to 6, the second from 1 to 3
        pass
    assert timing.network == 6
    with timing.of("finish"), timing.of("finish"):  # 10 to 15 and 11 to 12
        pass
    assert timing.finish == 6
    assert timing.prepare == 0


def test_a_photo_on_a_disk_that_failed_is_tried_again_and_a_damaged_one_is_not(jobs, monkeypatch):
    def fails(path):
        if path == jobs[1].source:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return sha256_of(path)

    monkeypatch.setattr("faceren.restoration.photo.sha256_of", fails)
    plan = pipeline()
    results = list(plan.run(jobs))
    assert [r.status for r in results].count("failed") == 3
    assert results[1].reason == f"{jobs[1].source}: Input/output error"
    for number, again in ((1, True), (2, False)):
        line = results[number].to_json()
        assert unchanged(jobs[number], line, plan.settings(jobs[number])) is not again
