"""Stop politely: the first Ctrl-C or SIGTERM asks for a checkpoint, the second one ends at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether the user or the system has asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def __bool__(self) -> bool:
        return self.asked


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Yield a request that becomes true at the first SIGINT or SIGTERM.

    From then on, and after the block, the signals do what they did before. Outside the main
    thread, where Python allows no handlers, nothing is changed.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def handle(_number: int, _frame: FrameType | None) -> None:
        request.asked = True
        restore()

    for number in SIGNALS:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        restore()
