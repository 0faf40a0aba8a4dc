"""Graphs at work in ONNX Runtime: on the CPU, or on a GPU if its build for CUDA is installed."""

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceren.checks import whole_number
from faceren.errors import MachineError
from faceren.graphs.graph import Graph, Sides

CUDA = "CUDAExecutionProvider"
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
    return whole_number(os.environ.get("OMP_NUM_THREADS", "")) or cores


class Session:
    """A network ready to run, from any thread; runs at the same time share its threads.

    Neither their number nor what else goes through in the same batch changes a bit of a result.

    Args:
        file: The network, as ONNX.
        cores: Threads of a run; default ``usable_cores()``.
        gpu: Run it on a GPU, if this ONNX Runtime can (the package onnxruntime-gpu).

    Raises:
        MachineError: If ONNX Runtime is missing, too old, or refuses the network.
    """

    def __init__(self, file: bytes, cores: int | None = None, *, gpu: bool = False) -> None:
        library = onnxruntime()
        options = library.SessionOptions()
        options.intra_op_num_threads = cores or usable_cores()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others work, too
        options.enable_mem_pattern = False  # it takes the memory of a run twice
        options.log_severity_level = 4  # what fails is raised as well
        providers = ["CPUExecutionProvider"]
        if gpu and CUDA in library.get_available_providers():
            providers.insert(0, CUDA)
        try:
            self._session = library.InferenceSession(file, options, providers=providers)
        except _refusals() as error:
            raise MachineError(
                f"ONNX Runtime {library.__version__} cannot load the network "
                f"({_first_line(error)}); update it: pip install --upgrade onnxruntime"
            ) from error
        self._session._model_bytes = None  # its wrapper would keep the file in memory
        _give_back()
        self._how = library.RunOptions()
        self._how.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Return the outputs for these inputs, which are given by name, in the file's order.

        Raises:
            MachineError: If memory is short.
        """
        try:
            return list(self._session.run(None, dict(inputs), self._how))
        except _refusals() as error:
            raise MachineError(f"ONNX Runtime stopped ({_first_line(error)})") from error


def session_of(graph: Graph, outputs: Mapping[str, Sides], cores: int | None = None) -> Session:
    """Return a graph ready to run.

    Args:
        graph: The network.
        outputs: Names and shapes of what comes out.
        cores: See ``Session``.

    Raises:
        MachineError: If ONNX Runtime is missing, too old, or refuses the graph.
    """
    return Session(graph.to_bytes(outputs), cores)


def _give_back() -> None:
    """Return to the system what loading a network has freed, where the C library keeps it: glibc.

    It is twice the network's weights, and else still there when a photo needs most.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and keeps little
        if trim is not None:
            trim(0)


def _refusals() -> tuple[type[Exception], ...]:
    """Return the errors of ONNX Runtime, which have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, name) for name in names)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
