import sys
from types import SimpleNamespace

import numpy as np
import pytest

from faceren.errors import MachineError
from faceren.graphs.graph import Graph
from faceren.graphs.session import (
    Session,
    cores_here,
    onnxruntime,
    session_of,
    usable_cores,
    use_cores,
)


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


def test_cores_are_those_of_the_calling_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores_here() == usable_cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert usable_cores() >= 1
    try:
        use_cores(2)
        assert cores_here() == 2
    finally:
        use_cores(0)


def test_a_session_is_opened_once_for_each_number_of_cores(monkeypatch):
    monkeypatch.setattr("faceren.graphs.session.usable_cores", lambda: 6)
    opened = []
    monkeypatch.setattr(Session, "_session", lambda _, cores: opened.append(cores) or cores)
    session = Session(b"")
    found = [session._open(cores) for cores in (1, 2, 3, 4, 5, 6, 9)]
    assert found == [1, 2, 2, 4, 4, 6, 6]
    assert sorted(opened) == [1, 2, 4, 6]
