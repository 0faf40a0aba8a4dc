"""The degradation simulator: ``draw`` what to do to a clean photo, then ``apply`` it.

A drawn ``Degradation`` holds every parameter; applying it depends on nothing else, so that writing
it down is enough to make the same pixels again.
"""

from faceren.degradation.degradation import Degradation, apply
from faceren.degradation.drawing import (
    COMPAT,
    NATIVE_SIZE,
    PAPER_TASKS,
    SINGLE_TASKS,
    TASKS,
    Pair,
    check_task,
    draw,
    draw_pair,
)
from faceren.degradation.pixels import item_seed
from faceren.degradation.presets import PRESETS
from faceren.degradation.resolution import Filter, resize
from faceren.degradation.worn import NEITHER, Worn, apply_traced

__all__ = [
    "COMPAT",
    "NATIVE_SIZE",
    "NEITHER",
    "PAPER_TASKS",
    "PRESETS",
    "SINGLE_TASKS",
    "TASKS",
    "Degradation",
    "Filter",
    "Pair",
    "Worn",
    "apply",
    "apply_traced",
    "check_task",
    "draw",
    "draw_pair",
    "item_seed",
    "resize",
]
