"""The suite ``speed``: how fast this machine is, row by row."""

from collections.abc import Iterator

from faceren.bench.folder_speed import folder_speed
from faceren.bench.request import Request
from faceren.bench.rows import LeftOut, Row
from faceren.bench.speed_cold import cold_start
from faceren.bench.speed_degradation import degradation_speed
from faceren.bench.speed_exact import exact_speed
from faceren.bench.speed_network import roofline, speed
from faceren.bench.speed_onnx import onnx_speed
from faceren.bench.speed_peers import peer_speed
from faceren.bench.speed_training import training_speed
from faceren.inference import Restorer

PHOTOS = 50
"""Photos of the folder that is restored from end to end."""
THOROUGH = 1.0
"""Seconds a figure from which on the minutes that the other networks take are spent, too."""


def speed_suite(request: Request, restorer: Restorer) -> Iterator[Row]:
    """Yield the figures of speed as they are measured.

    Args:
        request: What to measure.
        restorer: The model that the request names, loaded.
    """
    best = roofline(restorer, seconds=min(1.0, request.seconds))
    yield best
    yield from speed(request.model_name, restorer, best, seconds=request.seconds)
    yield from degradation_speed(seconds=request.seconds)
    if request.seconds < THOROUGH:
        why = f"--seconds {request.seconds:g} is a quick look; they take minutes"
        yield LeftOut("cold start, a folder, training, and other networks", why)
        return
    yield from cold_start(request)
    yield folder_speed(restorer, photos=PHOTOS)
    yield from training_speed(request)
    yield from onnx_speed(request.model_name, restorer, seconds=request.seconds)
    yield from peer_speed(request.model_name, restorer)
    yield from exact_speed()
