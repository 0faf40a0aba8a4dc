from dataclasses import dataclass

import numpy as np
import pytest
import torch

from faceren.errors import FaceError, MachineError
from faceren.restoration.lane import NetworkLane

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
