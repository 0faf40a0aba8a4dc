import threading
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
import pytest
import torch
from faceren.restoration.lane import NetworkLane

from faceren.errors import FaceError, MachineError

CPU = torch.device("cpu")


@dataclass
class Inverting:
    """A restorer that inverts, and fails where a picture is all black."""

    faces_a_pass: int = 4
    device: torch.device = CPU
    passes: int = 0

    def restore(self, faces):
        self.passes += 1
        if bool((faces.amax((1, 2, 3)) == 0).any()):
            raise FaceError("black")
        if bool((faces.amin((1, 2, 3)) > 1).any()):
            raise MachineError("too much")
        return 1 - faces


def pictures(*sides):
    return [np.full((side, side, 3), 0.25, np.float32) for side in sides]


def test_pictures_of_one_size_share_passes_and_come_back_in_order():
    restorer = Inverting()
    given = pictures(8, 16, 8, 8, 8, 8)
    done = NetworkLane(restorer).run(given)
    assert [face.pixels.shape for face in done] == [picture.shape for picture in given]
    assert all((face.pixels == 0.75).all() for face in done)
    assert restorer.passes == 3


def test_a_face_that_fails_spoils_no_other_of_its_pass():
    given = [*pictures(8, 8), np.zeros((8, 8, 3), np.float32)]
    done = NetworkLane(Inverting()).run(given)
    assert [face.error is None for face in done] == [True, True, False]


def test_a_failing_device_stops_the_run():
    with pytest.raises(MachineError, match="too much"):
        NetworkLane(Inverting()).run([np.full((8, 8, 3), 2, np.float32)])


def test_every_stage_is_timed():
    lane = NetworkLane(Inverting())
    with lane.stage("prepare"):
        pass
    with lane.stage("finish"):
        lane.run(pictures(8, 16))
    timing = lane.timing
    assert timing.passes == 2
    assert timing.prepare > 0
    assert timing.finish >= timing.network > 0


def test_a_pass_gets_the_cores_that_others_leave(monkeypatch):
    given = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    lane = NetworkLane(Inverting(), cores=4)
    lane.run(pictures(8))
    lane._add(2)  # two other threads work
    lane.run(pictures(8))
    with lane.stage("finish"):  # the thread that asks is none of the others
        lane.run(pictures(8))
    lane._add(3)
    lane.run(pictures(8))
    assert given == [4, 2, 2, 1]


def test_no_picture_is_no_work():
    assert NetworkLane(Inverting()).run([]) == []


class Meeting:
    """A restorer whose passes wait for another one to meet, so long at most."""

    faces_a_pass = 1

    def __init__(self, device, seconds):
        self.device = torch.device(device)
        self.seconds = seconds
        self.together = threading.Barrier(2)
        self.begun = self.met = 0

    def restore(self, faces):
        self.begun += 1
        with suppress(threading.BrokenBarrierError):
            self.together.wait(self.seconds)
            self.met += 1
        return faces


def restore_twice(lane):
    threads = [threading.Thread(target=lane.run, args=(pictures(8),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_second_pass_fills_a_core_that_would_idle(monkeypatch):
    given = SimpleQueue()
    monkeypatch.setattr(torch, "set_num_threads", given.put)
    restorer = Meeting("cpu", 20)
    lane = NetworkLane(restorer, cores=3)
    lane._add(1)
    lane._passing = 1  # a pass that began when two other threads worked
    restore_twice_in = threading.Thread(target=restore_twice, args=(lane,))
    restore_twice_in.start()
    assert given.get(timeout=20) == 1
    assert given.empty()  # the second of the two waits: no core is left
    lane._add(-1)  # and now one is
    assert given.get(timeout=20) == 1
    restore_twice_in.join(20)
    assert restorer.met == 2
    assert lane.timing.passes == 2


def test_a_gpu_has_one_pass_at_a_time():
    restorer = Meeting("meta", 0)
    lane = NetworkLane(restorer, cores=8)
    lane._passing = 1  # a pass that runs
    second = threading.Thread(target=lane.run, args=(pictures(8),))
    second.start()
    second.join(0.3)
    assert restorer.begun == 0
    with lane._changed:
        lane._passing = 0
        lane._changed.notify_all()
    second.join(20)
    assert restorer.begun == 1
