"""One of two processes that train together, told what by a file: ``python -m tests.training.pair``.

Both go through the same scenarios in one start of Python, each in a group of processes of its own.
"""

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import torch

from faceren.commands.train import train
from faceren.errors import FacerenError, MachineError
from faceren.training import validation
from faceren.training.step import Stepper


def main(folder: Path, rank: int) -> None:
    """Go through ``scenarios.json``; write what happened into ``told-RANK.json``."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", ".*broadcast_buffers")  # torch 2.13 will name it otherwise
    os.environ |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    validation.FACES = 0  # dlib would take longer than the steps
    told = {}
    for name, scenario in json.loads((folder / "scenarios.json").read_text()).items():
        os.environ["MASTER_PORT"] = str(scenario["port"])
        told[name] = one(folder, name, scenario, rank)
        (folder / f"told-{rank}.json").write_text(json.dumps(told))


def one(folder: Path, name: str, scenario: dict, rank: int) -> dict:
    """Train as a scenario says; return the steps that were taken, and how it ended."""
    taken = []
    honest = Stepper.take

    def take(self, passes, *, done):
        if scenario.get("fails") == rank and self.state.counters.step == 1:
            raise MachineError("the device is on fire")
        if scenario.get("signal") == rank and self.state.counters.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        result = honest(self, passes, done=done)
        taken.append([result.loss, result.gradient, *result.parts.values()])
        return result

    Stepper.take = take
    overrides = [*scenario.get("overrides", []), *scenario.get(f"overrides {rank}", [])]
    output = folder / scenario.get(f"output {rank}", name)
    found = {"taken": taken, "error": "", "message": "", "events": []}
    try:
        for event in train(folder / "tiny.yaml", overrides=overrides, output=output, device="cpu"):
            found["events"].append(type(event).__name__)
    except FacerenError as error:
        found |= {"error": type(error).__name__, "message": str(error)}
    finally:
        Stepper.take = honest
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)  # as the command ends: see ``cli.train``
