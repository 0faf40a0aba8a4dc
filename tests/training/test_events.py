import errno
import io
import json

import pytest

from faceren.errors import MachineError
from faceren.training.events import RunLog, read_log


def test_going_on_drops_what_came_after_the_checkpoint(tmp_path):
    log = RunLog(tmp_path, 0)
    for step in (5, 10, 15):
        log.write("train", step, {"loss": step / 10, "parts": {"l1": 1.0}})
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "tra')  # a kill tears the last line
    log = RunLog(tmp_path, 10)
    log.write("train", 15, {"loss": 7.0})
    log.close()
    assert [(line["step"], line["loss"]) for line in read_log(tmp_path / "log.jsonl")] == [
        (5, 0.5),
        (10, 1.0),
        (15, 7.0),
    ]
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_values_that_are_not_finite_are_null(tmp_path):
    log = RunLog(tmp_path, 0)
    log.write("train", 1, {"loss": float("nan"), "parts": {"l1": float("inf")}})
    log.close()
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert line == {"kind": "train", "step": 1, "loss": None, "parts": {"l1": None}}


def test_a_full_disk_is_told(tmp_path):
    class FullDisk(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    log = RunLog(tmp_path, 0)
    log._file.close()
    log._file = FullDisk()
    with pytest.raises(MachineError, match=r"cannot write .*log\.jsonl: No space left"):
        log.write("train", 1, {"loss": 1.0})
    log.close()
