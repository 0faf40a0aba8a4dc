"""The stream of photos between their stages, with stages that only count."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from faceren.errors import FaceError, MachineError, ShapeError
from faceren.images import decoded_bytes, read_photo
from faceren.restoration.photo import Prepared
from faceren.restoration.results import PhotoResult
from faceren.restoration.stream import (
    COPIES,
    MemoryBudget,
    NetworkResult,
    PhotoStream,
    SharedNetwork,
    Stages,
    without_errors,
)
from faceren.runs.plan import Job


@dataclass
class Inverting:
    """A restorer that inverts, and fails where a picture is all black."""

    faces_a_pass: int = 4
    devices: int = 1
    on_cpu: bool = True
    cores: int = 1
    used: list = field(default_factory=list)
    passes: int = 0

    def use_cores(self, number):
        self.used.append(number)

    def restore_pictures(self, pictures):
        self.passes += 1
        if any(picture.max() == 0 for picture in pictures):
            raise FaceError("black")
        if any(picture.min() > 1 for picture in pictures):
            raise MachineError("too much")
        if any(len(picture) < 4 for picture in pictures):
            raise ShapeError("too small")
        return [1 - picture for picture in pictures]


def pictures(*sides):
    return [np.full((side, side, 3), 0.25, np.float32) for side in sides]


def test_pictures_of_one_size_share_passes_and_come_back_in_order():
    restorer = Inverting()
    given = pictures(8, 16, 8, 8, 8, 8)
    done = SharedNetwork(restorer).run(given)
    assert [face.pixels.shape for face in done] == [picture.shape for picture in given]
    assert all((face.pixels == 0.75).all() for face in done)
    assert restorer.passes == 3


def test_a_face_that_fails_spoils_no_other_of_its_pass_and_has_no_pixels():
    given = [*pictures(8, 8), np.zeros((8, 8, 3), np.float32)]
    *good, failed = SharedNetwork(Inverting()).run(given)
    assert all((face.pixels == 0.75).all() for face in good)
    assert isinstance(failed, FaceError)
    with pytest.raises(FaceError, match="black"):
        without_errors([*good, failed])
    assert without_errors(good) == good


def test_an_error_of_a_whole_pass_is_the_result_of_each_of_its_pictures():
    done = SharedNetwork(Inverting()).run(pictures(2, 8, 2))
    assert [type(result) for result in done] == [ShapeError, NetworkResult, ShapeError]


def test_the_time_of_a_pass_is_shared_among_its_pictures():
    done = SharedNetwork(Inverting()).run(pictures(8, 8, 8))
    assert len({face.ms for face in done}) == 1
    assert done[0].ms >= 0


def test_a_failing_device_stops_the_run():
    with pytest.raises(MachineError, match="too much"):
        SharedNetwork(Inverting()).run([np.full((8, 8, 3), 2, np.float32)])


def test_a_pass_gets_the_cores_that_others_leave():
    restorer = Inverting()
    network = SharedNetwork(restorer, cores=4)
    network.run(pictures(8))
    network._add(2)  # two other threads work
    network.run(pictures(8))
    with network.beside():  # the thread that asks is none of the others
        network.run(pictures(8))
    network._add(3)
    network.run(pictures(8))
    assert restorer.used == [4, 2, 2, 1]


def test_a_network_has_the_cores_of_its_restorer_unless_told():
    assert SharedNetwork(Inverting(cores=3)).cores == 3
    assert SharedNetwork(Inverting(cores=3), cores=2).cores == 2


def test_no_picture_is_no_work():
    assert SharedNetwork(Inverting()).run([]) == []


class Meeting:
    """A restorer whose passes wait for another one to meet, so long at most."""

    faces_a_pass = 1
    cores = 1

    def __init__(self, seconds, *, on_cpu, devices=1):
        self.on_cpu = on_cpu
        self.devices = devices
        self.seconds = seconds
        self.used = SimpleQueue()
        self.together = threading.Barrier(2)
        self.begun = self.met = 0

    def use_cores(self, number):
        self.used.put(number)

    def restore_pictures(self, pictures):
        self.begun += 1
        with suppress(threading.BrokenBarrierError):
            self.together.wait(self.seconds)
            self.met += 1
        return list(pictures)


def restore_twice(network):
    threads = [threading.Thread(target=network.run, args=(pictures(8),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_second_pass_fills_a_core_that_would_idle():
    restorer = Meeting(20, on_cpu=True)
    given = restorer.used
    network = SharedNetwork(restorer, cores=3)
    network._add(1)
    network._passing = 1  # a pass that began when two other threads worked
    restore_twice_in = threading.Thread(target=restore_twice, args=(network,))
    restore_twice_in.start()
    assert given.get(timeout=20) == 1
    assert given.empty()  # the second of the two waits: no core is left
    network._add(-1)  # and now one is
    assert given.get(timeout=20) == 1
    restore_twice_in.join(20)
    assert restorer.begun == restorer.met == 2


def test_each_of_two_gpus_has_a_pass():
    restorer = Meeting(20, on_cpu=False, devices=2)
    restore_twice(SharedNetwork(restorer, cores=1))
    assert restorer.begun == restorer.met == 2


def test_a_gpu_has_one_pass_at_a_time():
    restorer = Meeting(0, on_cpu=False)
    network = SharedNetwork(restorer, cores=8)
    network._passing = 1  # a pass that runs
    second = threading.Thread(target=network.run, args=(pictures(8),))
    second.start()
    second.join(0.3)
    assert restorer.begun == 0
    with network._changed:
        network._passing = 0
        network._changed.notify_all()
    second.join(20)
    assert restorer.begun == 1


SECONDS = 20
"""After which a test that waits for another thread gives up."""


def result(job, status="restored", reason=""):
    return PhotoResult(
        source=job.source, output=job.output, key=job.key, status=status, reason=reason
    )


def jobs(count):
    return [Job(Path(f"{n}.png"), Path(f"out/{n}.png"), f"{n}.png") for n in range(count)]


def prepared(job, faces=1):
    crops = tuple(SimpleNamespace(seen=f"{job.key} {index}") for index in range(faces))
    return Prepared(job, "", SimpleNamespace(scale=1), crops, (False,))


class Room:
    """A budget of so many photos, and the most that were in it."""

    def __init__(self, photos):
        self.photos, self.taken, self.most = photos, 0, 0
        self.lock = threading.Lock()

    def cost(self, path):
        return 1

    def admit(self, cost):
        with self.lock:
            if self.taken == self.photos:
                return False
            self.taken += 1
            self.most = max(self.most, self.taken)
            return True

    def settled(self, cost, scale):
        return cost

    def release(self, cost):
        with self.lock:
            self.taken -= cost


def stages(**others):
    plain = {
        "prepare": prepared,
        "restore": lambda faces: [face.upper() for face in faces],
        "finish": lambda item, faces: result(item.job, reason=", ".join(faces)),
    }
    return Stages(**{**plain, **others})


def run(given, work, *, batch=1, room=None, workers=2):
    """Return the results, in the order in which they came."""
    with ThreadPoolExecutor(1) as network, ThreadPoolExecutor(workers) as pool:
        stream = PhotoStream(work, pool, network, batch=batch, budget=room or Room(8))
        try:
            return list(stream.run(given))
        finally:
            stream.cancel()


def test_results_come_in_the_order_of_the_jobs_whatever_is_done_first():
    last_is_done = threading.Event()

    def finish(item, faces):
        if item.job.key == "0.png":
            assert last_is_done.wait(SECONDS)
        if item.job.key == "5.png":
            last_is_done.set()
        return result(item.job)

    done = run(jobs(6), stages(finish=finish), workers=2)
    assert [photo.key for photo in done] == [f"{n}.png" for n in range(6)]


def test_each_photo_gets_its_own_faces_back_and_batches_are_full():
    passes = []

    def restore(faces):
        passes.append(faces)
        return [face.upper() for face in faces]

    def some(job):
        return prepared(job, faces=int(job.key[0]) % 3)

    done = run(jobs(9), stages(prepare=some, restore=restore), batch=4, room=Room(9))
    reasons = [photo.reason for photo in done]
    assert reasons[:3] == ["", "1.PNG 0", "2.PNG 0, 2.PNG 1"]
    assert reasons == [", ".join(f"{n}.PNG {index}" for index in range(n % 3)) for n in range(9)]
    assert [len(faces) for faces in passes] == [3, 4, 2]  # photos 0-3, 4-7 and the rest


def test_a_photo_that_failed_before_the_network_keeps_its_place():
    def prepare(job):
        return result(job, "failed", "broken") if job.key == "1.png" else prepared(job)

    done = run(jobs(3), stages(prepare=prepare))
    assert [photo.status for photo in done] == ["restored", "failed", "restored"]


@pytest.mark.parametrize("batch", [1, 5])
def test_no_more_photos_are_on_their_way_than_there_is_room_for(batch):
    room = Room(3)
    done = run(jobs(20), stages(), batch=batch, room=room)
    assert len(done) == 20
    assert room.most == 3
    assert room.taken == 0


def test_photos_are_prepared_while_the_network_computes():
    reached = threading.Event()

    def prepare(job):
        if job.key == "5.png":
            reached.set()
        return prepared(job)

    def restore(faces):
        assert reached.wait(SECONDS)  # the first pass ends only once the sixth photo was begun
        return faces

    assert len(run(jobs(6), stages(prepare=prepare, restore=restore))) == 6


@pytest.mark.parametrize("stage", ["restore", "finish"])
def test_an_error_that_concerns_all_stops_the_run(stage):
    def fail(*_):
        raise MachineError("no space left")

    begun = []

    def prepare(job):
        begun.append(job)
        return prepared(job)

    with pytest.raises(MachineError, match="no space left"):
        run(jobs(500), stages(prepare=prepare, **{stage: fail}), room=Room(4))
    assert len(begun) < 20


def test_jobs_are_asked_for_one_by_one():
    asked, checked = [], threading.Event()

    def coming():
        for job in jobs(50):
            asked.append(job)
            yield job

    def finish(item, faces):
        assert item.job.key == "0.png" or checked.wait(SECONDS)  # so only one gives room back
        return result(item.job)

    with ThreadPoolExecutor(1) as network, ThreadPoolExecutor(1) as pool:
        stream = PhotoStream(stages(finish=finish), pool, network, batch=1, budget=Room(2))
        results = stream.run(coming())
        assert next(results).key == "0.png"
        assert len(asked) <= 1 + 2 + 1  # seen, in the stream, and waiting for room
        stream.cancel()
        checked.set()


def test_nothing_is_begun_after_a_run_was_cancelled():
    begun, cancelled = [], threading.Event()

    def finish(item, faces):
        begun.append(item.job.key)
        assert item.job.key == "0.png" or cancelled.wait(SECONDS)
        return result(item.job)

    with ThreadPoolExecutor(1) as network, ThreadPoolExecutor(2) as pool:
        stream = PhotoStream(stages(finish=finish), pool, network, batch=6, budget=Room(6))
        results = stream.run(jobs(9))  # six photos go through the network, so six wait for the pool
        assert next(results).key == "0.png"
        stream.cancel()
        cancelled.set()
    assert set(begun) <= {"0.png", "1.png", "2.png"}


def test_no_job_is_no_result():
    assert run([], stages()) == []


def test_a_photo_is_admitted_when_others_have_left_room():
    budget = MemoryBudget(100, photos=9)
    assert budget.admit(60)
    assert not budget.admit(50)
    assert budget.admit(40)
    budget.release(60)
    assert budget.admit(50)


def test_one_photo_is_always_admitted_and_then_alone():
    budget = MemoryBudget(100, photos=9)
    assert budget.admit(1000)
    assert not budget.admit(1)
    budget.release(1000)
    assert budget.admit(1)


def test_a_photo_that_stays_as_it_is_gives_back_what_it_would_have_taken_enlarged():
    budget = MemoryBudget(100, photos=9, scale=2)
    assert budget.admit(80)
    assert budget.settled(80, 2) == 80
    assert not budget.admit(40)
    assert budget.settled(80, 1) == 20
    assert budget.admit(80)
    assert not budget.admit(1)


def test_the_number_of_photos_is_bounded_too():
    budget = MemoryBudget(100, photos=2)
    assert [budget.admit(1) for _ in range(3)] == [True, True, False]


def test_the_cost_counts_copies_and_enlargement(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    assert MemoryBudget(1, 1, scale=2).cost(tmp_path / "a.png") == COPIES * 4 * 40 * 30 * 3


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_a_header_tells_at_least_what_the_raster_takes(tmp_path, mode, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (40, 30)).save(path)
    assert decoded_bytes(path) >= read_photo(path).pages[0].raster.nbytes


def test_sixteen_bits_and_every_page_are_counted(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((30, 40, 3), np.uint16))
        file.write(np.zeros((30, 40), np.uint8))
    assert decoded_bytes(tmp_path / "a.tif") == 30 * 40 * 7


def test_what_is_no_photo_weighs_nothing(tmp_path):
    (tmp_path / "a.jpg").write_text("no photo")
    assert decoded_bytes(tmp_path / "a.jpg") == 0
    assert decoded_bytes(tmp_path / "gone.jpg") == 0
