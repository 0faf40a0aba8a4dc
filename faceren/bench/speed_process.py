"""A fresh process beside this one: for what only a first time shows, and for peaks of memory."""

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"


@contextmanager
def fresh_process() -> Iterator[ProcessPoolExecutor]:
    """Start one process that shares nothing with this one; it ends with the context."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
        yield process


def reset_peak() -> None:
    """Forget the peak of this process's memory so far, where the system can (Linux)."""
    if sys.platform == "linux":
        CLEAR.write_text(RESET_PEAK)


def peak_mb() -> float | None:
    """Return the most memory of this process, in 10^6 bytes; None where it cannot be told."""
    if sys.platform == "linux":
        lines = STATUS.read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
        return int(kilobytes) * 1024 / 1e6
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return None
