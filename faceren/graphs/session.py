"""Graphs at work in ONNX Runtime, on the CPU."""

import os
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceren.errors import MachineError
from faceren.graphs.graph import SMALL, Graph, Sides, Weight

OLDEST = (1, 19)
"""The first version of ONNX Runtime that takes NumPy 2's arrays."""


def onnxruntime() -> Any:
    """Return the library.

    Raises:
        MachineError: If it cannot be imported, or is too old.
    """
    try:
        import onnxruntime as library
    except ImportError as error:
        raise MachineError(
            f"ONNX Runtime cannot be imported ({error}); reinstall it: "
            f"pip install --force-reinstall onnxruntime"
        ) from error
    number = tuple(int(part) for part in library.__version__.split(".")[:2])
    if number < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise MachineError(
            f"expected ONNX Runtime {oldest} or newer, got {library.__version__}; update it: "
            f"pip install --upgrade onnxruntime"
        )
    return library


def usable_cores() -> int:
    """Return the cores that this process may use; ``OMP_NUM_THREADS`` bounds them, as torch's."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        cores = os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else cores


_mine = threading.local()


def cores_here() -> int:
    """Return the cores that a run in the calling thread takes at most."""
    return int(getattr(_mine, "cores", 0) or usable_cores())


def use_cores(number: int) -> None:
    """Let runs in the calling thread take so many cores."""
    _mine.cores = number


class Session:
    """A network ready to run, from any thread, on any number of cores.

    ONNX Runtime gives a session its threads when it is opened, so there is one for each number of
    cores that is asked for, a power of two or all there are. No number changes a bit of the result.

    Args:
        file: The network, as ONNX.
        weights: What the file names and does not hold.

    Raises:
        MachineError: If ONNX Runtime is missing, too old, or refuses the network.
    """

    def __init__(self, file: bytes, weights: Mapping[str, Weight] | None = None) -> None:
        self._file = file
        self._weights = {
            name: np.asarray(value, np.float32 if value.dtype == np.float16 else value.dtype)
            for name, value in (weights or {}).items()
            if value.size > SMALL
        }
        self._lock = threading.Lock()
        self._opened: dict[int, Any] = {}
        self._open(cores_here())

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return the outputs for these inputs, which are given by name, in the file's order.

        Raises:
            MachineError: If memory is short.
        """
        session = self._open(cores_here())
        try:
            return list(session.run(None, dict(inputs)))
        except _refusals() as error:
            raise MachineError(f"ONNX Runtime stopped ({_first_line(error)})") from error

    def _open(self, cores: int) -> Any:
        most = usable_cores()
        cores = most if cores >= most else 1 << (cores.bit_length() - 1)
        with self._lock:
            if cores not in self._opened:
                self._opened[cores] = self._session(cores)
            return self._opened[cores]

    def _session(self, cores: int) -> Any:
        library = onnxruntime()
        options = library.SessionOptions()
        options.intra_op_num_threads = cores
        options.log_severity_level = 4  # what fails is raised as well
        names = list(self._weights)
        values = [library.OrtValue.ortvalue_from_numpy(self._weights[name]) for name in names]
        options.add_external_initializers(names, values)
        try:
            return library.InferenceSession(self._file, options, providers=["CPUExecutionProvider"])
        except _refusals() as error:
            raise MachineError(
                f"ONNX Runtime {library.__version__} cannot load the network "
                f"({_first_line(error)}); update it: pip install --upgrade onnxruntime"
            ) from error


def session_of(graph: Graph, outputs: Mapping[str, Sides]) -> Session:
    """Return a graph ready to run; its weights stay outside of the file.

    Args:
        graph: The network.
        outputs: Names and shapes of what comes out.

    Raises:
        MachineError: If ONNX Runtime is missing, too old, or refuses the graph.
    """
    return Session(graph.to_bytes(outputs, embedded=False), graph.weights)


def _refusals() -> tuple[type[Exception], ...]:
    """Return the errors of ONNX Runtime, which have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, name) for name in names)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
