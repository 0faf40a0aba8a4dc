import threading
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np
import pytest

from faceren.errors import FaceError, MachineError, ShapeError
from faceren.restoration.network import Restored, SharedNetwork, without_errors


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
    assert [type(result) for result in done] == [ShapeError, Restored, ShapeError]


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
