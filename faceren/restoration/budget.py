"""How many photos may be in memory at a time."""

import threading
from pathlib import Path

from faceren.images import decoded_bytes

COPIES = 3
"""Times a photo's pixels are held at once: its raster, what the detector sees, what is encoded."""


class MemoryBudget:
    """A bound on the memory of the photos between decoding and writing.

    Args:
        limit: Bytes. One photo is admitted always, whatever it takes.
        photos: Most photos at a time.
        scale: How many times as high and wide the photos become.
    """

    def __init__(self, limit: int, photos: int, scale: int = 1) -> None:
        self._limit = limit
        self._photos = photos
        self._scale = scale
        self._taken: list[int] = []
        self._lock = threading.Lock()

    def cost(self, path: Path) -> int:
        """Return the bytes that a photo takes while it is worked on, told by its header."""
        return COPIES * self._scale**2 * decoded_bytes(path)

    def admit(self, cost: int) -> bool:
        """Take ``cost`` bytes if they are there; say whether they were."""
        with self._lock:
            full = len(self._taken) >= self._photos or sum(self._taken) + cost > self._limit
            if full and self._taken:
                return False
            self._taken.append(cost)
            return True

    def release(self, cost: int) -> None:
        """Give back what ``admit`` took."""
        with self._lock:
            self._taken.remove(cost)
