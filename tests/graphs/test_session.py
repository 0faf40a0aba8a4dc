import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from faceren.errors import MachineError
from faceren.graphs.graph import Graph
from faceren.graphs.session import Session, onnxruntime, session_of, usable_cores


def test_a_library_that_is_missing_or_too_old_is_said_in_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MachineError, match="ONNX Runtime cannot be imported .*pip install"):
        onnxruntime()
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(__version__="1.9.0"))
    with pytest.raises(MachineError, match=r"expected ONNX Runtime 1\.19 or newer, got 1\.9\.0"):
        onnxruntime()


def test_what_it_cannot_load_is_said_in_a_line():
    graph = Graph("new", {"x": (1,)})
    graph.rename(graph.node("NoSuchOperation", "x"), "y")
    with pytest.raises(MachineError, match=r"cannot load the network .*NoSuchOperation") as found:
        session_of(graph, {"y": (1,)})
    assert "\n" not in str(found.value)


def test_what_it_cannot_do_is_said_in_a_line():
    graph = Graph("sum", {"x": ("a", "b")})
    graph.rename(graph.node("MatMul", "x", graph.constant(np.ones((3, 1), np.float32))), "y")
    session = session_of(graph, {"y": ("a", 1)})
    with pytest.raises(MachineError, match="ONNX Runtime stopped"):
        session.run({"x": np.ones((2, 2), np.float32)})


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert 1 <= usable_cores() <= os.cpu_count()


@pytest.mark.parametrize(
    ("gpu", "offered", "used"),
    [
        (True, ["CUDAExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        (False, ["CUDAExecutionProvider"], ["CPUExecutionProvider"]),
        (True, [], ["CPUExecutionProvider"]),
    ],
)
def test_a_gpu_is_used_if_it_is_asked_for_and_there(monkeypatch, gpu, offered, used):
    asked = []

    def session(file, options, *, providers):
        asked.extend(providers)
        return SimpleNamespace()

    library = onnxruntime()
    monkeypatch.setattr(library, "get_available_providers", lambda: offered)
    monkeypatch.setattr(library, "InferenceSession", session)
    Session(b"", gpu=gpu)
    assert asked == used


LOADING = """
from pathlib import Path
from faceren.assets import model_path
from faceren.engines import load_engine

def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

load_engine(model_path("compact"), device="cpu").session.result()  # what any network takes once
before = own()
engine = load_engine(model_path("base"), device="cpu")
engine.session.result()
print(own() - before, 2 * model_path("base").stat().st_size)  # stored in half precision
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep less")
def test_a_loaded_network_takes_little_more_memory_than_its_weights():
    done = subprocess.run(
        [sys.executable, "-c", LOADING], capture_output=True, text=True, check=True
    )
    taken, weights = map(int, done.stdout.split())
    assert taken < 2 * weights  # three times, were what loading freed not given back
