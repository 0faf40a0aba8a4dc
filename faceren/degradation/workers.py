"""Do many jobs in several processes.

Processes import this module and what it needs: no torch, so that they start in half a second.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cv2

from faceren.degradation.files import Degraded, Job, degrade_file, unchanged
from faceren.errors import MachineError


def run_jobs(jobs: Sequence[Job], workers: int) -> Iterator[Degraded]:
    """Yield the results in order; at most a few jobs per process are under way.

    Args:
        jobs: What to do.
        workers: Processes; with 1 the work is done in this one.

    Raises:
        MachineError: If an output cannot be written, or a process dies.
    """
    if workers <= 1:
        yield from (unchanged(job) or degrade_file(job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    waiting: deque[Future[Degraded]] = deque()
    try:
        for job in jobs:
            waiting.append(_known(unchanged(job)) or pool.submit(degrade_file, job))
            if len(waiting) >= 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise MachineError(
            "a worker process died, probably for want of memory; try fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _known(result: Degraded | None) -> "Future[Degraded] | None":
    """Return a future that has this result already: a resumed run may need no process at all."""
    if result is None:
        return None
    future: Future[Degraded] = Future()
    future.set_result(result)
    return future


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    cv2.setNumThreads(1)
