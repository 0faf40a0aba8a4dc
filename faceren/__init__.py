"""Restore faces in old photographs, and degrade, train, evaluate, compare.

What is in ``__all__`` is public; it is loaded when it is first used, so that to import the package
costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceren.api import (
        FacerenError,
        FolderOptions,
        MetricResult,
        PhotoResult,
        Restored,
        RestoreOptions,
        RunOptions,
        degrade,
        evaluate,
        preset,
        restore,
        restore_folder,
    )

__version__ = "0.1.0"
__all__ = [
    "FacerenError",
    "FolderOptions",
    "MetricResult",
    "PhotoResult",
    "RestoreOptions",
    "Restored",
    "RunOptions",
    "__version__",
    "degrade",
    "evaluate",
    "preset",
    "restore",
    "restore_folder",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'faceren' has no attribute {name!r}")
    return getattr(import_module("faceren.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
